package kernels

import "math"

// Winograd's minimal filtering F(4×4, 3×3) (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2016): tiles
// of 6×6 pixels and the 3×3 kernel are transformed, multiplied element by element, which over all channels is 36 matrix
// products, and transformed back to 4×4 results. A quarter of the multiplications, and an error some four times that of the
// direct sums: polynomials are interpolated at 0, ±√½, ±√2 and ∞ instead of the usual 0, ±1, ±2 and ∞, whose error is
// twice to four times as large. Weights are transformed in every call, once where several blocks of tiles share them: kept
// transformed they would take four times the memory.
const (
	winogradIn   = 6
	winogradOut  = 4
	winogradSize = winogradIn * winogradIn

	near0 = 1 / math.Sqrt2 // √½
	far0  = math.Sqrt2     // √2
)

// Sizes of the blocks of Winograd's method: the columns of products that are in work at a time, and the channels whose weights
// are transformed at a time.
const (
	winogradColumns  = 128
	winogradChannels = 32
	winogradShared   = 16 << 20 // numbers: weights transformed once for a call, 64 MiB
)

// winogradTiles is how many tiles are in work at a time.
func (s *instructionSet) winogradTiles() int { return s.mc / 2 }

// winogradMinTiles is how many tiles repay the transformation of the weights.
const winogradMinTiles = 6

// suitsWinograd tells whether Forward computes c by Winograd's method.
func (c Conv) suitsWinograd() bool {
	one := [2]int{1, 1}
	plain := c.KernelHeight == 3 && c.KernelWidth == 3 && c.Stride == one && c.Dilation == one && c.InputDilation == one && c.Groups == 1
	return plain && c.Channels%8 == 0 && c.OutChannels%8 == 0 && c.OutHeight() >= winogradOut && c.OutWidth() >= winogradOut &&
		c.winogradTileCount() >= winogradMinTiles
}

func (c Conv) winogradTileRows() int { return ceilDiv(c.OutHeight(), winogradOut) }
func (c Conv) winogradTileCols() int { return ceilDiv(c.OutWidth(), winogradOut) }

func (c Conv) winogradTileCount() int {
	return c.Batch * c.winogradTileRows() * c.winogradTileCols()
}

// forwardWinograd is Forward by Winograd's method. Each task has some tiles and some columns.
func (c Conv) forwardWinograd(pool Pool, y, x []float32, weights tapSource, e Epilogue) {
	count := c.winogradTileCount()
	block := evenly(count, active.winogradTiles(), active.mr)
	blocks := ceilDiv(count, block)
	columns := c.OutChannels
	if blocks < 4*pool.Workers() && pool.Workers() > 1 {
		columns = max(winogradColumns, ceilDiv(ceilDiv(columns, ceilDiv(4*pool.Workers(), blocks)), active.nr)*active.nr)
	}
	shared := c.sharedWeights(pool, weights, blocks)
	defer shared.release()
	pool.Run(blocks*ceilDiv(c.OutChannels, columns), func(i int) {
		first, from := i%blocks*block, i/blocks*columns
		w := newWinograd(c, active, x, first, min(block, count-first))
		defer w.release()
		for j := from; j < min(c.OutChannels, from+columns); j += winogradColumns {
			w.columns(y, weights, shared.data, &e, j, min(winogradColumns, from+columns-j, c.OutChannels-j))
		}
	})
}

// sharedWeights are all weights transformed, [panels, 36, channels, nr], where several blocks of tiles use them and memory
// allows; else none.
func (c Conv) sharedWeights(pool Pool, weights tapSource, blocks int) scratch {
	set := active
	panels := ceilDiv(c.OutChannels, set.nr)
	if size := panels * winogradSize * c.Channels * set.nr; blocks > 1 && size <= winogradShared {
		all := newScratch(size)
		pool.Run(panels, func(i int) {
			work := newScratch((9 + 18) * winogradChannels * set.nr)
			defer work.release()
			dst := all.data[i*winogradSize*c.Channels*set.nr:]
			set.transformWeights(dst, c.Channels*set.nr, work.data, weights, i*set.nr, 0, c.Channels)
		})
		return all
	}
	return scratch{}
}

// A tapSource gives weights: it sets dst [9, channels, nr] to the taps of the channels from k0 on and the panel of columns
// from j0 on.
type tapSource interface {
	taps(dst []float32, k0, channels, j0 int)
}

// packedTaps are the weights of a convolution with in channels that are packed for Forward.
type packedTaps struct {
	*Packed
	in int
}

func (p packedTaps) taps(dst []float32, k0, channels, j0 int) {
	n := channels * p.nr
	for tap := range 9 {
		p.copyRows(dst[tap*n:][:n], tap*p.in+k0, j0)
	}
}

