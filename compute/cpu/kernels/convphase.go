package kernels

// A phase is the part of a convolution of a dilated image that computes every d-th pixel, d being the input dilation, of both
// axes: each tap meets pixels in one phase only, and there the image is not dilated. A convolution of an image that is not
// dilated is one phase, itself.
type phase struct {
	Conv                  // of the image as it is, over the phase's taps
	firstTap int          // in the order of tapOrder
	axes     [2]phaseAxis // vertical, horizontal
	whole    bool         // the phase is the convolution
}

// A phaseAxis is the part of a phase along one axis.
type phaseAxis struct {
	firstPixel, pixels, every int // of the result
	firstTap, taps, everyTap  int
	padding                   int // before, of the image that is not dilated
}

// place is the pixel of c's result that is pixel i of the phase's.
func (p *phase) place(c Conv, i int) int {
	rows, cols := p.axes[0].pixels, p.axes[1].pixels
	image, row, col := i/(rows*cols), i/cols%rows, i%cols
	return (image*c.OutHeight()+p.axes[0].firstPixel+row*p.axes[0].every)*c.OutWidth() + p.axes[1].firstPixel + col*p.axes[1].every
}

// hasPhases tells whether c is computed by phases: a stride beside the dilation is left to patches with holes.
func (c Conv) hasPhases() bool {
	return c.InputDilation != [2]int{1, 1} && c.Stride == [2]int{1, 1}
}

func (c Conv) phases() []phase {
	if !c.hasPhases() {
		return []phase{{Conv: c, whole: true}}
	}
	var all []phase
	tap := 0
	for _, v := range c.phaseAxes(0, c.KernelHeight, c.OutHeight()) {
		for _, h := range c.phaseAxes(1, c.KernelWidth, c.OutWidth()) {
			p := phase{Conv: c, firstTap: tap, axes: [2]phaseAxis{v, h}}
			p.KernelHeight, p.KernelWidth, p.InputDilation = v.taps, h.taps, [2]int{1, 1}
			p.Dilation[0], p.Padding[0] = v.shape(c, 0, c.Height)
			p.Dilation[1], p.Padding[1] = h.shape(c, 1, c.Width)
			tap += v.taps * h.taps
			if v.pixels > 0 && h.pixels > 0 {
				all = append(all, p)
			}
		}
	}
	return all
}

// phaseAxes are the parts along one axis, by the first pixel.
func (c Conv) phaseAxes(axis, kernel, out int) []phaseAxis {
	every, dilation, padding := c.InputDilation[axis], c.Dilation[axis], c.Padding[axis][0]
	all := make([]phaseAxis, every)
	for first := range all {
		a := phaseAxis{firstPixel: first, every: every, pixels: max(0, ceilDiv(out-first, every)), everyTap: 1}
		for tap := range kernel {
			at := first - padding + tap*dilation // in the dilated image
			switch {
			case at%every != 0:
			case a.taps == 0:
				a.firstTap, a.taps, a.padding = tap, 1, -at/every
			case a.taps == 1:
				a.everyTap, a.taps = tap-a.firstTap, 2
			default:
				a.taps++
			}
		}
		all[first] = a
	}
	return all
}

// shape is the dilation and the padding of the phase's convolution along one axis of an image of size pixels.
func (a phaseAxis) shape(c Conv, axis, size int) (dilation int, padding [2]int) {
	dilation = 1
	if a.taps > 1 {
		dilation = a.everyTap * c.Dilation[axis] / c.InputDilation[axis]
	}
	return dilation, [2]int{a.padding, a.pixels + (a.taps-1)*dilation - size - a.padding}
}

// tapOrder is the order in which weights are packed, phase by phase; nil for the taps' own.
func (c Conv) tapOrder() []int {
	if !c.hasPhases() {
		return nil
	}
	var order []int
	for _, v := range c.phaseAxes(0, c.KernelHeight, c.OutHeight()) {
		for _, h := range c.phaseAxes(1, c.KernelWidth, c.OutWidth()) {
			for i := range v.taps {
				for j := range h.taps {
					order = append(order, (v.firstTap+i*v.everyTap)*c.KernelWidth+h.firstTap+j*h.everyTap)
				}
			}
		}
	}
	return order
}
