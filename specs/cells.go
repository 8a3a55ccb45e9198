package specs

import (
	"fmt"
	"slices"
	"strings"

	"regft/stages"

	"gopkg.in/yaml.v3"
)

// cells are the places of a table that have a point.
func (x *expansion) cells(t *Table) []Cell {
	x.checkValues(t.stage, t.Values)
	if t.bad || t.stage.bad {
		return nil
	}
	for _, name := range slices.Concat(t.Rows, t.Columns) {
		if !t.stage.over.has(x.axis(name).index) {
			d := x.tree.At(t.key, "table %s has rows or columns for %s, on which stage %s does not depend: they would all be the same", t.Name, name, t.Of)
			d.Expected = listNames(t.stage.Over)
			x.report(d)
			return nil
		}
	}
	named := x.setOf(t.Rows) | x.setOf(t.Columns)
	places := x.layout(named)
	index := map[int32]int{}
	var out []Cell
	var first []int32 // a point of each cell
	for _, p := range x.selected(t.stage, named, t.where) {
		g := places.of[p]
		k, has := index[g]
		if !has {
			k = len(out)
			index[g] = k
			out = append(out, Cell{Row: x.coordsAt(p, t.Rows), Column: x.coordsAt(p, t.Columns)})
			first = append(first, p)
		}
		instance := t.stage.instances[t.stage.layout.of[p]]
		if slices.Contains(out[k].Instances, instance) {
			continue
		}
		if axis := x.difference(t.stage, named, first[k], p); axis != nil {
			x.ambiguous(t.key, "a cell of table "+t.Name, "rows, columns", axis, first[k], p)
			return nil
		}
		out[k].Instances, out[k].points = append(out[k].Instances, instance), append(out[k].points, p)
	}
	if len(out) == 0 && t.where != nil {
		x.keepsNone(t.where, "table "+t.Name)
	}
	return out
}

// keepsNone reports the where of a table or study that holds at none of its points.
func (x *expansion) keepsNone(where *code, what string) {
	if !x.blamed[where.node] {
		d := x.tree.Within(where.node, where.offset, where.offset+len([]rune(where.program.Text)), "where of %s keeps no point", what)
		d.Note = "axes that are not named stand at their baseline"
		x.report(d)
	}
}

func (x *expansion) setOf(names []string) axisSet {
	var s axisSet
	for _, n := range names {
		s |= setOf(x.axis(n).index)
	}
	return s
}

// selected lists the points of a table or study: those at which the axes that it does not name, and of depends on,
// stand at their baseline, and where holds. There is one for each combination of the axes that count.
func (x *expansion) selected(of *Stage, named axisSet, where *code) []int32 {
	axes := of.over | named
	if where != nil {
		axes |= where.axes
	}
	fixed := x.baseline & of.over &^ named
	f := x.newFrame()
	var out []int32
	for _, p := range x.layout(axes).first {
		f.ids = x.ids[p]
		at := true
		for _, a := range fixed.list() {
			at = at && f.ids[a] == x.spec.Axes[a].base
		}
		if at && where != nil {
			v, ok := where.eval(f)
			at = ok && v == true
		}
		if at {
			out = append(out, p)
		}
	}
	return out
}

// difference is an unnamed axis that makes points a and b differ, nil where only replicates do.
func (x *expansion) difference(of *Stage, named axisSet, a, b int32) *Axis {
	for _, k := range (of.over &^ named).list() {
		if axis := x.spec.Axes[k]; !axis.Replicates && x.ids[a][k] != x.ids[b][k] {
			return axis
		}
	}
	return nil
}

// ambiguous reports that what, at node n, would fold points that differ on axis. Axes are named in places.
func (x *expansion) ambiguous(n *yaml.Node, what, places string, axis *Axis, a, b int32) {
	if x.baselineBad {
		return // it may be what the baseline was to say
	}
	key := func(p int32) string {
		if id := x.ids[p][axis.index]; id != noValue {
			return axis.values[id].Key
		}
		return "null"
	}
	d := x.tree.At(n, "%s would hold %s=%s and %s=%s", what, axis.Name, key(a), axis.Name, key(b))
	d.Expected = fmt.Sprintf("%s in %s or where, or a baseline for it", axis.Name, places)
	d.Note = "only replicates fold into a mean"
	x.report(d)
}

func (x *expansion) coordsAt(p int32, axes []string) []stages.Coord {
	var out []stages.Coord
	for _, name := range axes {
		a := x.axis(name)
		key := "null"
		if id := x.ids[p][a.index]; id != noValue {
			key = a.values[id].Key
		}
		out = append(out, stages.Coord{Axis: name, Key: key, Replicate: a.Replicates})
	}
	return out
}

// checkSingle reports a value that is nothing but all metrics of i, or of one of its parts.
func (x *expansion) checkSingle(c *code, i *Instance) {
	depth := 1
	if i.Parts != nil {
		depth = 2
	}
	for _, n := range c.outcomes {
		if n.kind == "metrics" && len(n.path) < depth && n.Start == 0 && n.End == len([]rune(c.program.Text)) {
			names := i.metrics
			if i.Parts != nil && len(n.path) == 0 {
				names = i.Parts
			}
			d := x.tree.Within(c.node, c.offset, c.offset+n.End, "%s holds several metrics: a value is one", n.name)
			if d.Expected = n.name + ".NAME"; len(names) > 0 {
				d.Expected = listNames(strings.Split(n.name+"."+strings.Join(names, "\n"+n.name+"."), "\n"))
			}
			x.report(d)
		}
	}
}

// checkValues reports metrics that a stage's results do not have.
func (x *expansion) checkValues(of *Stage, values []Heading) {
	if of == nil || !of.made {
		return
	}
	seen := map[string]bool{}
	for _, i := range of.instances {
		if i.unnamed {
			continue
		}
		if memo := fmtNames(i.Parts) + "/" + fmtNames(i.metrics); !seen[memo] {
			seen[memo] = true
			for _, h := range values {
				if h.code == nil {
					continue
				}
				for _, n := range h.code.outcomes {
					x.checkMetric(h.code, n, i)
				}
				x.checkSingle(h.code, i)
			}
		}
	}
}