// winograd is the work on some tiles.
type winograd struct {
	Conv
	set            *instructionSet
	x              []float32
	first, tiles   int
	input, product scratch // the tiles transformed, [36, tiles, channels], and products, [36, tiles, winogradColumns]
	weights        scratch // one panel transformed, [36, channels of one block of a product, nr], where none are shared
	work           scratch // a tile, or weights, before and between their transformations
}

func newWinograd(c Conv, set *instructionSet, x []float32, first, tiles int) *winograd {
	w := &winograd{Conv: c, set: set, x: x, first: first, tiles: tiles,
		input: newScratch(winogradSize * tiles * c.Channels), product: newScratch(winogradSize * tiles * winogradColumns),
		weights: newScratch(winogradSize * set.kc * set.nr),
		work:    newScratch(max(winogradSize*max(c.Channels, winogradColumns), (9+18)*winogradChannels*set.nr))}
	for i := range tiles {
		w.transformInput(i)
	}
	return w
}

func (w *winograd) release() {
	w.input.release()
	w.product.release()
	w.weights.release()
	w.work.release()
}

// place is the image of tile i and the first row and column of its results.
func (w *winograd) place(i int) (image, row, col int) {
	at, rows, cols := w.first+i, w.winogradTileRows(), w.winogradTileCols()
	return at / (rows * cols), at / cols % rows * winogradOut, at % cols * winogradOut
}

// transformInput sets tile i of the input to Bᵀ·d·B of its pixels, columns first.
func (w *winograd) transformInput(i int) {
	image, row, col := w.place(i)
	row, col = row-w.Padding[0][0], col-w.Padding[1][0]
	n, d := w.Channels, w.work.data
	src, stride := d, winogradIn*n
	if row >= 0 && col >= 0 && row+winogradIn <= w.Height && col+winogradIn <= w.Width {
		src, stride = w.x[((image*w.Height+row)*w.Width+col)*n:], w.Width*n
	} else {
		for r := range winogradIn {
			for s := range winogradIn {
				w.copyPixel(d[(r*winogradIn+s)*n:][:n], image, row+r, col+s)
			}
		}
	}
	for s := range winogradIn {
		w.set.winogradInput(d[s*n:], winogradIn*n, src[s*n:], stride, n)
	}
	for r := range winogradIn {
		w.set.winogradInput(w.input.data[(r*winogradIn*w.tiles+i)*n:], w.tiles*n, d[r*winogradIn*n:], n, n)
	}
}

// copyPixel copies the channels of a pixel, zeros outside the image.
func (w *winograd) copyPixel(dst []float32, image, row, col int) {
	if row < 0 || col < 0 || row >= w.Height || col >= w.Width {
		clear(dst)
		return
	}
	copy(dst, w.x[((image*w.Height+row)*w.Width+col)*w.Channels:])
}

// columns computes the output channels j0 to j0+cols, at most winogradColumns.
func (w *winograd) columns(y []float32, weights tapSource, shared []float32, e *Epilogue, j0, cols int) {
	if shared != nil {
		panel := winogradSize * w.Channels * w.set.nr
		w.products(shared[j0/w.set.nr*panel:], panel, w.Channels*w.set.nr, 0, w.Channels, 0, cols)
	} else {
		nr, depth := w.set.nr, evenly(w.Channels, w.set.kc, 1)
		for j := 0; j < cols; j += nr {
			for k0 := 0; k0 < w.Channels; k0 += depth {
				kc := min(depth, w.Channels-k0)
				w.set.transformWeights(w.weights.data, kc*nr, w.work.data, weights, j0+j, k0, kc)
				w.products(w.weights.data, 0, kc*nr, k0, kc, j, min(nr, cols-j))
			}
		}
	}
	for i := range w.tiles {
		w.transformOutput(i, y, e, j0, cols)
	}
}

// products computes the products of channels k0 to k0+k with transformed weights, whose panels of columns are panel apart and
// whose 36 matrices are size apart, to the columns from j on.
func (w *winograd) products(weights []float32, panel, size, k0, k, j, cols int) {
	nr, in, depth := w.set.nr, w.tiles*w.Channels, evenly(w.Channels, w.set.kc, 1)
	for i := range winogradSize {
		product := w.product.data[i*w.tiles*winogradColumns+j:]
		for from := 0; from < k; from += depth {
			kc := min(depth, k-from)
			a := w.set.inRows(w.input.data[i*in+k0+from:], w.tiles, kc, w.Channels)
			b := bBlock{data: weights[i*size+from*nr:], cols: cols, panel: panel, stride: nr}
			w.set.multiply(a, b, product, winogradColumns, 1, k0+from > 0)
		}
	}
}

