package specs

import (
	"fmt"
	"slices"
	"strings"

	"regft/specs/expr"
	"regft/stages"

	"gopkg.in/yaml.v3"
)

// A View is what a table and a study say alike: of which stage they show which values, at which points.
type View struct {
	Name   string
	Of     string    // the stage
	Values []Heading // over metrics, chosen and what is static
	Place  Place

	key   *yaml.Node
	stage *Stage
	where *code
	bad   bool
}

// A Table arranges the results of one stage in rows and columns.
type Table struct {
	View
	Rows    []string
	Columns []string
	Average []Heading // over what is static: which columns to average; nil Text: all
	Bold    string    // "max", "min" or ""
}

// A Heading is a named expression of a table. Its name is "" where the table has only one value and gives no name.
type Heading struct {
	Name  string
	Text  string
	Place Place
	code  *code
}

// A Cell is one place in a table: the instances that fold into it, one for each replicate.
type Cell struct {
	Row, Column []stages.Coord
	Instances   []*Instance

	points []int32 // one of each instance
}

// A Study says which points to compare.
type Study struct {
	View
	Around   string   // "baseline", or ""
	Vary     string   // VaryOne, VaryPairs, LeaveOneOut, or ""
	Compare  string   // an axis, or ""
	PairedBy []string // axes; none: the replicates
}

// What a study around the baseline varies.
const (
	VaryOne     = "one"           // one axis at a time
	VaryPairs   = "pairs"         // one or two axes at a time
	LeaveOneOut = "leave_one_out" // all axes differ, less one that stands at its baseline
)

// readTables reads tables:.
func (p *program) readTables(n *yaml.Node) {
	p.eachView(n, "tables", "table", "{of: STAGE, rows: [AXIS], columns: [AXIS], value: CEL}", func(v View, node *yaml.Node) {
		t := &Table{View: v}
		p.spec.Tables = append(p.spec.Tables, t)
		p.readTable(t, node)
	})
}

// eachView reads a mapping of names to tables, or to studies.
func (p *program) eachView(n *yaml.Node, section, what, form string, read func(v View, node *yaml.Node)) {
	if !p.wantMapping(n, section, "{NAME: "+form+"}") {
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, node := n.Content[i], n.Content[i+1]
		if problem := unfit(key.Value, ""); problem != "" {
			p.sure(p.tree.At(key, "the name of a %s %s", what, problem))
		}
		if p.wantMapping(node, what+" "+key.Value, form) {
			read(View{Name: key.Value, Place: p.tree.Place(key), key: key}, node)
		}
	}
}

// readView reads what a table or a study says: what both say, and the keys of more. It gives the keys that misspelt ones
// were probably meant to be.
func (p *program) readView(v *View, what string, node *yaml.Node, more ...section) (meant []string) {
	v.stage = p.of(node)
	v.bad = v.stage == nil
	of := section{"of", func(*yaml.Node) {}}
	meant = p.sections(node, "a "+what, slices.Concat([]section{of}, more, []section{
		{"where", func(n *yaml.Node) {
			v.where = p.dynamic(n, scope{what: "where of a " + what, axes: len(p.spec.Axes)})
			v.bad = v.bad || v.where == nil
		}},
		{"value", func(n *yaml.Node) {
			if v.stage != nil {
				v.Values = p.headings(n, scope{what: "a " + what, axes: len(p.spec.Axes), own: v.stage, chosen: true}, &v.bad)
			}
		}},
	}))
	v.bad = v.bad || len(meant) > 0
	v.Of = p.wantOf(v.key, node, what+" "+v.Name, meant)
	return meant
}

func (p *program) readTable(t *Table, node *yaml.Node) {
	meant := p.readView(&t.View, "table", node,
		section{"rows", func(n *yaml.Node) { t.Rows = p.axesOf(n, &t.bad) }},
		section{"columns", func(n *yaml.Node) { t.Columns = p.axesOf(n, &t.bad) }},
		section{"average", func(n *yaml.Node) {
			t.Average = p.averages(n, scope{what: "an average", axes: len(p.spec.Axes)}, &t.bad)
		}},
		section{"bold", func(n *yaml.Node) { t.Bold = p.word(n, "bold", "max", "min") }})
	for _, a := range t.Columns {
		if slices.Contains(t.Rows, a) {
			p.errorAt(lookup(node, "columns"), "axis %s is in rows and in columns", a)
			t.bad = true
		}
	}
	if lookup(node, "value") == nil && !stands(meant, "value") {
		d := p.tree.At(t.key, "table %s has no value", t.Name)
		d.Expected = "value: CEL, as in metrics.test.top1"
		p.report(d)
	}
}

// of is the stage that a table or study is about, nil where it says none.
func (p *program) of(node *yaml.Node) *Stage {
	n := lookup(node, "of")
	if n == nil || n.Kind != yaml.ScalarNode {
		return nil
	}
	return p.stage(strings.TrimPrefix(n.Value, "stages."))
}

// wantOf is the name of that stage; that there is none is reported, but for a key that was probably meant to be of.
func (p *program) wantOf(key, node *yaml.Node, what string, meant []string) string {
	n, s := lookup(node, "of"), p.of(node)
	switch {
	case s != nil:
		return s.Name
	case n != nil:
		if n.Kind != yaml.ScalarNode {
			d := p.tree.At(n, "of is one stage, by its name")
			d.Expected = listNames(p.stageNames())
			p.sure(d)
			return ""
		}
		name := strings.TrimPrefix(n.Value, "stages.")
		d := p.tree.At(n, "there is no stage %q", name)
		d.Nearest, d.Expected = expr.Nearest(name, p.stageNames()), listNames(p.stageNames())
		p.misnamed(d)
		return name
	case !stands(meant, "of"):
		d := p.tree.At(key, "%s does not say of which stage it is", what)
		d.Expected = "of: STAGE, " + listNames(p.stageNames())
		p.report(d)
	}
	return ""
}

