package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// fillScript runs a sweep with a folder, $FULL, on a disk of $SIZE, then with room, and leaves exit codes, outputs and a
// copy of the folder in $WORK. Exit code 77: it may not mount.
const fillScript = `
mkdir -p "$FULL" && mount -t tmpfs -o size="$SIZE" full "$FULL" || exit 77
"$@" > "$WORK/full" 2>&1
echo $? > "$WORK/full.code"
mount -o remount,size=64m "$FULL" || exit 77
"$@" > "$WORK/roomy" 2>&1
echo $? > "$WORK/roomy.code"
cp -a "$FULL" "$WORK/kept"
`

// fill runs a sweep with folder full on a disk of that size, then with room. It gives the folder in which the sweep ran
// and what fillScript left.
func fill(t *testing.T, full, size string) (work string, said func(name string) string) {
	t.Helper()
	work = t.TempDir()
	run := faultRun(t, faultSpec, filepath.Join(work, "a"), filepath.Join(work, "cache"), filepath.Join(work, "log"), 0)
	c := exec.Command("unshare", append([]string{"--user", "--map-root-user", "--mount", "sh", "-c", fillScript, "sh"}, run.Args...)...)
	c.Dir, c.Env = run.Dir, append(run.Env, "WORK="+work, "SIZE="+size, "FULL="+filepath.Join(work, full))
	if out, err := c.CombinedOutput(); err != nil {
		t.Skipf("a disk cannot be mounted in a user namespace here: %v %s", err, out)
	}
	return work, func(name string) string {
		text, err := os.ReadFile(filepath.Join(work, name))
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(text))
	}
}

// TestRunsFolderFills runs sweeps whose folder of runs is on a small disk that fills up. That is no mistake of the spec, and
// with room the next run leaves all that a run leaves.
func TestRunsFolderFills(t *testing.T) {
	codes := map[string]int{}
	for _, size := range []string{"8k", "16k", "24k", "32k", "40k", "48k", "56k", "64k"} {
		work, said := fill(t, "a/runs", size)
		code := said("full.code")
		codes[code]++
		if code != "0" && (code != "5" || !strings.Contains(said("full"), "no space left on device")) {
			t.Errorf("%s: exit code %s:\n%s", size, code, said("full"))
		}
		if said("roomy.code") != "0" {
			t.Errorf("%s: with room:\n%s", size, said("roomy"))
		}
		for _, name := range []string{"report.html", "results.jsonl", "results.csv", "plan.json", "provenance.json", "spec.yaml"} {
			if _, err := os.Stat(filepath.Join(work, "kept", "faults", "latest", name)); err != nil {
				t.Errorf("%s: with room, the latest run has no %s", size, name)
			}
		}
	}
	if codes["5"] == 0 || codes["0"] == 0 {
		t.Errorf("exit codes and how many disks had them: %v: take others", codes)
	}
}

// TestDiskFills runs sweeps whose cache is on a small disk that fills up while they run. They say so, and with room they go
// on from what is done, which is whole. It needs to mount, in a namespace of its own.
func TestDiskFills(t *testing.T) {
	failed := 0
	for _, size := range []string{"40k", "80k", "120k", "160k"} {
		work, said := fill(t, "cache", size)
		if code, err := strconv.Atoi(said("full.code")); err != nil || code != 0 {
			failed++
			// Where it is a command of the spec that finds no room, sh says so in its own way.
			if !strings.Contains(said("full"), "no space left on device") && !strings.Contains(said("full"), "I/O error") {
				t.Errorf("%s: exit code %d, and it does not say why:\n%s", size, code, said("full"))
			}
		}
		if said("roomy.code") != "0" {
			t.Fatalf("%s: with room:\n%s", size, said("roomy"))
		}
		told, _ := eventsOf(t, filepath.Join(work, "a", "runs"))
		for action, n := range told {
			if n > 1 {
				t.Errorf("%s: %s was done %d times", size, action, n)
			}
		}
		compareWithUndisturbed(t, faultSpec, work, filepath.Join(work, "kept"), 0)
	}
	if failed == 0 {
		t.Error("no disk was too small for the sweep: take smaller ones")
	}
}

// TestProgramsEndWithRegft: what an exec stage started does not go on when its regft is killed, and the next run, which
// may begin while it still writes, is not disturbed.
func TestProgramsEndWithRegft(t *testing.T) {
	work := t.TempDir()
	pids := filepath.Join(work, "pids")
	spec := `version: 1
name: orphans
vars: {round: 0}
stages:
  a:
    uses: exec
    with:
      command: [sh, -c, 'if [ -s "$LOG" ]; then exit; fi; sh -c "exec >/dev/null 2>&1; for i in \$(seq 300000); do mkdir -p d; echo >d/\$i; sleep 0.001; done" & echo $$ $! >>"$LOG"; wait']
      env: [LOG]
`
	run := func() *exec.Cmd { return faultRun(t, spec, work, filepath.Join(work, "cache"), pids, 0) }
	c := run()
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	var begun []string
	for until := time.Now().Add(time.Minute); len(begun) < 2 && time.Now().Before(until); time.Sleep(5 * time.Millisecond) {
		content, _ := os.ReadFile(pids) // it is not there at first
		begun = strings.Fields(string(content))
	}
	_ = c.Process.Kill()
	_ = c.Wait() // it was killed
	if out, err := run().CombinedOutput(); err != nil {
		t.Fatalf("the next run: %v\n%s", err, out)
	}
	if len(begun) != 2 {
		t.Fatalf("the program began as %q", begun)
	}
	for _, pid := range begun {
		t.Cleanup(func() { _ = exec.Command("kill", "-KILL", pid).Run() }) // where the test fails
		for until := time.Now().Add(20 * time.Second); isRunning(pid); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(until) {
				t.Fatalf("process %s goes on", pid)
			}
		}
	}
	if out, err := run().CombinedOutput(); err != nil {
		t.Fatalf("the run after that: %v\n%s", err, out)
	}
}

// isRunning tells whether a process is there and no zombie.
func isRunning(pid string) bool {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	return err == nil && !strings.Contains(string(stat), ") Z ")
}
