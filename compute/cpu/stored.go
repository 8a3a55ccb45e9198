package cpu

import (
	"math"
	"slices"

	"regft/compute/cpu/kernels"
)

// Weights that do not change between executions are kept in the order in which products and convolutions read them, in their
// own memory: the first program that reads a settled buffer ([Buffer.Settle]) in one such order alone puts it in that order.
// Whoever else reads the buffer gets a copy in its own order.

// A layout is an order of weights: that of a packed matrix [rows, columns] with those strides in row-major weights, or with
// taps that of a convolution's weights [columns, rows/taps, taps].
type layout struct {
	rows, columns           int
	rowStride, columnStride int
	taps                    int // 0 for a matrix
}

func (l layout) size() int { return l.rows * l.columns }

func (l layout) view(data []float32) kernels.View {
	return kernels.View{Data: data, Batch: 1, Rows: l.rows, Cols: l.columns, RowStride: l.rowStride, ColStride: l.columnStride}
}

func (l layout) convolution() kernels.Conv {
	return kernels.Conv{KernelHeight: l.taps, KernelWidth: 1, Channels: l.rows / l.taps, OutChannels: l.columns, Groups: 1}
}

// pack copies weights from their own order to the layout's, unpack back.
func (l layout) pack(pool kernels.Pool, dst, src []float32) {
	if l.taps > 0 {
		l.convolution().PackOIHWInto(pool, dst, src)
		return
	}
	kernels.PackInto(pool, dst, l.view(src))
}

func (l layout) unpack(pool kernels.Pool, dst, src []float32) {
	if l.taps > 0 {
		l.convolution().UnpackOIHW(pool, dst, l.convolution().PackedIn(src))
		return
	}
	kernels.PackedIn(src, l.rows, l.columns).Unpack(pool, l.view(dst))
}

// A storedInput says that a step can read an input in a layout, and how.
type storedInput struct {
	input  int
	layout layout
	run    kernel
}

// stored is how the product can read its second operand, nil where it is not one whole matrix that packs into its own memory.
func (m *matmul) stored(b *value) *storedInput {
	l := layout{rows: m.depth.size, columns: m.columns.size, rowStride: m.depth.b, columnStride: m.columns.b}
	whole := l.rowStride == 1 && l.columnStride == l.rows || l.columnStride == 1 && l.rowStride == l.columns
	if len(m.loops) > 0 || m.batch.size != 1 || m.offsetB != 0 || !whole || b.shape.Size() != l.size() || !kernels.FillPanels(l.columns) {
		return nil
	}
	return &storedInput{input: 1, layout: l, run: func(x *execution, in, out []any) error {
		a, _, c := m.views(in[0].([]float32)[m.offsetA:], nil, out[0].([]float32))
		kernels.GemmPacked(x.pool, 1, a, kernels.PackedIn(in[1].([]float32), l.rows, l.columns), 0, c, m.end.kernel(in))
		return nil
	}}
}

// storedConv is how a convolution can read its weights, which lie in torch's order.
func storedConv(conv kernels.Conv, end ending) *storedInput {
	taps := conv.KernelHeight * conv.KernelWidth
	if conv.Groups != 1 || !kernels.FillPanels(conv.OutChannels) {
		return nil
	}
	l := layout{rows: taps * conv.Channels, columns: conv.OutChannels, taps: taps}
	return &storedInput{input: 1, layout: l, run: func(x *execution, in, out []any) error {
		conv.Forward(x.pool, out[0].([]float32), in[0].([]float32), conv.PackedIn(in[1].([]float32)), end.kernel(in))
		return nil
	}}
}

// A use is an input of a step.
type use struct{ step, input int }

// findStored finds the parameters that all steps can read in one layout.
func (p *planner) findStored() {
	uses := map[int][]use{}
	for i, s := range p.p.steps {
		for k, in := range s.in {
			uses[in] = append(uses[in], use{i, k})
		}
	}
	p.p.layouts = make([]*layout, len(p.p.inputs))
	for i, slot := range p.p.inputs {
		if l, readers := p.layoutOf(slot, uses); l != nil {
			p.p.layouts[i] = l
			for _, step := range readers {
				p.p.steps[step].storedBy = i
			}
		}
	}
}

