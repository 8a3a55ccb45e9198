package specs

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"regft/specs/expr"
	"regft/stages"
)

// Value evaluates the heading for an instance of the table's stage.
func (h Heading) Value(i *Instance, o Outcome) (any, error) {
	return h.at(i.Stage.expansion, i.Stage.layout.first[i.group], o)
}

// Value evaluates a heading for the k-th instance of c. Axes that the stage does not depend on stand where c is.
func (c Cell) Value(k int, h Heading, o Outcome) (any, error) {
	return h.at(c.Instances[k].Stage.expansion, c.points[k], o)
}

func (h Heading) at(x *expansion, point int32, o Outcome) (any, error) {
	x.evaluating.Lock()
	defer x.evaluating.Unlock()
	f := &frame{p: x.program, ids: x.ids[point]}
	v, err := h.code.evalWith(f, func(n *outcomeName) (any, error) { return readOutcome(o, n.kind, n.path, n.name) })
	if err != nil {
		return nil, fmt.Errorf("%s: evaluating %q: %w", h.Place, h.Text, err)
	}
	return expr.Plain(v), nil
}

// Measures reports whether the heading reads metrics, not only what was chosen.
func (h Heading) Measures() bool {
	return slices.ContainsFunc(h.code.outcomes, func(n *outcomeName) bool { return n.kind == "metrics" })
}

// Metrics are the last names of the results that the heading reads: top1 of metrics.test.top1, alpha of chosen.alpha.
func (h Heading) Metrics() []string {
	var out []string
	for _, n := range h.code.outcomes {
		if len(n.path) > 0 {
			out = append(out, n.path[len(n.path)-1])
		}
	}
	return out
}

// Lines are the distinct rows, or columns, of cells in the order of the axes' values: as declared, or where an axis is
// computed from others and all its values are numbers, by size.
func (e *Expansion) Lines(cells []Cell, of func(Cell) []stages.Coord) [][]stages.Coord {
	var out [][]stages.Coord
	seen := map[string]bool{}
	for _, c := range cells {
		if key := Address("", of(c)); !seen[key] {
			seen[key] = true
			out = append(out, of(c))
		}
	}
	if len(out) == 0 {
		return nil
	}
	order := make([]func(key string) float64, len(out[0]))
	for k, c := range out[0] {
		order[k] = e.Spec.program.axis(c.Axis).rank()
	}
	slices.SortStableFunc(out, func(a, b []stages.Coord) int {
		for k := range a {
			if d := cmp.Compare(order[k](a[k].Key), order[k](b[k].Key)); d != 0 {
				return d
			}
		}
		return 0
	})
	return out
}

// rank orders the keys of a's values.
func (a *Axis) rank() func(key string) float64 {
	if !a.known && !slices.ContainsFunc(a.values, func(v *Value) bool { return !isNumber(v.Key) }) {
		return func(key string) float64 {
			x, _ := strconv.ParseFloat(key, 64) // null stands first
			return x
		}
	}
	return func(key string) float64 {
		if id, has := a.ids[key]; has {
			return float64(id)
		}
		return -1
	}
}

func isNumber(key string) bool {
	_, err := strconv.ParseFloat(key, 64)
	return err == nil
}
