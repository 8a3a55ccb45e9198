package cpu

import (
	"math"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"

	"regft/compute/cpu/kernels"
)

// A fold reduces numbers to one: within a run, and run by run.
type fold struct {
	run   func(x []float32) float32
	pair  kernels.BinaryOp
	start float32
}

var folds = map[compute.OpType]fold{
	compute.OpTypeReduceSum: {kernels.Sum, kernels.Add, 0},
	compute.OpTypeReduceMax: {kernels.Maximum, kernels.Max, float32(math.Inf(-1))},
	compute.OpTypeReduceMin: {kernels.Minimum, kernels.Min, float32(math.Inf(1))},
}

// A reduction folds a chain [outer, count, inner] over its middle axis, in an order that depends on the sizes alone.
type reduction struct {
	fold
	chain               *chain
	outer, count, inner int
}

// An extent is a run of neighbouring axes that are all kept or all reduced.
type extent struct {
	size    int
	reduced bool
}

// extents are the axes of a reduction, neighbours of a kind together.
func extents(dims []int, over axes) []extent {
	var out []extent
	for i, d := range dims {
		reduced := len(over) == 0 || slices.Contains(over, i)
		if last := len(out) - 1; last >= 0 && out[last].reduced == reduced {
			out[last].size *= d
		} else if d != 1 {
			out = append(out, extent{d, reduced})
		}
	}
	return out
}

// lowerReduce makes steps of a reduction: one for each run of reduced axes, and the element-wise
// operations that only the reduction needs inside the first.
func (c *compiler) lowerReduce(n *node) bool {
	how, ok := folds[n.op]
	if !ok || !isFloat32(n) || n.inputs[0].shape.Size() == 0 {
		return false
	}
	x := n.inputs[0]
	var passes []reduction
	e := extents(x.shape.Dimensions, n.attrs.(axes))
	for {
		i := nextReduced(e)
		if i < 0 {
			break
		}
		passes = append(passes, reduction{fold: how, outer: sizeOf(e[:i]), count: e[i].size, inner: sizeOf(e[i+1:])})
		e = without(e, i)
	}
	if len(passes) == 0 {
		passes = append(passes, reduction{fold: how, outer: x.shape.Size(), count: 1, inner: 1})
	}
	c.emitPasses(n, passes)
	return true
}

// emitPasses emits the passes, the last one first.
func (c *compiler) emitPasses(n *node, passes []reduction) {
	out := n.outputs
	for i := len(passes) - 1; i >= 0; i-- {
		p := &passes[i]
		f := c.newFusion(p.outer * p.count * p.inner)
		var in []*value
		if i == 0 {
			f.collect(n)
			f.chain.result = f.register(n.inputs[0])
		} else {
			in = []*value{temporary(shapes.Make(dtypes.Float32, passes[i-1].outer*passes[i-1].inner))}
			f.chain.result = f.source(in[0], contiguous(in[0].shape.Dimensions))
		}
		p.chain = f.finish()
		c.emit(step{op: n.op, in: f.inputs, out: out, run: p.kernel()})
		out = in
	}
}

// temporary is a value between the steps of one operation.
func temporary(s shapes.Shape) *value { return &value{node: &node{id: -1}, shape: s} }

// shortRow is the length below which rows are folded after what is before them, when there is little left of them.
const shortRow = 64

// nextReduced is the extent to reduce next: the last, unless it is short and there is another. -1 for none.
func nextReduced(e []extent) int {
	i := lastReduced(e)
	if i < 0 || e[i].size >= shortRow {
		return i
	}
	if before := lastReduced(e[:i]); before >= 0 {
		return before
	}
	return i
}

func lastReduced(e []extent) int {
	for i := len(e) - 1; i >= 0; i-- {
		if e[i].reduced {
			return i
		}
	}
	return -1
}

func sizeOf(e []extent) int {
	n := 1
	for _, x := range e {
		n *= x.size
	}
	return n
}

// without drops extent i, and joins those before and behind it.
func without(e []extent, i int) []extent {
	out := slices.Delete(slices.Clone(e), i, i+1)
	if i > 0 && i < len(out) && out[i-1].reduced == out[i].reduced {
		out[i-1].size *= out[i].size
		out = slices.Delete(out, i, i+1)
	}
	return out
}

