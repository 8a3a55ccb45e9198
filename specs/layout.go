package specs

import (
	"encoding/binary"

	"regft/stages"
)

// A layout says how the points fall together when only some axes count: into groups, numbered in the order of points.
type layout struct {
	axes   axisSet
	of     []int32 // point → group
	first  []int32 // group → its first point
	coords [][]stages.Coord
	points []map[string]any
}

// layout groups the points by axes.
func (x *expansion) layout(axes axisSet) *layout {
	if l, done := x.layouts[axes]; done {
		return l
	}
	l := &layout{axes: axes, of: make([]int32, len(x.ids))}
	list := axes.list()
	seen := map[string]int32{}
	key := make([]byte, 4*len(list))
	for i, ids := range x.ids {
		for k, a := range list {
			binary.LittleEndian.PutUint32(key[4*k:], uint32(ids[a]))
		}
		g, has := seen[string(key)]
		if !has {
			g = int32(len(l.first))
			seen[string(key)] = g
			l.first = append(l.first, int32(i))
		}
		l.of[i] = g
	}
	x.layouts[axes] = l
	return l
}

// describe fills in the coordinates of l's groups.
func (x *expansion) describe(l *layout) {
	if l.coords != nil {
		return
	}
	list := l.axes.list()
	l.coords = make([][]stages.Coord, len(l.first))
	l.points = make([]map[string]any, len(l.first))
	for g, i := range l.first {
		l.coords[g] = make([]stages.Coord, 0, len(list))
		l.points[g] = make(map[string]any, len(list))
		for _, a := range list {
			axis, id := x.spec.Axes[a], x.ids[i][a]
			coord, value := stages.Coord{Axis: axis.Name, Key: "null", Replicate: axis.Replicates}, any(nil)
			if id != noValue {
				coord.Key, value = axis.values[id].Key, axis.values[id].JSON
			}
			l.coords[g] = append(l.coords[g], coord)
			l.points[g][axis.Name] = value
		}
	}
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
