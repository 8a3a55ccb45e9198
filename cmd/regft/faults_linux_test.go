package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// fillScript runs a sweep with its cache on a disk of $SIZE, then with room, and leaves exit codes, outputs and a copy of
// the cache in $WORK. Exit code 77: it may not mount.
const fillScript = `
mkdir -p "$REGFT_CACHE" && mount -t tmpfs -o size="$SIZE" full "$REGFT_CACHE" || exit 77
"$@" > "$WORK/full" 2>&1
echo $? > "$WORK/full.code"
mount -o remount,size=64m "$REGFT_CACHE" || exit 77
"$@" > "$WORK/roomy" 2>&1
echo $? > "$WORK/roomy.code"
cp -a "$REGFT_CACHE" "$WORK/kept"
`

// TestDiskFills runs sweeps whose cache is on a small disk that fills up while they run. They say so, and with room they go
// on from what is done, which is whole. It needs to mount, in a namespace of its own.
func TestDiskFills(t *testing.T) {
	failed := 0
	for _, size := range []string{"40k", "80k", "120k", "160k"} {
		work := t.TempDir()
		log := filepath.Join(work, "log")
		run := faultRun(t, faultSpec, filepath.Join(work, "a"), filepath.Join(work, "cache"), log, 0)
		c := exec.Command("unshare", append([]string{"--user", "--map-root-user", "--mount", "sh", "-c", fillScript, "sh"}, run.Args...)...)
		c.Dir, c.Env = run.Dir, append(run.Env, "WORK="+work, "SIZE="+size)
		if out, err := c.CombinedOutput(); err != nil {
			t.Skipf("a disk cannot be mounted in a user namespace here: %v %s", err, out)
		}
		said := func(name string) string {
			text, err := os.ReadFile(filepath.Join(work, name))
			if err != nil {
				t.Fatal(err)
			}
			return strings.TrimSpace(string(text))
		}
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