func (r *reduction) kernel() kernel {
	if r.inner == 1 {
		return r.rows
	}
	return r.columns
}

// rows folds contiguous rows. Long rows are folded in segments, and then what came of those.
func (r *reduction) rows(x *execution, in, out []any) error {
	dst, scalars := out[0].([]float32), r.chain.scalarValues(in)
	if r.count <= taskSize {
		block := max(1, taskSize/r.count)
		x.pool.Run((r.outer+block-1)/block, func(i int) {
			t := r.chain.tile()
			defer r.chain.tiles.Put(t)
			r.shortRows(t, in, scalars, dst, i*block, min(r.outer, (i+1)*block))
		})
		return nil
	}
	segments := (r.count + taskSize - 1) / taskSize
	partial := make([]float32, r.outer*segments)
	x.pool.Run(len(partial), func(i int) {
		t := r.chain.tile()
		defer r.chain.tiles.Put(t)
		row, from := i/segments*r.count, i%segments*taskSize
		partial[i] = r.run1(t, in, scalars, row+from, row+min(r.count, from+taskSize))
	})
	for i := range dst {
		dst[i] = r.run(partial[i*segments:][:segments])
	}
	return nil
}

// shortRows folds rows from to to-1: several in one tile, or one in several tiles.
func (r *reduction) shortRows(t *tile, in []any, scalars, dst []float32, from, to int) {
	if r.count > tileSize {
		for row := from; row < to; row++ {
			dst[row] = r.run1(t, in, scalars, row*r.count, (row+1)*r.count)
		}
		return
	}
	block := tileSize / r.count
	for ; from < to; from += block {
		end := min(to, from+block)
		values := r.chain.run(t, in, scalars, from*r.count, end*r.count, nil)
		for row := from; row < end; row++ {
			dst[row] = r.run(values[(row-from)*r.count:][:r.count])
		}
	}
}

// run1 folds the elements from, …, to-1 of the chain.
func (r *reduction) run1(t *tile, in []any, scalars []float32, from, to int) float32 {
	var parts [taskSize / tileSize]float32
	n := 0
	for ; from < to; from += tileSize {
		parts[n] = r.run(r.chain.run(t, in, scalars, from, min(to, from+tileSize), nil))
		n++
	}
	return r.run(parts[:n])
}

// columns folds rows of inner elements. A task folds a band of rows, no wider than a tile; then bands are folded.
func (r *reduction) columns(x *execution, in, out []any) error {
	dst, scalars := out[0].([]float32), r.chain.scalarValues(in)
	width := min(r.inner, tileSize)
	band := max(32, taskSize/width)
	bands, blocks := (r.count+band-1)/band, (r.inner+width-1)/width
	partial := dst
	if bands > 1 {
		partial = make([]float32, bands*r.outer*r.inner)
	}
	x.pool.Run(r.outer*bands*blocks, func(i int) {
		t := r.chain.tile()
		defer r.chain.tiles.Put(t)
		o, b, j := i/(bands*blocks), i/blocks%bands, i%blocks*width
		sums := partial[(b*r.outer+o)*r.inner+j:][:min(width, r.inner-j)]
		r.band(t, in, scalars, sums, o, b*band, min(r.count, (b+1)*band), j)
	})
	if bands > 1 {
		copy(dst, partial)
		for b := 1; b < bands; b++ {
			kernels.Binary(r.pair, dst, dst, partial[b*len(dst):])
		}
	}
	return nil
}

// band folds rows from to to-1 of block o into sums, from column j on.
func (r *reduction) band(t *tile, in []any, scalars, sums []float32, o, from, to, j int) {
	fill(sums, r.start)
	height := 1
	if r.inner <= tileSize {
		height = tileSize / r.inner
	}
	for row := from; row < to; row += height {
		at := (o*r.count+row)*r.inner + j
		end := at + len(sums) + (min(height, to-row)-1)*r.inner
		for values := r.chain.run(t, in, scalars, at, end, nil); len(values) > 0; values = values[len(sums):] {
			kernels.Binary(r.pair, sums, sums, values)
		}
	}
}
