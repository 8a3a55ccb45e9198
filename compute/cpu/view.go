package cpu

import (
	"slices"

	"github.com/gomlx/compute"
)

// A view is a tensor of those dims in another one's memory: the element at index i is at offset + Σ i·strides.
type view struct {
	dims, strides []int
	offset        int
}

// contiguous is the view of a whole tensor.
func contiguous(dims []int) view {
	v := view{dims: dims, strides: make([]int, len(dims))}
	stride := 1
	for i := len(dims) - 1; i >= 0; i-- {
		v.strides[i] = stride
		stride *= dims[i]
	}
	return v
}

func product(dims []int) int {
	n := 1
	for _, d := range dims {
		n *= d
	}
	return n
}

// merged joins neighbouring axes that are one axis in memory, and drops those of size 1.
func (v view) merged() view {
	m := view{offset: v.offset}
	for i, d := range v.dims {
		last := len(m.dims) - 1
		switch {
		case d == 1:
		case last >= 0 && m.strides[last] == d*v.strides[i]:
			m.dims[last] *= d
			m.strides[last] = v.strides[i]
		default:
			m.dims, m.strides = append(m.dims, d), append(m.strides, v.strides[i])
		}
	}
	return m
}

// isRun tells whether the view, merged, is one run of memory.
func (v view) isRun() bool { return len(v.dims) == 0 || len(v.dims) == 1 && v.strides[0] == 1 }

// isScalar tells whether all elements of the view, merged, are the same one.
func (v view) isScalar() bool { return len(v.dims) == 0 || len(v.dims) == 1 && v.strides[0] == 0 }

// broadcast is the view with its axes at the axes to of dims; those of size 1 are repeated.
func (v view) broadcast(dims, to []int) view {
	w := view{dims: dims, strides: make([]int, len(dims)), offset: v.offset}
	for i, axis := range to {
		if v.dims[i] == dims[axis] {
			w.strides[axis] = v.strides[i]
		}
	}
	return w
}

// slice is a part of the view.
func (v view) slice(s slicing) view {
	w := view{offset: v.offset}
	for i, stride := range v.strides {
		step := 1
		if len(s.strides) > 0 {
			step = s.strides[i]
		}
		w.offset += s.starts[i] * stride
		w.dims = append(w.dims, (s.limits[i]-s.starts[i]+step-1)/step)
		w.strides = append(w.strides, step*stride)
	}
	return w
}

// transpose is the view with its axes in another order.
func (v view) transpose(permutation []int) view {
	w := view{offset: v.offset}
	for _, axis := range permutation {
		w.dims, w.strides = append(w.dims, v.dims[axis]), append(w.strides, v.strides[axis])
	}
	return w
}

// reshape is the view in other dims, where that takes no copy: every new axis has to lie in one axis of the view, merged.
func (v view) reshape(dims []int) (view, bool) {
	if slices.Equal(dims, v.dims) {
		return v, true
	}
	m := v.merged()
	w := view{dims: dims, strides: make([]int, len(dims)), offset: v.offset}
	at, left := len(m.dims)-1, 1 // left is how much of axis at is not covered yet
	var stride int
	for i := len(dims) - 1; i >= 0; i-- {
		if dims[i] == 1 {
			continue
		}
		if left == 1 {
			if at < 0 {
				return view{}, false
			}
			left, stride = m.dims[at], m.strides[at]
			at--
		}
		if left%dims[i] != 0 {
			return view{}, false
		}
		w.strides[i] = stride
		stride *= dims[i]
		left /= dims[i]
	}
	return w, true
}

// viewOf finds the value in whose memory v can be read, and how. Transpositions that keep the last axis are looked
// through, all of them with any.
func (c *compiler) viewOf(v *value, any bool) (*value, view) {
	root := c.root(v)
	if base, w, ok := c.viewOfRoot(root, any); ok {
		if w, ok := w.reshape(v.shape.Dimensions); ok {
			return base, w
		}
	}
	return root, contiguous(v.shape.Dimensions)
}

