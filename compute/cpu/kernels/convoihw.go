package kernels

// packChannels is how many channels are turned around at a time: with 3×3 taps and a panel's columns 18 KiB.
const packChannels = 32

// ForwardOIHW is Forward with weights [outChannels, channels/groups, kernelHeight, kernelWidth], the order in which torch
// keeps them, prepared for this call alone.
func (c Conv) ForwardOIHW(pool Pool, y, x, weights []float32, e Epilogue) {
	packed := newPacked(c.weightMatrices(weights))
	defer packed.release()
	panels := packed.panels()
	pool.Run(c.Groups*panels, func(i int) { c.packOIHW(packed, weights, i/panels, i%panels*nr) })
	c.Forward(pool, y, x, packed, e)
}

// packOIHW packs the panel of outputs from j0 on of a group: some channels at a time as they lie, channel by channel, and
// then their rows, one cache line each, to where Forward wants them, tap by tap.
func (c Conv) packOIHW(packed *Packed, weights []float32, group, j0 int) {
	in, taps := c.groupIn(), c.taps()
	cols := min(nr, packed.n-j0)
	src := weights[(group*packed.n+j0)*in*taps:]
	turned := newScratch(packChannels * taps * nr)
	defer turned.release()
	for i0 := 0; i0 < in; i0 += packChannels {
		channels := min(packChannels, in-i0)
		packPanel(active, turned.data, src[i0*taps:], 1, in*taps, channels*taps, cols)
		for tap := range taps {
			for i := range channels {
				row := packed.row(group, tap*in+i0+i, j0)
				*(*[nr]float32)(row) = *(*[nr]float32)(turned.data[(i*taps+tap)*nr:])
			}
		}
	}
}

// row is row i of the panel at column j0 of matrix batch.
func (p *Packed) row(batch, i, j0 int) []float32 {
	k0 := i / p.kc * p.kc
	return p.block(batch, k0, min(p.kc, p.k-k0), j0, nr).data[(i-k0)*nr:]
}
