package specs_test

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"regft/specs"

	"github.com/google/go-cmp/cmp"
)

const conditional = `version: 1
sweep: {axes: {enc: {small: {stage: one}, large: {stage: my-two}}, alpha: [0, 1]}}
stages:
  one: {uses: const, with: {value: 1}, assert: metrics.value > 0.5}
  my-two: {uses: const, with: {value: "${sweep.alpha}"}}
  val: {uses: const, with: {value: 1}}
  s: {uses: score, with: {model: 'stages["my-two"]', data: [stages.val]}}
  best: {uses: pick, gather: [alpha], with: {from: 'stages["my-two"]', scores: stages.s, maximize: metrics.val.top1 * 2}}
  dyn: {uses: slow, with: {seconds: 0}, when: 'stages[sweep.enc.stage].metrics.value > 1.5'}
  sel: {uses: slow, with: {seconds: 0}, when: stages.best.metrics.val.top1 > 0.2 && stages.best.chosen.alpha == 1 && sweep.enc.key == "small"}
tables:
  t: {of: s, rows: [alpha], value: {Twice: 2 * metrics.val.top1, Axis: sweep.alpha}, average: {Big: sweep.alpha > 0}}
`

// TestConditions evaluates when, assert and tables' values on results.
func TestConditions(t *testing.T) {
	e := mustExpand(t, writeSpec(t, conditional))
	outcomes := map[string]specs.Outcome{
		"one":             {Metrics: map[string]any{"value": 2}},
		"my-two[alpha=0]": {Metrics: map[string]any{"value": 1.0}},
		"my-two[alpha=1]": {Metrics: map[string]any{"value": "NaN"}},
		"best":            {Metrics: map[string]any{"val": map[string]any{"top1": 0.5}}, Chosen: map[string]any{"alpha": 1}},
	}
	of := func(i *specs.Instance) specs.Outcome { return outcomes[i.Address()] }
	holds := func(address string) bool {
		t.Helper()
		i := instances(e, address)[0]
		c := i.When
		if c == nil {
			c = i.Assert
		}
		ok, err := c.Eval(of)
		if err != nil {
			t.Fatalf("%s: %v", address, err)
		}
		return ok
	}
	for address, want := range map[string]bool{
		"one": true, "dyn[enc=small,alpha=0]": true, "dyn[enc=large,alpha=0]": false, "dyn[enc=large,alpha=1]": false, "sel[enc=small]": true, "sel[enc=large]": false,
	} {
		if got := holds(address); got != want {
			t.Errorf("%s: %v, want %v", address, got, want)
		}
	}
	outcomes["best"] = specs.Outcome{Skipped: true}
	if holds("sel[enc=small]") {
		t.Error("a condition on a skipped stage holds")
	}
	outcomes["one"] = specs.Outcome{Metrics: map[string]any{}}
	if _, err := instances(e, "one")[0].Assert.Eval(of); err == nil || !strings.Contains(err.Error(), `there is no "value"`) {
		t.Errorf("a missing metric: %v", err)
	}
}

// TestConditionsSideBySide evaluates conditions and goals from several goroutines.
func TestConditionsSideBySide(t *testing.T) {
	e := mustExpand(t, writeSpec(t, conditional))
	of := func(i *specs.Instance) specs.Outcome {
		return specs.Outcome{Metrics: map[string]any{"value": 2.0, "val": map[string]any{"top1": 0.5}}, Chosen: map[string]any{"alpha": 1}}
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 50 {
				for _, i := range e.Instances {
					for _, c := range []*specs.Condition{i.When, i.Assert} {
						if c == nil {
							continue
						}
						if _, err := c.Eval(of); err != nil {
							t.Error(err)
						}
					}
				}
			}
		})
	}
	wg.Wait()
}

