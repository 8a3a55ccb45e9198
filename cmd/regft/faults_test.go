package main

import (
	"bytes"
	"encoding/json"
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

	"regft/engine"

	"github.com/google/go-cmp/cmp"
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

// trainingStages generate, train, merge, evaluate and choose, beside faultSpec's commands: a second or so.
const trainingStages = `
  pictures:
    uses: generate
    with: {checkpoint: WORLD/checkpoints/sd-nano, classes: [circle, star], prompt: "a photo of a {}.", images_per_class: 2, steps: 2, batch_size: 1, size: null, seed: "${vars.round}"}
  zeroshot: {uses: zeroshot, with: {checkpoint: WORLD/checkpoints/clip-nano, classes: [circle, star], templates: ["a photo of a {}."]}}
  tuned:
    uses: finetune
    with: {classifier: stages.zeroshot, data: stages.pictures, epochs: 2, batch_size: 2, checkpoint_every: 1, warmup_steps: 1, vc_reg: {variance: 0.1, covariance: 0.1}, seed: "${vars.round}"}
  merged: {uses: ensemble, with: {from: stages.zeroshot, to: stages.tuned, alpha: "${sweep.alpha}"}}
  scores: {uses: evaluate, with: {classifier: stages.merged, data: stages.pictures, batch_size: 1}}
  best: {uses: select, gather: [alpha], with: {from: stages.merged, scores: stages.scores, maximize: metrics.pictures.nll}}
`

// trainingSpec is faultSpec with trainingStages.
func trainingSpec(t *testing.T) string {
	t.Helper()
	world, err := filepath.Abs("../../examples/shapes")
	if err != nil {
		t.Fatal(err)
	}
	axes := strings.Replace(faultSpec, "axes: {", "axes: {alpha: [0, 0.5, 1], ", 1)
	return strings.TrimSuffix(axes, "\n") + strings.ReplaceAll(trainingStages, "WORLD", filepath.ToSlash(world))
}

// faultRun is regft run of a spec in a folder, with a cache and a log.
func faultRun(t *testing.T, spec, dir, cache, log string, round int) *exec.Cmd {
	t.Helper()
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "spec.yaml"), []byte(spec), 0o666); err != nil {
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

// TestKilled kills runs of a sweep that generates and trains, at 200 random moments. The next run goes on: in the end the
// results are those of runs that nobody killed, nothing that was told to be done runs twice, and the cache is sound.
func TestKilled(t *testing.T) {
	usual := 200
	if testing.Short() {
		usual = 20
	}
	work, spec, random := t.TempDir(), trainingSpec(t), rand.New(rand.NewPCG(7, 11))
	cache, log := filepath.Join(work, "cache"), filepath.Join(work, "log")
	kills := setting(t, "REGFT_KILLS", usual)
	run := func(round int) *exec.Cmd { return faultRun(t, spec, filepath.Join(work, "a"), cache, log, round) }
	started := time.Now()
	if out, err := run(0).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	half := time.Since(started) / 2 // of what a run takes here: each is killed within that
	round := 1
	for killed := 0; killed < kills; {
		c := run(round)
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
		case <-time.After(time.Duration(random.Int64N(int64(half)))):
			_ = c.Process.Kill() // it may just have ended
			<-ended
			killed++
		}
	}
	if out, err := run(round).CombinedOutput(); err != nil {
		t.Fatalf("the last run: %v\n%s", err, out)
	}
	told, struck := eventsOf(t, filepath.Join(work, "a", "runs"))
	for action, n := range told {
		if n > 1 {
			t.Errorf("%s was done %d times", action, n)
		}
	}
	t.Logf("%d rounds; killed while they ran: %v", round+1, struck)
	for _, stage := range []string{"pictures", "tuned"} {
		if struck[stage] == 0 && kills >= 200 {
			t.Errorf("no kill struck stage %s", stage)
		}
	}
	compareWithUndisturbed(t, spec, work, cache, round)
	compareResults(t, work)
}

// eventsOf counts, over all runs, how often each action was told to be done, and of each stage the nodes that had begun
// and did not end.
func eventsOf(t *testing.T, runs string) (done, struck map[string]int) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(runs, "faults", "*-*", "events.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	done, struck = map[string]int{}, map[string]int{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		begun := map[int]string{}
		for line := range bytes.Lines(text) {
			var e engine.Event
			if json.Unmarshal(line, &e) != nil {
				continue // cut off
			}
			switch e.Kind {
			case engine.NodeStarted:
				begun[e.Node] = e.Stage
			case engine.NodeDone:
				done[e.Action.String()]++
				delete(begun, e.Node)
			}
		}
		for _, stage := range begun {
			struck[stage]++
		}
	}
	return done, struck
}

// compareResults compares the metrics and digests of the latest run in folder a with those of folder b.
func compareResults(t *testing.T, work string) {
	t.Helper()
	var got [2][]engine.Line
	for k, dir := range []string{"a", "b"} {
		past, err := engine.OpenRun(filepath.Join(work, dir, "runs"), "latest")
		if err != nil {
			t.Fatal(err)
		}
		if got[k], err = past.Results(); err != nil {
			t.Fatal(err)
		}
		for i := range got[k] {
			got[k][i].Cached, got[k][i].Seconds = false, 0
		}
	}
	if diff := cmp.Diff(got[1], got[0]); diff != "" {
		t.Errorf("results (-undisturbed +killed):\n%s", diff)
	}
	if len(got[0]) < 12 {
		t.Errorf("%d results are compared", len(got[0]))
	}
}

// compareWithUndisturbed runs a round in a fresh cache, and compares what came out of it.
func compareWithUndisturbed(t *testing.T, spec, work, cache string, round int) {
	t.Helper()
	fresh := filepath.Join(work, "fresh")
	if out, err := faultRun(t, spec, filepath.Join(work, "b"), fresh, filepath.Join(work, "other"), round).CombinedOutput(); err != nil {
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
		c := faultRun(t, faultSpec, filepath.Join(work, fmt.Sprint(k)), cache, log, 0)
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
	full := faultRun(t, faultSpec, filepath.Join(work, "a"), cache, log, 0)
	// dash counts in blocks of 512 bytes: the plan and the journal need more than one.
	limited := exec.Command("sh", "-c", `ulimit -f 1; exec "$0" "$@"`, full.Path)
	limited.Args = append(limited.Args, full.Args[1:]...)
	limited.Dir, limited.Env = full.Dir, full.Env
	if out, err := limited.CombinedOutput(); err == nil {
		t.Fatalf("it ran with files of 512 bytes at most:\n%s", out)
	} else if !strings.Contains(string(out), "file too large") {
		t.Errorf("it does not say why it failed: %v\n%s", err, out)
	}
	if out, err := faultRun(t, faultSpec, filepath.Join(work, "a"), cache, log, 0).CombinedOutput(); err != nil {
		t.Fatalf("with room: %v\n%s", err, out)
	}
	compareWithUndisturbed(t, faultSpec, work, cache, 0)
}
