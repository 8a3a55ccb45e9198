package kernels

// transposeTile is the side of the tiles of a transposition: two of 16 KiB stay in the L1 cache.
const transposeTile = 64

// Transpose sets dst [cols, rows] to the transposed x [rows, cols].
func Transpose(pool Pool, dst, x []float32, rows, cols int) {
	transposeBatch(pool, dst, x, 1, rows, cols)
}

func transposeBatch(pool Pool, dst, x []float32, batch, rows, cols int) {
	bands := ceilDiv(rows, transposeTile)
	pool.Run(batch*bands, func(i int) {
		from := i / bands * rows * cols
		i0 := i % bands * transposeTile
		transposeTiles(dst[from+i0:], rows, x[from+i0*cols:], cols, min(transposeTile, rows-i0), cols)
	})
}

// transposeTiles sets dst [cols, rows] to the transposed src [rows, cols], tile by tile.
func transposeTiles(dst []float32, dstStride int, src []float32, srcStride, rows, cols int) {
	for i := 0; i < rows; i += transposeTile {
		for j := 0; j < cols; j += transposeTile {
			transposeBlock(dst[j*dstStride+i:], dstStride, src[i*srcStride+j:], srcStride,
				min(transposeTile, rows-i), min(transposeTile, cols-j))
		}
	}
}

// transposeBlock sets dst [cols, rows] to the transposed src [rows, cols].
func transposeBlock(dst []float32, dstStride int, src []float32, srcStride, rows, cols int) {
	active.transpose(dst, dstStride, src, srcStride, rows, cols)
}

// Permute sets dst to x with its axes in another order: axis i of dst is axis perm[i] of x, whose sizes are dims.
func Permute(pool Pool, dst, x []float32, dims, perm []int) {
	sizes, strides := permuted(dims, perm)
	sizes, strides = mergeAxes(sizes, strides)
	if len(sizes) == 0 {
		dst[0] = x[0]
		return
	}
	if batch, rows, cols, ok := plainTranspose(sizes, strides); ok {
		transposeBatch(pool, dst, x, batch, rows, cols)
		return
	}
	p := permutation{dst: dst, x: x, sizes: sizes, strides: strides}
	p.run(pool)
}

// permuted gives for every axis of the result its size and its stride in x.
func permuted(dims, perm []int) (sizes, strides []int) {
	of := make([]int, len(dims))
	stride := 1
	for i := len(dims) - 1; i >= 0; i-- {
		of[i] = stride
		stride *= dims[i]
	}
	for _, axis := range perm {
		sizes, strides = append(sizes, dims[axis]), append(strides, of[axis])
	}
	return sizes, strides
}

// mergeAxes drops axes of size 1 and joins neighbours that are one run in x too.
func mergeAxes(sizes, strides []int) (mergedSizes, mergedStrides []int) {
	for i, size := range sizes {
		last := len(mergedSizes) - 1
		switch {
		case size == 1:
		case last >= 0 && mergedStrides[last] == size*strides[i]:
			mergedSizes[last] *= size
			mergedStrides[last] = strides[i]
		default:
			mergedSizes, mergedStrides = append(mergedSizes, size), append(mergedStrides, strides[i])
		}
	}
	return mergedSizes, mergedStrides
}

// plainTranspose tells whether the axes are [batch,] cols, rows of a contiguous [batch,] rows, cols.
func plainTranspose(sizes, strides []int) (batch, rows, cols int, ok bool) {
	n := len(sizes)
	if n < 2 || n > 3 || strides[n-2] != 1 || strides[n-1] != sizes[n-2] {
		return 0, 0, 0, false
	}
	batch, cols, rows = 1, sizes[n-2], sizes[n-1]
	if n == 3 {
		batch = sizes[0]
	}
	return batch, rows, cols, n == 2 || strides[0] == rows*cols
}

// A permutation copies x into a contiguous dst of sizes, whose axes have strides in x.
type permutation struct {
	dst, x         []float32
	sizes, strides []int
}

// run cuts the first axes into tasks: all but the last two, or all but the last.
func (p *permutation) run(pool Pool) {
	inner := min(2, len(p.sizes))
	outer := len(p.sizes) - inner
	count, block := 1, 1
	for i, size := range p.sizes {
		if i < outer {
			count *= size
		} else {
			block *= size
		}
	}
	runBlocks(pool, count, max(1, reduceBlock/max(block, 1)), func(from, to int) {
		for i := from; i < to; i++ {
			p.copyBlock(p.dst[i*block:][:block], p.x[p.offset(i, outer):], outer)
		}
	})
}

// offset is where element i of the first outer axes, counted in the result's order, lies in x.
func (p *permutation) offset(i, outer int) int {
	offset := 0
	for axis := outer - 1; axis >= 0; axis-- {
		offset += i % p.sizes[axis] * p.strides[axis]
		i /= p.sizes[axis]
	}
	return offset
}

// copyBlock copies the axes from outer on, one or two.
func (p *permutation) copyBlock(dst, x []float32, outer int) {
	sizes, strides := p.sizes[outer:], p.strides[outer:]
	if len(sizes) == 1 {
		copyStrided(dst, x, strides[0])
		return
	}
	if strides[0] == 1 && sizes[0] >= 8 && sizes[1] >= 8 {
		transposeTiles(dst, sizes[1], x, strides[1], sizes[1], sizes[0])
		return
	}
	for i := range sizes[0] {
		copyStrided(dst[i*sizes[1]:][:sizes[1]], x[i*strides[0]:], strides[1])
	}
}

func copyStrided(dst, x []float32, stride int) {
	if stride == 1 {
		copy(dst, x)
		return
	}
	for i := range dst {
		dst[i] = x[i*stride]
	}
}