func (c *compiler) viewOfRoot(root *value, any bool) (*value, view, bool) {
	n := root.node
	if p, ok := c.placed[root]; ok {
		return p, contiguous(p.shape.Dimensions).transpose(swap), true
	}
	if _, known := c.constants[root]; known || c.demanded[root] || root.shape.Size() == 0 || root.shape.DType.IsPacked() {
		return nil, view{}, false
	}
	switch attrs := n.attrs.(type) {
	case broadcast:
		base, w := c.viewOf(n.inputs[0], any)
		return base, w.broadcast(attrs.dims, attrs.to), true
	case slicing:
		base, w := c.viewOf(n.inputs[0], any)
		return base, w.slice(attrs), true
	case permutation:
		if last := len(attrs) - 1; n.op == compute.OpTypeTranspose && last > 0 && (any || attrs[last] == last) {
			base, w := c.viewOf(n.inputs[0], any)
			return base, w.transpose(attrs), true
		}
	}
	return nil, view{}, false
}

// A reader reads a view's elements in order.
type reader struct {
	view  // merged
	index []int
	at    int // of the current element in memory
}

// seek prepares to read from element i on.
func (r *reader) seek(v view, i int) {
	r.view, r.index, r.at = v, r.index[:0], v.offset
	for range v.dims {
		r.index = append(r.index, 0)
	}
	for axis := len(v.dims) - 1; axis >= 0; axis-- {
		r.index[axis] = i % v.dims[axis]
		i /= v.dims[axis]
		r.at += r.index[axis] * v.strides[axis]
	}
}

// next gives the next elements on the last axis, at most n: where they begin, and how many.
func (r *reader) next(n int) (at, count int) {
	at = r.at
	last := len(r.dims) - 1
	if last < 0 {
		return at, n
	}
	count = min(n, r.dims[last]-r.index[last])
	r.index[last] += count
	r.at += count * r.strides[last]
	for axis := last; axis > 0 && r.index[axis] == r.dims[axis]; axis-- {
		r.at += r.strides[axis-1] - r.dims[axis]*r.strides[axis]
		r.index[axis] = 0
		r.index[axis-1]++
	}
	return at, count
}

// stride is that of the last axis.
func (r *reader) stride() int {
	if len(r.strides) == 0 {
		return 0
	}
	return r.strides[len(r.strides)-1]
}

// period is after how many elements the view repeats itself, 0 where it does not: those of the axes behind one that is
// repeated.
func (v view) period() int {
	for axis := len(v.dims) - 2; axis >= 0; axis-- {
		if v.strides[axis] == 0 {
			return product(v.dims[axis+1:])
		}
	}
	return 0
}

// read copies elements of a view of src, from element i on, to dst. What repeats itself is read once.
func read[T any](r *reader, dst, src []T, v view, i int) {
	period := v.period()
	if period == 0 || len(dst) <= period || len(v.dims) > 2 && !v.repeats(period, i, len(dst)) {
		readAll(r, dst, src, v, i)
		return
	}
	readAll(r, dst[:period], src, v, i)
	for n := period; n < len(dst); n *= 2 {
		copy(dst[n:], dst[:n])
	}
}

// repeats tells whether n elements from i on lie within the axis that is repeated.
func (v view) repeats(period, i, n int) bool {
	whole := period
	for axis := len(v.dims) - 1; axis >= 0; axis-- {
		if product(v.dims[axis+1:]) == period && v.strides[axis] == 0 {
			whole = period * v.dims[axis]
		}
	}
	return i/whole == (i+n-1)/whole
}

// readAll is read element by element.
func readAll[T any](r *reader, dst, src []T, v view, i int) {
	r.seek(v, i)
	stride := r.stride()
	for len(dst) > 0 {
		at, n := r.next(len(dst))
		switch stride {
		case 1:
			copy(dst[:n], src[at:])
		case 0:
			fill(dst[:n], src[at])
		default:
			for k := range dst[:n] {
				dst[k] = src[at+k*stride]
			}
		}
		dst = dst[n:]
	}
}

func fill[T any](dst []T, x T) {
	for i := range dst {
		dst[i] = x
	}
}
