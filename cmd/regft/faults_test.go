package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// faultSpec is a sweep whose commands log that they begin, then write their output in two steps.
const faultSpec = `version: 1
name: faults
vars: {round: 0}
sweep: {axes: {i: [0, 1, 2, 3, 4, 5, 6, 7]}}
stages:
  first:
    uses: exec
    with:
      command: [sh, -c, 'echo first ${sweep.i} ${vars.round} >> "$LOG"; echo half > out; echo "${sweep.i} ${vars.round}" >> out; echo "{\"value\": ${sweep.i}}" > m.json']
      outputs: {out: out}
      metrics: m.json
      env: [LOG]
  last:
    uses: exec
    gather: [i]
    with:
      command: [sh, -c, 'echo last - ${vars.round} >> "$LOG"; cat inputs/all/* > out']
      inputs: {all: "${stages.first}"}
      outputs: {out: out}
      env: [LOG]
`

// faultRun is regft run of faultSpec in a folder, with a cache and a log.
func faultRun(t *testing.T, dir, cache, log string, round int) *exec.Cmd {
	t.Helper()
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "spec.yaml"), []byte(faultSpec), 0o666); err != nil {
		t.Fatal(err)
	}
	c := exec.Command("regft", "run", "spec.yaml", "-j", "4", "--set", fmt.Sprintf("vars.round=%d", round))
	c.Dir = dir
	c.Env = append(os.Environ(), "REGFT_CACHE="+cache, "LOG="+log)
	return c
}

// setting is a number from the environment, for long tasks.
func setting(t *testing.T, name string, usual int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return usual
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// TestKilled kills runs of a sweep at random moments. The next run goes on: in the end the results are those of runs
// that nobody killed, nothing that was told to be done runs twice, and the cache is sound.
func TestKilled(t *testing.T) {
	work, random := t.TempDir(), rand.New(rand.NewPCG(7, 11))
	cache, log := filepath.Join(work, "cache"), filepath.Join(work, "log")
	kills := setting(t, "REGFT_KILLS", 20)
	round := 0
	for killed := 0; killed < kills; {
		c := faultRun(t, filepath.Join(work, "a"), cache, log, round)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- c.Wait() }()
		select {
		case err := <-ended:
			if err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
			round++ // all is done: other work
		case <-time.After(time.Duration(random.IntN(400)) * time.Millisecond):
			_ = c.Process.Kill() // it may just have ended
			<-ended
			killed++
		}
	}
	if out, err := faultRun(t, filepath.Join(work, "a"), cache, log, round).CombinedOutput(); err != nil {
		t.Fatalf("the last run: %v\n%s", err, out)
	}
	told := map[string]bool{}
	for _, line := range doneLines(t, filepath.Join(work, "a", "runs")) {
		if told[line] {
			t.Errorf("%s was done twice", line)
		}
		told[line] = true
	}
	compareWithUndisturbed(t, work, cache, round)
}

// doneLines are the actions that runs told to be done, from their events.
func doneLines(t *testing.T, runs string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(runs, "faults", "*-*", "events.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(text) {
			_, action, ok := bytes.Cut(line, []byte(`"action":"`))
			if ok && bytes.Contains(line, []byte(`"event":"done"`)) {
				action, _, _ = bytes.Cut(action, []byte(`"`))
				out = append(out, string(action))
			}
		}
	}
	return out
}

// compareWithUndisturbed runs a round in a fresh cache, and compares what came out of it.
func compareWithUndisturbed(t *testing.T, work, cache string, round int) {
	t.Helper()
	fresh := filepath.Join(work, "fresh")
	if out, err := faultRun(t, filepath.Join(work, "b"), fresh, filepath.Join(work, "other"), round).CombinedOutput(); err != nil {
		t.Fatalf("an undisturbed run: %v\n%s", err, out)
	}
	var got [2]string
	for k, c := range []struct{ dir, cache string }{{"a", cache}, {"b", fresh}} {
		get := exec.Command("regft", "get", "faults", "last", "-o", "got")
		get.Dir, get.Env = filepath.Join(work, c.dir), append(os.Environ(), "REGFT_CACHE="+c.cache)
		if out, err := get.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		text, err := os.ReadFile(filepath.Join(work, c.dir, "got", "out"))
		if err != nil {
			t.Fatal(err)
		}
		got[k] = string(text)
	}
	if got[0] != got[1] || strings.Count(got[0], "half\n") != 8 {
		t.Errorf("after kills:\n%s\nundisturbed:\n%s", got[0], got[1])
	}
	verify := exec.Command("regft", "verify")
	verify.Env = append(os.Environ(), "REGFT_CACHE="+cache)
	if out, err := verify.CombinedOutput(); err != nil {
		t.Errorf("verify: %v\n%s", err, out)
	}
}

// TestEightAtOnce: eight processes with one sweep share the work.
func TestEightAtOnce(t *testing.T) {
	work := t.TempDir()
	cache, log := filepath.Join(work, "cache"), filepath.Join(work, "log")
	var group sync.WaitGroup
	for k := range 8 {
		c := faultRun(t, filepath.Join(work, fmt.Sprint(k)), cache, log, 0)
		group.Go(func() {
			if out, err := c.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
	group.Wait()
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for line := range strings.Lines(string(text)) {
		count[line]++
	}
	if len(count) != 9 {
		t.Errorf("%d commands ran: want 9", len(count))
	}
	for line, n := range count {
		if n != 1 {
			t.Errorf("%s ran %d times", strings.TrimSpace(line), n)
		}
	}
}

// TestDiskFull: where a file may not grow, a run fails and says so; with room again, it goes on from what is done.
func TestDiskFull(t *testing.T) {
	work := t.TempDir()
	cache, log := filepath.Join(work, "cache"), filepath.Join(work, "log")
	full := faultRun(t, filepath.Join(work, "a"), cache, log, 0)
	// dash counts in blocks of 512 bytes: the plan and the journal need more than one.
	limited := exec.Command("sh", "-c", `ulimit -f 1; exec "$0" "$@"`, full.Path)
	limited.Args = append(limited.Args, full.Args[1:]...)
	limited.Dir, limited.Env = full.Dir, full.Env
	if out, err := limited.CombinedOutput(); err == nil {
		t.Fatalf("it ran with files of 512 bytes at most:\n%s", out)
	} else if !strings.Contains(string(out), "file too large") {
		t.Errorf("it does not say why it failed: %v\n%s", err, out)
	}
	if out, err := faultRun(t, filepath.Join(work, "a"), cache, log, 0).CombinedOutput(); err != nil {
		t.Fatalf("with room: %v\n%s", err, out)
	}
	compareWithUndisturbed(t, work, cache, 0)
}
