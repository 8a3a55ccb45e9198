package kernels

import "math"

// Winograd's minimal filtering F(4×4, 3×3) (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2016): tiles
// of 6×6 pixels and the 3×3 kernel are transformed, multiplied element by element, which over all channels is 36 matrix
// products, and transformed back to 4×4 results. A quarter of the multiplications, four times the memory for weights, and
// an error some four times that of the direct sums: polynomials are interpolated at 0, ±√½, ±√2 and ∞ instead of the usual
// 0, ±1, ±2 and ∞, whose error is twice to four times as large.
const (
	winogradIn   = 6
	winogradOut  = 4
	winogradSize = winogradIn * winogradIn

	near0 = 1 / math.Sqrt2 // √½
	far0  = math.Sqrt2     // √2
)

// Bounds of where Winograd is used: enough tiles to use a transformed weight often, and not too much memory for one layer.
const (
	winogradMinTiles = 32
	winogradMaxBytes = 64 << 20
)

// winogradTiles is how many tiles one task transforms and multiplies: 8 register tiles high.
const winogradTiles = 48

// suitsWinograd tells whether Forward computes c by Winograd's method.
func (c Conv) suitsWinograd() bool {
	one := [2]int{1, 1}
	plain := c.KernelHeight == 3 && c.KernelWidth == 3 && c.Stride == one && c.Dilation == one && c.InputDilation == one && c.Groups == 1
	return plain && c.Channels%8 == 0 && c.OutChannels%8 == 0 && c.OutHeight() >= winogradOut && c.OutWidth() >= winogradOut &&
		c.winogradTileCount() >= winogradMinTiles && 4*winogradSize*c.Channels*c.OutChannels <= winogradMaxBytes
}

func (c Conv) winogradTileRows() int { return ceilDiv(c.OutHeight(), winogradOut) }
func (c Conv) winogradTileCols() int { return ceilDiv(c.OutWidth(), winogradOut) }

func (c Conv) winogradTileCount() int {
	return c.Batch * c.winogradTileRows() * c.winogradTileCols()
}

// winogradG transforms three weights to six.
var winogradG = [winogradIn][3]float32{
	{1, 0, 0}, {-2.0 / 3, -2 * near0 / 3, -1.0 / 3}, {-2.0 / 3, 2 * near0 / 3, -1.0 / 3},
	{1.0 / 6, far0 / 6, 1.0 / 3}, {1.0 / 6, -far0 / 6, 1.0 / 3}, {0, 0, 1},
}

// packWinograd transforms and packs weights [3, 3, channels, outChannels]: 36 matrices [channels, outChannels].
func (c Conv) packWinograd(pool Pool, weights []float32) *Packed {
	matrix := c.Channels * c.OutChannels
	transformed := newScratch(winogradSize * matrix)
	defer transformed.release()
	pool.Run(c.Channels, func(channel int) {
		half := newScratch(winogradIn * 3 * c.OutChannels)
		defer half.release()
		tap := func(k int) []float32 { return weights[k*matrix+channel*c.OutChannels:][:c.OutChannels] }
		column := func(k int) []float32 { return half.data[k*c.OutChannels:][:c.OutChannels] }
		for x := range 3 {
			for i, g := range winogradG {
				combine(column(i*3+x), &g, tap(x), tap(3+x), tap(6+x))
			}
		}
		for i := range winogradIn {
			for j, g := range winogradG {
				u := transformed.data[(i*winogradIn+j)*matrix+channel*c.OutChannels:][:c.OutChannels]
				combine(u, &g, column(i*3), column(i*3+1), column(i*3+2))
			}
		}
	})
	packed := PackB(pool, Matrices(transformed.data, winogradSize, c.Channels, c.OutChannels))
	packed.winograd = true
	return packed
}

// combine sets dst to g[0]·x + g[1]·y + g[2]·z.
func combine(dst []float32, g *[3]float32, x, y, z []float32) {
	active.binaryScalar[Mul](dst, x, g[0])
	active.axpy(dst, g[1], y)
	active.axpy(dst, g[2], z)
}

