package engine

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"regft/specs"
)

// TestStandingOfResults runs a spec over a file, then asks what its results are worth when the file, the cache or the
// spec is another.
func TestStandingOfResults(t *testing.T) {
	tests := []struct {
		name   string
		change func(t *testing.T, file string)
		keep   bool // the cache
		past   bool // the run's record
		want   Standing
	}{
		{"as it was", func(*testing.T, string) {}, true, false, Current},
		{"the cache is gone but nothing else changed", func(*testing.T, string) {}, false, true, Current},
		{"nothing is left", func(*testing.T, string) {}, false, false, Missing},
		{"other data", rewrite, true, true, Stale},
		{"other data and no record", rewrite, true, false, Missing},
		{"the data is not here", remove, true, true, Unchecked},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			file, runs, store := filepath.Join(t.TempDir(), "data"), t.TempDir(), newStore(t)
			if err := os.WriteFile(file, []byte("three"), 0o666); err != nil {
				t.Fatal(err)
			}
			recordRun(t, reads(t, file), store, runs)
			test.change(t, file)
			if !test.keep {
				store = newStore(t)
			}
			p := reads(t, file).plan(store, Options{})
			var past *Past
			if test.past {
				var err error
				if past, err = OpenRun(runs, "latest"); err != nil {
					t.Fatal(err)
				}
			}
			ledger, err := NewLedger(p, past)
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range p.Expansion.Instances {
				checkMeasure(t, i, ledger.Measure(i), test.want)
			}
		})
	}
}

func rewrite(t *testing.T, file string) {
	if err := os.WriteFile(file, []byte("eleven, now"), 0o666); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, file string) {
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
}

func checkMeasure(t *testing.T, i *specs.Instance, m Measure, want Standing) {
	t.Helper()
	if m.Standing != want {
		t.Errorf("%s is %d, want %d", i.Address(), m.Standing, want)
	}
	if known := want != Missing; known != (m.Metrics["value"] == 5.0 && len(m.Actions) == 1) {
		t.Errorf("%s: metrics %v of actions %v, want value 5 of one, unless nothing is left", i.Address(), m.Metrics, m.Actions)
	}
}

// TestAMeasureNamesTheMachinesOfWhatItIsMadeOf: what another machine made, and this one measured, is of both.
func TestAMeasureNamesTheMachinesOfWhatItIsMadeOf(t *testing.T) {
	p, _, _ := diamond(t, "1").run(newStore(t), Options{}, RunOptions{})
	p.Nodes[1].Result.Numerics = "theirs"
	p.Nodes[3].Result.Numerics = "ours"
	for k, want := range []string{"[]", "[theirs]", "[]", "[ours theirs]"} {
		if got := fmt.Sprint(p.Measure(p.Expansion.Instances[k]).Numerics); got != want {
			t.Errorf("%s is of %s, want %s", p.Nodes[k].Name(), got, want)
		}
	}
}
