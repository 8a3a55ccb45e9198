package specs

import (
	"math"

	"regft/stages"
)

// A layout says how the points fall together when only some axes count: into groups, numbered in the order of points.
type layout struct {
	axes   axisSet
	of     []int32 // point → group
	first  []int32 // group → its first point
	coords [][]stages.Coord
}

// layout groups the points by axes.
func (x *expansion) layout(axes axisSet) *layout {
	if l, done := x.layouts[axes]; done {
		return l
	}
	l := &layout{axes: axes, of: make([]int32, len(x.ids))}
	codes, size := make([]uint64, len(x.ids)), uint64(1) // of the values at each point: a number below size
	for _, a := range axes.list() {
		values := uint64(len(x.spec.Axes[a].values)) + 1 // noValue too
		if size > math.MaxUint64/values {
			size = l.number(codes, size)
			for i, g := range l.of {
				codes[i] = uint64(g)
			}
		}
		size *= values
		for i, ids := range x.ids {
			codes[i] = codes[i]*values + uint64(ids[a]+1)
		}
	}
	l.number(codes, size)
	x.layouts[axes] = l
	return l
}

// number makes a group of the points with equal codes, which are below size. It gives the number of groups.
func (l *layout) number(codes []uint64, size uint64) uint64 {
	l.first = l.first[:0]
	add := func(i int) int32 {
		l.first = append(l.first, int32(i))
		return int32(len(l.first) - 1)
	}
	if size <= 4*uint64(len(codes))+64 { // a table is faster than a map
		groups := make([]int32, size) // each plus one
		for i, c := range codes {
			if groups[c] == 0 {
				groups[c] = add(i) + 1
			}
			l.of[i] = groups[c] - 1
		}
		return uint64(len(l.first))
	}
	groups := map[uint64]int32{}
	for i, c := range codes {
		g, has := groups[c]
		if !has {
			g = add(i)
			groups[c] = g
		}
		l.of[i] = g
	}
	return uint64(len(l.first))
}

// describe fills in the coordinates of l's groups.
func (x *expansion) describe(l *layout) {
	if l.coords != nil {
		return
	}
	list := l.axes.list()
	n := len(list)
	l.coords = make([][]stages.Coord, len(l.first))
	all := make([]stages.Coord, n*len(l.first))
	for g, i := range l.first {
		l.coords[g] = all[g*n : (g+1)*n : (g+1)*n]
		for k, a := range list {
			axis, id := x.spec.Axes[a], x.ids[i][a]
			l.coords[g][k] = stages.Coord{Axis: axis.Name, Key: "null", Replicate: axis.Replicates}
			if id != noValue {
				l.coords[g][k].Key = axis.values[id].Key
			}
		}
	}
}

// Point is one value for each axis of Stage.Over, as results.jsonl has it.
func (i *Instance) Point() map[string]any {
	out := make(map[string]any, len(i.Coords))
	for k, c := range i.Coords {
		out[c.Axis] = i.value(k)
	}
	return out
}

// value is that of the k-th axis: of an instance that no expansion made, its key.
func (i *Instance) value(k int) any {
	x := i.Stage.expansion
	if x == nil {
		return i.Coords[k].Key
	}
	a := i.Stage.over.list()[k]
	id := x.ids[i.Stage.layout.first[i.group]][a]
	if id == noValue {
		return nil
	}
	return x.spec.Axes[a].values[id].JSON
}

// within lists, for each group of outer, the groups of inner that have a point in common with it, in the order of points.
func (x *expansion) within(outer, inner *layout) [][]int32 {
	key := [2]axisSet{outer.axes, inner.axes}
	if out, done := x.pairs[key]; done {
		return out
	}
	both := x.layout(outer.axes | inner.axes)
	out := make([][]int32, len(outer.first))
	for _, i := range both.first {
		g := outer.of[i]
		out[g] = append(out[g], inner.of[i])
	}
	x.pairs[key] = out
	return out
}