// forwardWinograd is Forward with weights of packWinograd.
func (c Conv) forwardWinograd(pool Pool, y, x []float32, weights *Packed, e Epilogue) {
	count := c.winogradTileCount()
	block := evenly(count, winogradTiles, mr)
	runBlocks(pool, count, block, func(from, to int) {
		w := newWinograd(c, active, x, from, to-from)
		defer w.release()
		for i := range w.tiles {
			w.transformInput(i)
		}
		w.multiply(weights)
		for i := range w.tiles {
			w.transformOutput(i, y, &e)
		}
	})
}

// winograd is the work on some tiles.
type winograd struct {
	Conv
	set           *instructionSet
	x             []float32
	first, tiles  int
	tile          scratch // one tile, [6, 6, channels of the larger side]
	input, output scratch // all tiles transformed, [36, tiles, channels] and [36, tiles, outChannels]
}

func newWinograd(c Conv, set *instructionSet, x []float32, first, tiles int) *winograd {
	return &winograd{Conv: c, set: set, x: x, first: first, tiles: tiles, tile: newScratch(winogradSize * max(c.Channels, c.OutChannels)),
		input: newScratch(winogradSize * tiles * c.Channels), output: newScratch(winogradSize * tiles * c.OutChannels)}
}

func (w *winograd) release() {
	w.tile.release()
	w.input.release()
	w.output.release()
}

// place is the image of tile i and the first row and column of its results.
func (w *winograd) place(i int) (image, row, col int) {
	at, rows, cols := w.first+i, w.winogradTileRows(), w.winogradTileCols()
	return at / (rows * cols), at / cols % rows * winogradOut, at % cols * winogradOut
}

// transformInput sets tile i of the input to Bᵀ·d·B of its pixels, columns first.
func (w *winograd) transformInput(i int) {
	image, row, col := w.place(i)
	n, d := w.Channels, w.tile.data
	for r := range winogradIn {
		for s := range winogradIn {
			w.copyPixel(d[(r*winogradIn+s)*n:][:n], image, row+r-w.Padding[0][0], col+s-w.Padding[1][0])
		}
	}
	for s := range winogradIn {
		w.set.winogradInput(d[s*n:], winogradIn*n, d[s*n:], winogradIn*n, n)
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

// multiply multiplies the transformed tiles with the transformed weights.
func (w *winograd) multiply(weights *Packed) {
	in, out := w.tiles*w.Channels, w.tiles*w.OutChannels
	for i := range winogradSize {
		for k0 := 0; k0 < w.Channels; k0 += weights.kc {
			kc := min(weights.kc, w.Channels-k0)
			a := aBlock{data: w.input.data[i*in+k0:], rows: w.tiles, k: kc, panel: mr * w.Channels, rs: w.Channels, cs: 1}
			w.set.multiply(a, weights.block(i, k0, kc, 0, w.OutChannels), w.output.data[i*out:], w.OutChannels, 1, k0 > 0)
		}
	}
}

// transformOutput sets the results of tile i to Aᵀ·m·A of its products, and applies the epilogue.
func (w *winograd) transformOutput(i int, y []float32, e *Epilogue) {
	image, row, col := w.place(i)
	n, d := w.OutChannels, w.tile.data
	for r := range winogradIn {
		m := w.output.data[(r*winogradIn*w.tiles+i)*n:]
		w.set.winogradOutput(d[r*winogradOut*n:], n, m, w.tiles*n, n)
	}
	for s := range winogradOut {
		w.set.winogradOutput(d[s*n:], winogradOut*n, d[s*n:], winogradOut*n, n)
	}
	height, width := w.OutHeight(), w.OutWidth()
	out := Matrix(y, w.pixels(), n)
	cols := min(winogradOut, width-col)
	for r := range min(winogradOut, height-row) {
		first := (image*height+row+r)*width + col
		copy(y[first*n:][:cols*n], d[r*winogradOut*n:])
		e.apply(w.set, out, 0, first, cols, 0, n)
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