func TestTableValues(t *testing.T) {
	e := mustExpand(t, writeSpec(t, conditional))
	table := e.Spec.Tables[0]
	i := instances(e, "s[alpha=1]")[0]
	o := specs.Outcome{Metrics: map[string]any{"val": map[string]any{"top1": 0.25}}}
	for k, want := range []any{0.5, int64(1)} {
		got, err := table.Values[k].Value(i, o)
		if err != nil || got != want {
			t.Errorf("%s is %v (%v), want %v", table.Values[k].Name, got, err, want)
		}
	}
	if big, err := table.Average[0].Value(i, specs.Outcome{}); err != nil || big != true {
		t.Errorf("average: %v %v", big, err)
	}
	o.Metrics["val"].(map[string]any)["top1"] = "NaN"
	if got, err := table.Values[0].Value(i, o); err != nil || !math.IsNaN(got.(float64)) {
		t.Errorf("of NaN: %v %v", got, err)
	}
}

// TestResolved checks that the resolved spec, alone, expands to the same.
func TestResolved(t *testing.T) {
	for _, name := range []string{"1-main-table.yaml", "2-prompt-styles.yaml", "6-filtering.yaml", "8-experiment.yaml"} {
		e := mustExpand(t, filepath.Join("..", "testdata", "specs", name), "seed=5")
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, e.Spec.Resolved, 0o666); err != nil {
			t.Fatal(err)
		}
		again := mustExpand(t, path)
		if again.Spec.Seed != 5 || again.Spec.Name != e.Spec.Name {
			t.Errorf("%s: name %s, seed %d", name, again.Spec.Name, again.Spec.Seed)
		}
		if diff := cmp.Diff(addresses(e), addresses(again)); diff != "" {
			t.Errorf("%s: instances differ (-want +got):\n%s", name, diff)
		}
	}
}

func addresses(e *specs.Expansion) []string {
	var out []string
	for _, i := range e.Instances {
		out = append(out, i.Address())
	}
	return out
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"spec.yaml": "version: 1\ninclude: [base.yaml]\nvars: {a: '${file(\"a.txt\")[0]}'}\nsweep: {axes: {x: [b, c]}}\nstages: {s: {uses: const, with: {value: 1, note: '${file(sweep.x + \".txt\")[0]}'}}}\n",
		"base.yaml": "vars: {z: 1}\n", "a.txt": "a\n", "b.txt": "b\n", "c.txt": "c\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	e := mustExpand(t, filepath.Join(dir, "spec.yaml"))
	var got []string
	for _, f := range e.Spec.Files {
		got = append(got, filepath.Base(f))
	}
	if diff := cmp.Diff([]string{"a.txt", "b.txt", "base.yaml", "c.txt", "spec.yaml"}, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestCancel(t *testing.T) {
	s, problems := specs.Load(writeSpec(t, tenMillion+"stages: {s: {uses: const, with: {value: \"${sweep.a}\"}}}\n"), nil)
	if problems.HasErrors() {
		t.Fatal(problems)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if e, problems := s.Expand(ctx); e != nil || !strings.Contains(problems.Error(), "cancelled") {
		t.Errorf("%v %v", e, problems)
	}
}

func TestAddress(t *testing.T) {
	e := mustExpand(t, writeSpec(t, "version: 1\nsweep: {axes: {v: [{a: 1, b: 2}, \"x]y\", \" z\", plain, \"q\\\"\"], w: [1]}}\nstages: {s: {uses: const, with: {value: \"${sweep.w}\", note: \"${string(sweep.v)}\"}}}\n"))
	for _, i := range e.Instances {
		for part, text := range map[string]string{"": "", "val": ".val", "a.b[c=d]": ".a.b[c=d]"} {
			s, err := specs.ParseAddress(i.Address() + text)
			if err != nil || len(s.Coords) != 2 || !s.Covers("s", i.Coords) || s.Part != part {
				t.Errorf("%s%s reads as %v %v", i.Address(), text, s, err)
			}
		}
	}
	for _, bad := range []string{"", "1s", "s[", "s[x]", "s[x=1", "s[x=1]y", `s[x="1]`, "s[x=1,]", "s[1=2]", "s.", ".a", "s[x=1]."} {
		if _, err := specs.ParseAddress(bad); err == nil {
			t.Errorf("%q is an address", bad)
		}
	}
}