// transformWeights sets dst, 36 matrices [kc, nr] that are size apart, to G·g·Gᵀ of the panel of columns from j on, channels
// k0 to k0+kc.
func (s *instructionSet) transformWeights(dst []float32, size int, work []float32, weights tapSource, j, k0, kc int) {
	for c0 := 0; c0 < kc; c0 += winogradChannels {
		channels, nr := min(winogradChannels, kc-c0), s.nr
		n := channels * nr
		taps, half := work[:9*n], work[9*n:][:18*n]
		weights.taps(taps, k0+c0, channels, j)
		for i := range 3 {
			s.winogradWeights(half[i*n:], 3*n, taps[i*n:], 3*n, n)
		}
		for r := range winogradIn {
			s.winogradWeights(dst[r*winogradIn*size+c0*nr:], size, half[r*3*n:], n, n)
		}
	}
}

// transformOutput sets the results of tile i to Aᵀ·m·A of its products, and applies the epilogue.
func (w *winograd) transformOutput(i int, y []float32, e *Epilogue, j0, n int) {
	image, row, col := w.place(i)
	d := w.work.data
	for r := range winogradIn {
		m := w.product.data[(r*winogradIn*w.tiles+i)*winogradColumns:]
		w.set.winogradOutput(d[r*winogradOut*n:], n, m, w.tiles*winogradColumns, n)
	}
	height, width := w.OutHeight(), w.OutWidth()
	out := Matrix(y, w.pixels(), w.OutChannels)
	rows, cols := min(winogradOut, height-row), min(winogradOut, width-col)
	first := (image*height+row)*width + col
	whole := rows == winogradOut && cols == winogradOut
	for s := range winogradOut {
		if whole {
			w.set.winogradOutput(out.at(0, first+s, j0), width*w.OutChannels, d[s*n:], winogradOut*n, n)
		} else {
			w.set.winogradOutput(d[s*n:], winogradOut*n, d[s*n:], winogradOut*n, n)
		}
	}
	for r := range rows {
		for s := 0; s < cols && !whole; s++ {
			copy(out.at(0, first+r*width+s, j0)[:n], d[(r*winogradOut+s)*n:])
		}
		e.apply(w.set, out, 0, first+r*width, cols, j0, n)
	}
}

// winogradWeightsPortable sets six rows of n numbers to G times three rows.
func winogradWeightsPortable(dst []float32, dstStride int, src []float32, srcStride, n int) {
	for i := range n {
		g0, g1, g2 := src[i], src[srcStride+i], src[2*srcStride+i]
		a, b := -2.0/3*g0-1.0/3*g2, 2*near0/3*g1
		c, e := 1.0/6*g0+1.0/3*g2, far0/6*g1
		dst[i] = g0
		dst[dstStride+i] = a - b
		dst[2*dstStride+i] = a + b
		dst[3*dstStride+i] = c + e
		dst[4*dstStride+i] = c - e
		dst[5*dstStride+i] = g2
	}
}

// winogradInputPortable sets six rows of n numbers to Bᵀ times six rows; dst may be src.
func winogradInputPortable(dst []float32, dstStride int, src []float32, srcStride, n int) {
	for i := range n {
		d0, d1, d2 := src[i], src[srcStride+i], src[2*srcStride+i]
		d3, d4, d5 := src[3*srcStride+i], src[4*srcStride+i], src[5*srcStride+i]
		a, b := d4-2*d2, near0*(d3-2*d1)
		c, e := d4-0.5*d2, far0*(d3-0.5*d1)
		dst[i] = d0 - 2.5*d2 + d4
		dst[dstStride+i] = a + b
		dst[2*dstStride+i] = a - b
		dst[3*dstStride+i] = c + e
		dst[4*dstStride+i] = c - e
		dst[5*dstStride+i] = d1 - 2.5*d3 + d5
	}
}

// winogradOutputPortable sets four rows of n numbers to Aᵀ times six rows; dst may be src.
func winogradOutputPortable(dst []float32, dstStride int, src []float32, srcStride, n int) {
	for i := range n {
		m0, m1, m2 := src[i], src[srcStride+i], src[2*srcStride+i]
		m3, m4, m5 := src[3*srcStride+i], src[4*srcStride+i], src[5*srcStride+i]
		s, p, u, v := m1+m2, m1-m2, m3+m4, m3-m4
		dst[i] = m0 + s + u
		dst[dstStride+i] = near0*p + far0*v
		dst[2*dstStride+i] = 0.5*s + 2*u
		dst[3*dstStride+i] = near0/2*p + 2*far0*v + m5
	}
}
