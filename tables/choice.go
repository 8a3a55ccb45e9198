package tables

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"regft/report"
	"regft/specs"
	"regft/stages"
)

// choices are what the nearest selecting stages above a row's instances chose, by axis, each value once.
func (b *builder) choices(line []specs.Cell) map[string][]string {
	out := map[string][]string{}
	for _, cell := range line {
		for _, i := range cell.Instances {
			chosen := b.chosenFor(i)
			for axis, v := range chosen {
				if text := keyOf(v); !slices.Contains(out[axis], text) {
					out[axis] = append(out[axis], text)
				}
			}
		}
	}
	return out
}

// chosenFor is what the nearest selecting stage above i chose, nil where there is none. What i itself chose is for the
// table's values to show.
func (b *builder) chosenFor(i *specs.Instance) map[string]any {
	seen := map[*specs.Instance]bool{i: true}
	for queue := []*specs.Instance{i}; len(queue) > 0; queue = queue[1:] {
		if chosen := b.measure(queue[0]).Chosen; queue[0] != i && chosen != nil {
			return chosen
		}
		for _, ref := range queue[0].Refs {
			if ref.Instance != nil && !seen[ref.Instance] {
				seen[ref.Instance] = true
				queue = append(queue, ref.Instance)
			}
		}
	}
	return nil
}

func keyOf(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	if _, ok := v.(map[string]any); ok {
		return stages.CanonicalJSON(v)
	}
	return fmt.Sprint(v)
}

// addChosen adds a column for each axis on which a choice was made.
func (b *builder) addChosen() {
	axes := map[string]bool{}
	for _, row := range b.chosen {
		for axis := range row {
			axes[axis] = true
		}
	}
	b.table.Chosen = slices.Sorted(maps.Keys(axes))
	for k := range b.table.Rows {
		for _, axis := range b.table.Chosen {
			b.table.Rows[k].Chosen = append(b.table.Rows[k].Chosen, strings.Join(b.chosen[k][axis], ", "))
		}
	}
}

// dropConstantHeads leaves out the heads that are the same in every row, of two rows or more.
func (b *builder) dropConstantHeads() {
	rows := b.table.Rows
	for x := len(b.table.Heads) - 1; x >= 0 && len(rows) > 1 && len(b.table.Heads) > 1; x-- {
		if slices.ContainsFunc(rows, func(r report.Row) bool { return r.Heads[x] != rows[0].Heads[x] }) {
			continue
		}
		b.table.Heads = slices.Delete(slices.Clone(b.table.Heads), x, x+1)
		for k := range rows {
			rows[k].Heads = slices.Delete(rows[k].Heads, x, x+1)
		}
	}
}
