package kernels

import "math"

// A GroupNorm normalises images x [batch, pixels, channels] (NHWC) by groups of neighbouring channels to mean 0 and variance
// 1 (biased, plus epsilon), then multiplies by Gamma and adds Beta [channels] (Wu and He, 2018).
type GroupNorm struct {
	Batch, Pixels, Channels, Groups int
	Gamma, Beta                     []float32
	Epsilon                         float32
	Activation                      Activation // applied to the result
}

// blockNumbers is how many numbers are read twice at a time, from the L2 cache the second time.
const blockNumbers = 1 << 15

// pixelBlock is how many pixels add to one partial sum and are normalised by one task.
func (n GroupNorm) pixelBlock() int { return min(128, max(8, blockNumbers/n.Channels)) }

// Forward sets dst to the normalised x, which it may be. mean and rstd [batch, groups] receive the statistics, nil for none.
func (n GroupNorm) Forward(pool Pool, dst, x, mean, rstd []float32) {
	work := newScratch(2 * n.Batch * n.Channels)
	defer work.release()
	channelMean, scale := work.data[:n.Batch*n.Channels], work.data[n.Batch*n.Channels:]
	n.channelMoments(pool, channelMean, scale, x)
	n.spreadMoments(channelMean, scale)
	for i, variance := range scale {
		scale[i] = float32(1 / math.Sqrt(float64(variance)+float64(n.Epsilon)))
	}
	n.keepStatistics(mean, channelMean)
	n.keepStatistics(rstd, scale)
	n.foldAffine(channelMean, scale)
	n.normalize(pool, dst, x, scale, channelMean)
}

// channelMoments sets mean [batch, channels] and squares, the sums of squares around it. Both are taken block by block, squares
// around the block's mean, and then combined (Chan, Golub and LeVeque, 1979): x is read from memory once.
func (n GroupNorm) channelMoments(pool Pool, mean, squares, x []float32) {
	c, block := n.Channels, n.pixelBlock()
	blocks := ceilDiv(n.Pixels, block)
	partial := newScratch(2 * n.Batch * blocks * c)
	defer partial.release()
	of := func(batch, b int) (mean, squares []float32) {
		at := partial.data[2*(batch*blocks+b)*c:]
		return at[:c], at[c : 2*c]
	}
	pool.Run(n.Batch*blocks, func(i int) {
		from := i % blocks * block
		m, q := of(i/blocks, i%blocks)
		n.blockMoments(m, q, x[(i/blocks*n.Pixels+from)*c:], min(block, n.Pixels-from))
	})
	between := newScratch(c)
	defer between.release()
	for batch := range n.Batch {
		m, q := mean[batch*c:][:c], squares[batch*c:][:c]
		clear(m)
		clear(q)
		for b := range blocks {
			blockMean, blockSquares := of(batch, b)
			active.axpy(m, float32(n.blockSize(b))/float32(n.Pixels), blockMean)
			active.binary[Add](q, q, blockSquares)
		}
		for b := range blocks {
			blockMean, _ := of(batch, b)
			clear(between.data)
			active.addSquares(between.data, blockMean, m)
			active.axpy(q, float32(n.blockSize(b)), between.data)
		}
	}
}

// blockSize is how many pixels block b has.
func (n GroupNorm) blockSize(b int) int { return min(n.pixelBlock(), n.Pixels-b*n.pixelBlock()) }

// blockMoments sets mean and squares of some pixels.
func (n GroupNorm) blockMoments(mean, squares, x []float32, pixels int) {
	c := n.Channels
	clear(mean)
	clear(squares)
	for p := range pixels {
		active.binary[Add](mean, mean, x[p*c:][:c])
	}
	active.binaryScalar[Mul](mean, mean, 1/float32(pixels))
	for p := range pixels {
		active.addSquares(squares, x[p*c:][:c], mean)
	}
}

// spreadMoments replaces means and sums of squares by channel with the mean and the variance of each channel's group.
func (n GroupNorm) spreadMoments(mean, squares []float32) {
	size := n.Channels / n.Groups
	for g := range n.Batch * n.Groups {
		m, q := mean[g*size:][:size], squares[g*size:][:size]
		var groupMean, sum float64
		for _, v := range m {
			groupMean += float64(v) / float64(size)
		}
		for i, v := range m {
			d := float64(v) - groupMean
			sum += float64(q[i]) + float64(n.Pixels)*d*d
		}
		for i := range m {
			m[i], q[i] = float32(groupMean), float32(sum/float64(size*n.Pixels))
		}
	}
}

// keepStatistics copies one number per group out of one per channel.
func (n GroupNorm) keepStatistics(dst, perChannel []float32) {
	if dst == nil {
		return
	}
	size := n.Channels / n.Groups
	for g := range n.Batch * n.Groups {
		dst[g] = perChannel[g*size]
	}
}

// foldAffine turns mean and rstd per channel into shift and scale: (x − mean)·rstd·gamma + beta = x·scale + shift.
func (n GroupNorm) foldAffine(mean, rstd []float32) {
	for i, m := range mean {
		c := i % n.Channels
		rstd[i] *= n.Gamma[c]
		mean[i] = n.Beta[c] - m*rstd[i]
	}
}

func (n GroupNorm) normalize(pool Pool, dst, x, scale, shift []float32) {
	block, c := n.pixelBlock(), n.Channels
	blocks := ceilDiv(n.Pixels, block)
	pool.Run(n.Batch*blocks, func(i int) {
		batch, from := i/blocks, i%blocks*block
		for p := from; p < min(n.Pixels, from+block); p++ {
			at := (batch*n.Pixels + p) * c
			row := dst[at:][:c]
			active.mulAdd(row, x[at:][:c], scale[batch*c:][:c], shift[batch*c:][:c])
			if n.Activation != NoActivation {
				active.unary[activationOps[n.Activation]](row, row)
			}
		}
	})
}