// layoutOf is the layout in which all that reads a slot can read it, nil for none, and the steps that do.
func (p *planner) layoutOf(slot int, uses map[int][]use) (l *layout, readers []int) {
	if p.isOutput(slot) {
		return nil, nil
	}
	for _, u := range uses[slot] {
		s := p.steps[u.step]
		var here *layout
		switch {
		case s.stored != nil && s.stored.input == u.input:
			here, readers = &s.stored.layout, append(readers, u.step)
		case s.keepsOrder:
			var behind []int
			here, behind = p.layoutOf(p.p.steps[u.step].out[0], uses)
			readers = append(readers, behind...)
		}
		if here == nil || l != nil && *l != *here {
			return nil, nil
		}
		l = here
	}
	return l, readers
}

// Settle says that the buffer's memory is reached through the buffer alone from now on: a backend may keep its elements in
// any order until Data is called.
func (b *Buffer) Settle() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.settled = true
}

// acquire gives the buffer's elements to an execution, in the layout wanted if stored. Where they are the buffer's own, not a
// copy, they stay as they are until release.
func (b *Buffer) acquire(want *layout) (flat any, stored bool, release func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.layout != nil && (want == nil || *want != *b.layout) {
		return b.inOwnOrder(), false, func() {}
	}
	if b.layout == nil && want != nil && b.settled && b.users == 0 {
		b.reorder(want.pack)
		b.layout = want
	}
	b.users++
	return b.flat, b.layout != nil, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.users--
	}
}

// donate gives the buffer's memory to an execution for good.
func (b *Buffer) donate() any {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.unsettle()
	flat := b.flat
	b.flat = nil
	return flat
}

// unsettle puts the elements back in their own order, to stay so.
func (b *Buffer) unsettle() {
	b.settled = false
	if b.layout == nil {
		return
	}
	if b.users > 0 {
		b.flat = b.inOwnOrder()
	} else {
		b.reorder(b.layout.unpack)
	}
	b.layout = nil
}

// inOwnOrder is a copy of the elements in their own order.
func (b *Buffer) inOwnOrder() any {
	flat := newFlat(b.shape)
	b.copyTo(flat)
	return flat
}

// copyTo copies the elements in their own order.
func (b *Buffer) copyTo(flat any) {
	if b.layout == nil {
		copyFlat(flat, b.flat)
		return
	}
	w := takeWorkspace()
	defer spare.put(w)
	w.through(b.pool(), flat, b.flat, b.layout.unpack)
}

// reorder puts the elements in another order.
func (b *Buffer) reorder(order func(pool kernels.Pool, dst, src []float32)) {
	w := takeWorkspace()
	defer spare.put(w)
	w.through(b.pool(), b.flat, b.flat, order)
}

// A workspace is memory for elements of one buffer while they are put in another order.
type workspace struct{ from, to []float32 }

var spare idle[workspace]

func takeWorkspace() *workspace {
	if w := spare.take(); w != nil {
		return w
	}
	return &workspace{}
}

// pool is one that no end of an execution stops: what is in between two orders is lost.
func (b *Buffer) pool() kernels.Pool { return &stoppable{pool: b.backend.pool} }

// through puts elements in another order, in place where dst is src: those of float32, and those of a half type by way of
// float32 with the same bits.
func (w *workspace) through(pool kernels.Pool, dst, src any, order func(pool kernels.Pool, dst, src []float32)) {
	if from, ok := src.([]float32); ok {
		w.from = append(w.from[:0], from...)
		order(pool, dst.([]float32), w.from)
		return
	}
	from, to := halves(src), halves(dst)
	w.from, w.to = slices.Grow(w.from[:0], len(from))[:len(from)], slices.Grow(w.to[:0], len(from))[:len(from)]
	for i, x := range from {
		w.from[i] = math.Float32frombits(uint32(x))
	}
	order(pool, w.to, w.from)
	for i, x := range w.to {
		to[i] = uint16(math.Float32bits(x))
	}
}
