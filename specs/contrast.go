package specs

import (
	"cmp"
	"math/bits"
	"slices"

	"regft/stages"
)

// A Contrast is one comparison of a study: what changes when some axes stand otherwise.
type Contrast struct {
	Changed   []stages.Coord // the axes that stand otherwise, and where
	Reference []stages.Coord // where they stand else; of LeaveOneOut, where all stand
	Pairs     []Pair         // in the order of points; a side may have no instance
}

// A Pair is two sides that agree on all but what a contrast changes. The instances of a side are replicates that fold.
type Pair struct{ Reference, Changed Cell }

// contrasts lists what a study compares.
func (x *expansion) contrasts(s *Study) []Contrast {
	x.checkValues(s.stage, s.Values)
	if s.bad || s.stage.bad {
		return nil
	}
	var out []Contrast
	switch {
	case s.Around != "":
		out = x.aroundBaseline(s)
	case s.Compare != "" && !s.stage.over.has(x.axis(s.Compare).index):
		d := x.tree.At(s.key, "study %s compares %s, on which stage %s does not depend", s.Name, s.Compare, s.Of)
		d.Expected = listNames(s.stage.Over)
		x.report(d)
		return nil
	case s.Compare != "":
		out = x.compared(s)
	}
	if len(out) == 0 && s.where != nil {
		x.keepsNone(s.where, "study "+s.Name)
	}
	return out
}

// sides are the points of a study: by the group of what it varies, then by the group of what pairs them.
type sides struct {
	of     map[int32]map[int32]*Cell
	first  map[int32]int32 // a point of each varied group
	varied *layout
	pairs  *layout
}

// sides sorts points; nil after the report of a mistake.
func (x *expansion) sides(s *Study, points []int32, varied, pairing axisSet) *sides {
	out := &sides{of: map[int32]map[int32]*Cell{}, first: map[int32]int32{}, varied: x.layout(varied), pairs: x.layout(pairing)}
	for _, p := range points {
		v, pair := out.varied.of[p], out.pairs.of[p]
		if out.of[v] == nil {
			out.of[v], out.first[v] = map[int32]*Cell{}, p
		}
		if out.of[v][pair] == nil {
			out.of[v][pair] = &Cell{}
		}
		c := out.of[v][pair]
		instance := s.stage.instances[s.stage.layout.of[p]]
		if slices.Contains(c.Instances, instance) {
			continue
		}
		if len(c.points) > 0 {
			if axis := x.difference(s.stage, varied|pairing, c.points[0], p); axis != nil {
				x.ambiguous(s.key, "a side of study "+s.Name, "paired_by", axis, c.points[0], p)
				return nil
			}
		}
		c.Instances, c.points = append(c.Instances, instance), append(c.points, p)
	}
	return out
}

// contrast pairs the sides of two varied groups; they differ on axes.
func (x *expansion) contrast(all *sides, reference, changed int32, axes, referenceAxes axisSet) Contrast {
	c := Contrast{Changed: x.coordsOn(all.first[changed], axes), Reference: x.coordsOn(all.first[reference], referenceAxes)}
	for pair := range int32(len(all.pairs.first)) {
		a, b := all.of[reference][pair], all.of[changed][pair]
		var p Pair
		if a != nil {
			p.Reference = *a
		}
		if b != nil {
			p.Changed = *b
		}
		if a != nil || b != nil {
			c.Pairs = append(c.Pairs, p)
		}
	}
	return c
}

func (x *expansion) coordsOn(point int32, axes axisSet) []stages.Coord {
	var names []string
	for _, a := range axes.list() {
		names = append(names, x.spec.Axes[a].Name)
	}
	return x.coordsAt(point, names)
}

// replicates are those of axes that tables fold.
func (x *expansion) replicates(axes axisSet) axisSet {
	var out axisSet
	for _, a := range axes.list() {
		if x.spec.Axes[a].Replicates {
			out |= setOf(a)
		}
	}
	return out
}

