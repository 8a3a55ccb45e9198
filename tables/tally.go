package tables

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"regft/engine"
	"regft/specs"
)

// A tally counts what a reader of a table must know of its results.
type tally struct {
	counts   [engine.Stale + 1]int
	seen     map[*specs.Instance]bool
	unrun    int // neither run, nor left out, nor failed
	recorded int // current, and only in a run's record
	numerics map[string]bool
	failed   int   // evaluations without a value …
	failure  error // … the first of them
}

// fail notes that an expression has no value for a result.
func (t *tally) fail(err error) {
	t.failed++
	if t.failure == nil {
		t.failure = err
	}
}

func (t *tally) add(i *specs.Instance, m engine.Measure) {
	if t.seen == nil {
		t.seen, t.numerics = map[*specs.Instance]bool{}, map[string]bool{}
	}
	if t.seen[i] {
		return
	}
	t.seen[i] = true
	t.counts[m.Standing]++
	if m.Standing == engine.Missing && !m.Skipped && !m.Failed {
		t.unrun++
	}
	if m.Recorded && m.Standing == engine.Current {
		t.recorded++
	}
	if m.Standing == engine.Current || m.Standing == engine.Unchecked {
		for _, n := range m.Numerics {
			t.numerics[n] = true
		}
	}
}

func (t *tally) remarks() []string {
	var out []string
	for _, r := range []struct {
		standing engine.Standing
		text     string
	}{
		{engine.Missing, "of %d results are missing: not run yet, failed or skipped"},
		{engine.Stale, "of %d results are refused: made of other data, parameters or versions than the spec asks for now; regft run makes them anew"},
		{engine.Unchecked, "of %d results are not checked: the data is not on this machine"},
	} {
		if n := t.counts[r.standing]; n > 0 {
			out = append(out, fmt.Sprintf("%d "+r.text, n, len(t.seen)))
		}
	}
	if t.recorded > 0 {
		out = append(out, fmt.Sprintf("%d of %d results are from the record of a run: the cache has them no longer", t.recorded, len(t.seen)))
	}
	if t.failed > 0 {
		out = append(out, fmt.Sprintf("%d results have no value, such as: %v", t.failed, t.failure))
	}
	if len(t.numerics) > 1 {
		out = append(out, "computed by a mixture of machines, which agree within tolerances only: "+strings.Join(slices.Sorted(maps.Keys(t.numerics)), "; "))
	}
	return out
}
