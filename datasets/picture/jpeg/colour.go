package jpeg

import (
	"errors"

	"regft/datasets/pil"
)

// picture makes RGB of the samples, row by row.
func (d *decoder) picture() (*pil.Image, error) {
	rows := make([]func(y int) []uint8, len(d.components))
	for i := range d.components {
		u, ok := d.upsampler(&d.components[i])
		if !ok {
			return nil, errors.New("sampling factors that are no multiples of each other are not supported: save it anew")
		}
		buf := make([]uint8, d.width+4) // an even number of samples, or one that four divide, may go over
		rows[i] = func(y int) []uint8 { return u.row(y, buf)[:d.width] }
	}
	out := pil.New(d.width, d.height)
	convert := d.converter()
	planes := make([][]uint8, len(rows))
	for y := range d.height {
		for i, row := range rows {
			planes[i] = row(y)
		}
		convert(out.Row(y), planes)
	}
	return out, nil
}

// converter chooses what the components are, as libjpeg does (default_decompress_parms): JFIF files have YCbCr, others what Adobe's
// marker says, else what the components' ids say. Of four components Pillow takes for granted that they are stored inverted.
func (d *decoder) converter() func(out []uint8, planes [][]uint8) {
	switch {
	case len(d.components) == 1:
		return fromGrey
	case len(d.components) == 4 && d.adobe > 0:
		return fromYCCK
	case len(d.components) == 4:
		return fromCMYK
	case !d.jfif && (d.adobe == 0 || d.adobe < 0 && d.components[0].id == 'R' && d.components[1].id == 'G' && d.components[2].id == 'B'):
		return fromRGB
	}
	return func(out []uint8, planes [][]uint8) { active.colours(out, planes[0], planes[1], planes[2]) }
}

func fromGrey(out []uint8, planes [][]uint8) {
	for x, v := range planes[0] {
		p := out[x*3:][:3:3]
		p[0], p[1], p[2] = v, v, v
	}
}

func fromRGB(out []uint8, planes [][]uint8) {
	for x, v := range planes[0] {
		p := out[x*3:][:3:3]
		p[0], p[1], p[2] = v, planes[1][x], planes[2][x]
	}
}

// fromCMYK reads inverted inks, 255 being none, and makes RGB of them as Pillow does (cmyk2rgb of Convert.c).
func fromCMYK(out []uint8, planes [][]uint8) {
	for x, k := range planes[3] {
		for i := range 3 {
			ink := int(255-planes[i][x])*int(k) + 128
			out[3*x+i] = uint8(max(0, int(k)-(ink>>8+ink)>>8))
		}
	}
}

// fromYCCK is fromCMYK of inks that are stored as YCbCr of RGB: libjpeg inverts them, Pillow inverts them back.
func fromYCCK(out []uint8, planes [][]uint8) {
	active.colours(out, planes[0], planes[1], planes[2])
	for x, k := range planes[3] {
		for i := range 3 {
			ink := int(out[3*x+i])*int(k) + 128
			out[3*x+i] = uint8(max(0, int(k)-(ink>>8+ink)>>8))
		}
	}
}

// The factors of jdcolor.c, with 16 fractional bits.
var yccTables = func() (t struct{ red, blue, greenCr, greenCb [256]int32 }) {
	for i := range 256 {
		x, half := int32(i-128), int32(1<<15)
		t.red[i] = (91881*x + half) >> 16
		t.blue[i] = (116130*x + half) >> 16
		t.greenCr[i] = -46802 * x
		t.greenCb[i] = -22554*x + half
	}
	return t
}()

// coloursPortable is colours of instructionSet.
func coloursPortable(out, luma, cb, cr []uint8) {
	t := &yccTables
	cb, cr = cb[:len(luma)], cr[:len(luma)]
	for x, l := range luma {
		y, u, v := int32(l), cb[x], cr[x]
		p := out[x*3:][:3:3]
		p[0] = clip(y + t.red[v])
		p[1] = clip(y + (t.greenCb[u]+t.greenCr[v])>>16)
		p[2] = clip(y + t.blue[u])
	}
}

func clip(v int32) uint8 {
	if uint32(v) > 255 {
		return uint8(^(v >> 31)) // 0 below, 255 above
	}
	return uint8(v)
}
