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

// pixelBlock is how many pixels add to one partial sum and are normalised by one task.
const pixelBlock = 128

// Forward sets dst to the normalised x, which it may be. mean and rstd [batch, groups] receive the statistics, nil for none.
func (n GroupNorm) Forward(pool Pool, dst, x, mean, rstd []float32) {
	work := newScratch(2 * n.Batch * n.Channels)
	defer work.release()
	channelMean, scale := work.data[:n.Batch*n.Channels], work.data[n.Batch*n.Channels:]
	n.channelSums(pool, channelMean, func(sum, pixel []float32, _ int) { active.binary[Add](sum, sum, pixel) }, x)
	n.spreadMean(channelMean)
	n.channelSums(pool, scale, func(sum, pixel []float32, batch int) {
		active.addSquares(sum, pixel, channelMean[batch*n.Channels:][:n.Channels])
	}, x)
	n.spreadMean(scale)
	for i, variance := range scale {
		scale[i] = float32(1 / math.Sqrt(float64(variance)+float64(n.Epsilon)))
	}
	n.keepStatistics(mean, channelMean)
	n.keepStatistics(rstd, scale)
	n.foldAffine(channelMean, scale)
	n.normalize(pool, dst, x, scale, channelMean)
}

// channelSums sets sums [batch, channels] to what add makes of every pixel, in blocks of pixelBlock pixels.
func (n GroupNorm) channelSums(pool Pool, sums []float32, add func(sum, pixel []float32, batch int), x []float32) {
	blocks, c := ceilDiv(n.Pixels, pixelBlock), n.Channels
	partial := newScratch(n.Batch * blocks * c)
	defer partial.release()
	pool.Run(n.Batch*blocks, func(i int) {
		batch, from := i/blocks, i%blocks*pixelBlock
		sum := partial.data[i*c:][:c]
		clear(sum)
		for p := from; p < min(n.Pixels, from+pixelBlock); p++ {
			add(sum, x[(batch*n.Pixels+p)*c:][:c], batch)
		}
	})
	for batch := range n.Batch {
		addBlocks(sums[batch*c:][:c], partial.data[batch*blocks*c:], blocks, c)
	}
}

// spreadMean replaces sums by channel with the mean of each channel's group.
func (n GroupNorm) spreadMean(sums []float32) {
	size := n.Channels / n.Groups
	for g := range n.Batch * n.Groups {
		group := sums[g*size:][:size]
		var sum float64
		for _, s := range group {
			sum += float64(s)
		}
		mean := float32(sum / float64(size*n.Pixels))
		for i := range group {
			group[i] = mean
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
	blocks, c := ceilDiv(n.Pixels, pixelBlock), n.Channels
	pool.Run(n.Batch*blocks, func(i int) {
		batch, from := i/blocks, i%blocks*pixelBlock
		for p := from; p < min(n.Pixels, from+pixelBlock); p++ {
			at := (batch*n.Pixels + p) * c
			row := dst[at:][:c]
			active.mulAdd(row, x[at:][:c], scale[batch*c:][:c], shift[batch*c:][:c])
			if n.Activation != NoActivation {
				active.unary[activationOps[n.Activation]](row, row)
			}
		}
	})
}
