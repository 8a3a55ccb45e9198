package kernels

// packChannels is how many channels are turned around at a time: with 3×3 taps and a panel's columns 18 KiB, or 36.
const packChannels = 32

// ForwardOIHW is Forward with weights [outChannels, channels/groups, kernelHeight, kernelWidth], the order in which torch
// keeps them, prepared for this call alone.
func (c Conv) ForwardOIHW(pool Pool, y, x, weights []float32, e Epilogue) {
	if c.suitsWinograd() {
		c.forwardWinograd(pool, y, x, oihwTaps{c, weights}, e)
		return
	}
	packed := newPacked(c.weightMatrices(weights))
	defer packed.release()
	panels := packed.panels()
	pool.Run(c.Groups*panels, func(i int) { c.packOIHW(packed, weights, i/panels, i%panels*packed.nr) })
	c.Forward(pool, y, x, packed, e)
}

// tapPlaces are the places of the taps in tapOrder.
func (c Conv) tapPlaces() []int {
	places := make([]int, c.taps())
	order := c.tapOrder()
	for i := range places {
		if order == nil {
			places[i] = i
		} else {
			places[order[i]] = i
		}
	}
	return places
}

// packOIHW packs the panel of outputs from j0 on of a group.
func (c Conv) packOIHW(packed *Packed, weights []float32, group, j0 int) {
	places, in := c.tapPlaces(), c.groupIn()
	c.turnOIHW(weights, group, j0, 0, in, func(tap, channel int, row []float32) {
		copy(packed.row(group, places[tap]*in+channel, j0), row)
	})
}

// turnOIHW calls f with the weights of the panel of outputs from j0 on for every tap of the channels from k0 to k0+n: some
// channels are turned at a time as they lie, and their rows handed on, one cache line each.
func (c Conv) turnOIHW(weights []float32, group, j0, k0, n int, f func(tap, channel int, row []float32)) {
	nr := active.nr
	in, taps := c.groupIn(), c.taps()
	src := weights[(group*c.groupOut()+j0)*in*taps:]
	turned := newScratch(packChannels * taps * nr)
	defer turned.release()
	for i0 := k0; i0 < k0+n; i0 += packChannels {
		channels := min(packChannels, k0+n-i0)
		active.packColumns(turned.data, src[i0*taps:], 1, in*taps, channels*taps, min(nr, c.groupOut()-j0))
		for tap := range taps {
			for i := range channels {
				f(tap, i0+i, turned.data[(i*taps+tap)*nr:][:nr])
			}
		}
	}
}

// row is row i of the panel at column j0 of matrix batch.
func (p *Packed) row(batch, i, j0 int) []float32 {
	k0 := i / p.kc * p.kc
	return p.block(batch, k0, min(p.kc, p.k-k0), j0, p.nr).data[(i-k0)*p.nr:]
}

// oihwTaps are weights in torch's order as Winograd's method reads them.
type oihwTaps struct {
	Conv
	weights []float32
}

func (o oihwTaps) taps(dst []float32, k0, channels, j0 int) {
	o.turnOIHW(o.weights, 0, j0, k0, channels, func(tap, channel int, row []float32) {
		copy(dst[(tap*channels+channel-k0)*len(row):], row)
	})
}
