package tables

import (
	"slices"
	"strings"

	"regft/engine"
	"regft/report"
	"regft/specs"
	"regft/stages"
)

// A quantity is what is read of one instance of a cell.
type quantity struct {
	value func(c specs.Cell, k int, o specs.Outcome) (any, error)
	plain bool // no metric is read, only what was chosen: that reports on no data
}

func headingOf(h specs.Heading) quantity {
	value := func(c specs.Cell, k int, o specs.Outcome) (any, error) { return c.Value(k, h, o) }
	return quantity{value, !h.Measures()}
}

// A fold is the results of one cell, by replicate.
type fold struct {
	replicates []string
	results    []report.Result // of the replicates
	refused    bool
	failed     bool
}

// foldCell evaluates q for every instance of a cell that measured something.
func (b *builder) foldCell(cell specs.Cell, measured []engine.Measure, q quantity) fold {
	var f fold
	for k, i := range cell.Instances {
		m := measured[k]
		switch m.Standing {
		case engine.Missing:
			f.failed = f.failed || m.Failed
			continue
		case engine.Stale:
			f.refused = true
			continue
		}
		v, err := q.value(cell, k, m.Outcome)
		if err != nil {
			b.notes.fail(err)
		}
		if v == nil {
			continue
		}
		f.replicates = append(f.replicates, replicate(i.Coords))
		f.results = append(f.results, report.Result{ID: identity(m), Value: v, Oracle: m.Oracle && !q.plain, Actions: m.Actions})
	}
	return f
}

// cell folds the replicates. A cell of which a part is refused shows nothing: the rest would be another quantity.
func (f fold) cell() report.Cell {
	if f.refused {
		return report.Cell{Refused: true}
	}
	if f.failed && len(f.results) == 0 {
		return report.Cell{Words: []string{"failed"}}
	}
	return report.FoldResults(f.results)
}

// average is the mean of a row's columns that a counts, for each replicate that all of them have: never of fewer
// columns than another row's.
func (b *builder) average(a specs.Heading, line []specs.Cell, folds []fold) fold {
	var counted []fold
	var out fold
	for k, cell := range line {
		if b.counts(a, k, cell) {
			counted = append(counted, folds[k])
			out.refused = out.refused || folds[k].refused
			out.failed = out.failed || folds[k].failed
		}
	}
	if len(counted) == 0 {
		return out
	}
	for _, r := range counted[0].replicates {
		if m, ok := meanOf(counted, r); ok {
			out.replicates, out.results = append(out.replicates, r), append(out.results, m)
		}
	}
	return out
}

// counts tells whether the k-th column counts for an average, also where it has no point in this row.
func (b *builder) counts(a specs.Heading, k int, cell specs.Cell) bool {
	if len(cell.Instances) == 0 {
		cell = b.columns[k]
	}
	counts, err := cell.Value(0, a, specs.Outcome{})
	if err != nil {
		b.notes.fail(err)
	}
	return counts == true
}

// meanOf averages columns in one replicate.
func meanOf(columns []fold, replicate string) (report.Result, bool) {
	var results []report.Result
	for _, f := range columns {
		k := slices.Index(f.replicates, replicate)
		if k < 0 {
			return report.Result{}, false
		}
		results = append(results, f.results[k])
	}
	return report.Mean(results)
}

// replicate is the part of coordinates that folds.
func replicate(coords []stages.Coord) string {
	return specs.Address("", slices.DeleteFunc(slices.Clone(coords), func(c stages.Coord) bool { return !c.Replicate }))
}

// identity is equal for results of the same nodes.
func identity(m engine.Measure) string { return strings.Join(m.Actions, " ") }