// axesOf reads a list of axes.
func (p *program) axesOf(n *yaml.Node, bad *bool) []string {
	items := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		items = n.Content
	}
	var out []string
	for _, item := range items {
		switch {
		case item.Kind != yaml.ScalarNode || p.axis(item.Value) == nil:
			p.noAxis(item)
			*bad = true
		case slices.Contains(out, item.Value):
			p.errorAt(item, "axis %s is here twice", item.Value)
			*bad = true
		default:
			out = append(out, item.Value)
		}
	}
	return out
}

// headings reads CEL, or {HEADING: CEL, …}.
func (p *program) headings(n *yaml.Node, s scope, bad *bool) []Heading {
	one := func(name string, n *yaml.Node) Heading {
		h := Heading{Name: name, Text: n.Value, Place: p.tree.Place(n)}
		if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
			d := p.tree.At(n, "this is no expression")
			d.Expected = "CEL, or {HEADING: CEL, …}"
			p.report(d)
			*bad = true
			return h
		}
		if text, offset, s, ok := p.filled(n, s); ok {
			h.code = p.compile(n, offset, text, s)
		}
		*bad = *bad || h.code == nil
		return h
	}
	if n.Kind != yaml.MappingNode {
		return []Heading{one("", n)}
	}
	if len(n.Content) == 0 {
		d := p.tree.At(n, "there is no expression here")
		d.Expected = "CEL, or {HEADING: CEL, …}"
		p.report(d)
		*bad = true
	}
	var out []Heading
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == "" {
			p.errorAt(n.Content[i], "an empty heading")
			*bad = true
		}
		if problem := unfit(n.Content[i].Value, ""); problem != "" {
			p.errorAt(n.Content[i], "a heading %s", problem)
			*bad = true
		}
		out = append(out, one(n.Content[i].Value, n.Content[i+1]))
	}
	return out
}

// averages reads {HEADING: CEL or true, …}.
func (p *program) averages(n *yaml.Node, s scope, bad *bool) []Heading {
	if !p.wantMapping(n, "average", "{HEADING: CEL or true, …}") {
		*bad = true
		return nil
	}
	out := p.headings(n, s, bad)
	for _, h := range out {
		if h.code != nil && !p.wantBool(h.code) {
			*bad = true
		}
	}
	return out
}

// readStudies reads ablate:.
func (p *program) readStudies(n *yaml.Node) {
	p.eachView(n, "ablate", "study", "{of: STAGE, around: baseline, vary: one} or {of: STAGE, compare: AXIS, paired_by: [AXIS]}", func(v View, node *yaml.Node) {
		s := &Study{View: v}
		p.spec.Studies = append(p.spec.Studies, s)
		p.readStudy(s, node)
	})
}

func (p *program) readStudy(s *Study, node *yaml.Node) {
	meant := p.readView(&s.View, "study", node,
		section{"around", func(n *yaml.Node) {
			s.Around = p.word(n, "around", "baseline")
			if !p.hasBaseline {
				d := p.tree.At(n, "study %s needs sweep.baseline", s.Name)
				d.Expected = "sweep.baseline: {AXIS: KEY, …}, or compare: AXIS in place of around"
				p.report(d)
				s.bad = true
			}
		}},
		section{"vary", func(n *yaml.Node) { s.Vary = p.word(n, "vary", VaryOne, VaryPairs, LeaveOneOut) }},
		section{"compare", func(n *yaml.Node) {
			if axes := p.axesOf(n, &s.bad); len(axes) == 1 {
				s.Compare = axes[0]
			} else if !s.bad {
				d := p.tree.At(n, "compare takes one axis")
				d.Expected = listNames(p.axisNames()) + "; a study of several has around: baseline"
				p.report(d)
			}
		}},
		section{"paired_by", func(n *yaml.Node) { s.PairedBy = p.axesOf(n, &s.bad) }})
	around, compare := lookup(node, "around"), lookup(node, "compare")
	if vary := lookup(node, "vary"); vary != nil && around == nil && compare != nil {
		d := p.tree.At(vary, "vary goes with around, not with compare")
		d.Expected = "around: baseline, vary: " + s.Vary
		p.report(d)
	}
	if (around == nil) == (compare == nil) && !stands(meant, "around") && !stands(meant, "compare") {
		d := p.tree.At(s.key, "study %s does not say what it compares", s.Name)
		if around != nil {
			d.Summary = fmt.Sprintf("study %s has around and compare", s.Name)
		}
		d.Expected = "around: baseline with vary: one, or compare: AXIS"
		p.report(d)
	}
}

// alternatives is "a, b or c".
func alternatives(names []string) string {
	last := len(names) - 1
	if last < 1 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

// word reads a value that can only be one of want.
func (p *program) word(n *yaml.Node, what string, want ...string) string {
	if !slices.Contains(want, n.Value) {
		d := p.tree.At(n, "%s is %q", what, n.Value)
		d.Expected, d.Nearest = alternatives(want), expr.Nearest(n.Value, want)
		p.sure(d)
	}
	return n.Value
}
