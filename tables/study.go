package tables

import (
	"slices"
	"strconv"
	"strings"

	"regft/report"
	"regft/specs"
	"regft/stages"
)

// A compared is one value that a study compares.
type compared struct {
	column report.Column
	of     quantity
}

// studyTitle is the name of a study, told apart from a table of the same name.
func studyTitle(spec *specs.Spec, name string) string {
	if slices.ContainsFunc(spec.Tables, func(t *specs.Table) bool { return t.Name == name }) {
		return "study " + name
	}
	return name
}

// buildStudy makes a table of differences: a row for each contrast, with its pairs and those that lack a side.
func buildStudy(e *specs.Expansion, s *specs.Study, measure Source) report.Table {
	b := &builder{measure: measure, table: report.Table{Title: studyTitle(e.Spec, s.Name), Heads: []string{"changed", "from"}}}
	contrasts := e.Contrasts[s.Name]
	values := b.compared(s, contrasts)
	for _, v := range values {
		b.table.Columns = append(b.table.Columns, v.column)
	}
	for _, name := range []string{"pairs", "dropped"} {
		b.table.Columns = append(b.table.Columns, report.Column{Name: name, Plain: true})
	}
	for _, c := range contrasts {
		b.addContrast(c, values)
	}
	b.finish()
	return b.table
}

// compared are the values that s names, or the main metrics of what it is of.
func (b *builder) compared(s *specs.Study, contrasts []specs.Contrast) []compared {
	var out []compared
	add := func(c report.Column, q quantity) {
		c.Plain, c.Difference = true, true
		out = append(out, compared{c, q})
	}
	for _, h := range s.Values {
		c := newColumn(h.Name, "", h)
		if c.Name == "" {
			c.Name = h.Text
		}
		add(c, headingOf(h))
	}
	if len(s.Values) > 0 {
		return out
	}
	seen := map[string]bool{}
	for _, c := range contrasts {
		for _, p := range c.Pairs {
			for _, i := range slices.Concat(p.Reference.Instances, p.Changed.Instances) {
				for _, path := range report.MainMetrics(b.measure(i).Metrics) {
					if name := strings.Join(path, "."); !seen[name] {
						seen[name] = true
						add(report.Column{Name: name, Percent: report.IsFraction(path[len(path)-1])}, metric(path))
					}
				}
			}
		}
	}
	return out
}

// metric reads a metric by its path; there is none where an instance lacks it.
func metric(path []string) quantity {
	return quantity{value: func(_ specs.Cell, _ int, o specs.Outcome) (any, error) {
		var v any = o.Metrics
		for _, name := range path {
			m, _ := v.(map[string]any)
			v = m[name]
		}
		return v, nil
	}}
}

// addContrast adds the mean differences of one contrast. Its pairs are those that have both sides for every value.
func (b *builder) addContrast(c specs.Contrast, values []compared) {
	r := report.Row{Heads: []string{coordsText(c.Changed), coordsText(c.Reference)}}
	pairs, dropped := map[string]bool{}, map[int]bool{}
	for _, v := range values {
		var differences []report.Result
		refused := false
		for k, p := range c.Pairs {
			if d, has := b.difference(p, v.of, &refused); has {
				differences = append(differences, d)
				pairs[d.ID] = true
			} else {
				dropped[k] = true
			}
		}
		cell := report.FoldDifferences(differences)
		if refused {
			cell = report.Cell{Refused: true}
		}
		r.Cells = append(r.Cells, cell)
	}
	r.Cells = append(r.Cells, count(len(pairs)), count(len(dropped)))
	b.table.Rows = append(b.table.Rows, r)
}

func count(n int) report.Cell { return report.Cell{Words: []string{strconv.Itoa(n)}} }

// difference is changed less reference, each the mean of its distinct replicates.
func (b *builder) difference(p specs.Pair, q quantity, refused *bool) (report.Result, bool) {
	measured := b.measureAll([]specs.Cell{p.Reference, p.Changed})
	var sides [2]report.Cell
	var id string
	for k, cell := range []specs.Cell{p.Reference, p.Changed} {
		f := b.foldCell(cell, measured[k], q)
		*refused = *refused || f.refused
		sides[k] = f.cell()
		id += strings.Join(sides[k].Actions, " ") + "\n"
	}
	if len(sides[0].Values) == 0 || len(sides[1].Values) == 0 {
		return report.Result{}, false
	}
	return report.Result{
		ID: id, Value: sides[1].Mean - sides[0].Mean, Oracle: sides[0].Oracle || sides[1].Oracle,
		Actions: append(sides[0].Actions, sides[1].Actions...),
	}, true
}

// coordsText is how people read coordinates: vc=off, draw=1.
func coordsText(coords []stages.Coord) string {
	var out []string
	for _, c := range coords {
		out = append(out, c.Axis+"="+c.Key)
	}
	return strings.Join(out, ", ")
}