// aroundBaseline contrasts combinations of the axes that have a baseline, paired by replicate and what paired_by names.
func (x *expansion) aroundBaseline(s *Study) []Contrast {
	pairing := x.setOf(s.PairedBy) | x.replicates(s.stage.over)
	varied := x.baseline & s.stage.over &^ pairing
	all := x.sides(s, x.selected(s.stage, s.stage.over|pairing, s.where), varied, pairing)
	if all == nil {
		return nil
	}
	groups := x.byChanges(all, varied)
	var out []Contrast
	for _, g := range groups {
		changed := x.changes(all.first[g], varied)
		n := bits.OnesCount64(uint64(changed))
		switch {
		case s.Vary == LeaveOneOut:
			if n == len(varied.list())-1 {
				out = append(out, x.leftOut(all, groups, g, varied, varied&^changed)...)
			}
		case n == 1 || n == 2 && s.Vary == VaryPairs:
			if base, has := x.baselineGroup(all, varied); has {
				out = append(out, x.contrast(all, base, g, changed, changed))
			} else {
				out = append(out, x.alone(all, g, changed))
			}
		}
	}
	return out
}

// byChanges orders the varied groups of all: few changes first, then by the axes and values that changed.
func (x *expansion) byChanges(all *sides, varied axisSet) []int32 {
	var groups []int32
	for g := range all.of {
		groups = append(groups, g)
	}
	slices.SortFunc(groups, func(a, b int32) int {
		p, q := all.first[a], all.first[b]
		of, with := x.changes(p, varied), x.changes(q, varied)
		if d := bits.OnesCount64(uint64(of)) - bits.OnesCount64(uint64(with)); d != 0 {
			return d
		}
		if d := slices.Compare(of.list(), with.list()); d != 0 {
			return d
		}
		return cmp.Or(slices.Compare(x.ids[p], x.ids[q]), cmp.Compare(a, b))
	})
	return groups
}

// changes are the axes of varied on which a point differs from the baseline.
func (x *expansion) changes(point int32, varied axisSet) axisSet {
	var out axisSet
	for _, a := range varied.list() {
		if x.ids[point][a] != x.spec.Axes[a].base {
			out |= setOf(a)
		}
	}
	return out
}

func (x *expansion) baselineGroup(all *sides, varied axisSet) (int32, bool) {
	for g := range all.of {
		if x.changes(all.first[g], varied) == 0 {
			return g, true
		}
	}
	return 0, false
}

// alone is the contrast of a group with a baseline that has no point: all its pairs lack a side.
func (x *expansion) alone(all *sides, g int32, changed axisSet) Contrast {
	c := x.contrast(all, g, g, changed, 0)
	for k := range c.Pairs {
		c.Pairs[k].Reference = Cell{}
	}
	for _, a := range changed.list() {
		c.Reference = append(c.Reference, stages.Coord{Axis: x.spec.Axes[a].Name, Key: x.baseText(x.spec.Axes[a])})
	}
	return c
}

// baseText is the key of an axis' baseline.
func (x *expansion) baseText(a *Axis) string {
	if a.base >= 0 {
		return a.values[a.base].Key
	}
	return a.baseKey
}

// leftOut contrasts group g, in which axis stands at its baseline, with those in which it too stands otherwise.
func (x *expansion) leftOut(all *sides, groups []int32, g int32, varied, axis axisSet) []Contrast {
	var out []Contrast
	for _, full := range groups {
		p, q := all.first[full], all.first[g]
		if x.changes(p, varied) == varied && !slices.ContainsFunc((varied&^axis).list(), func(a int) bool { return x.ids[p][a] != x.ids[q][a] }) {
			out = append(out, x.contrast(all, full, g, axis, varied))
		}
	}
	return out
}

// compared contrasts each value of one axis with its baseline, or where it has none with the first.
func (x *expansion) compared(s *Study) []Contrast {
	axis := x.axis(s.Compare)
	varied, pairing := setOf(axis.index), x.setOf(s.PairedBy)
	points := x.selected(s.stage, varied|pairing, s.where)
	if len(s.PairedBy) == 0 {
		pairing = x.replicates(s.stage.over) &^ varied
	}
	all := x.sides(s, points, varied, pairing)
	if all == nil || len(all.of) == 0 {
		return nil
	}
	groups := x.byValue(all, axis)
	reference := groups[0]
	if base, has := x.baselineGroup(all, varied); has && x.baseline.has(axis.index) {
		reference = base
	}
	var out []Contrast
	for _, g := range groups {
		if g != reference {
			out = append(out, x.contrast(all, reference, g, varied, varied))
		}
	}
	return out
}

func (x *expansion) byValue(all *sides, axis *Axis) []int32 {
	var groups []int32
	for g := range all.of {
		groups = append(groups, g)
	}
	slices.SortFunc(groups, func(a, b int32) int {
		return cmp.Compare(x.ids[all.first[a]][axis.index], x.ids[all.first[b]][axis.index])
	})
	return groups
}
