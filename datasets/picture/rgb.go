package picture

import (
	"fmt"
	"image"
	"image/color"

	"regft/datasets/pil"
)

// toRGB converts what Go's decoders give, as Pillow converts its own modes to RGB.
func toRGB(source image.Image) (*pil.Image, error) {
	b := source.Bounds()
	out := pil.New(b.Dx(), b.Dy())
	row, err := rowConverter(source)
	if err != nil {
		return nil, err
	}
	for y := range out.Height {
		row(out.Row(y), y)
	}
	return out, nil
}

// rowConverter returns a function that writes row y of a picture as RGB.
func rowConverter(source image.Image) (func(out []uint8, y int), error) {
	switch im := source.(type) {
	case *image.Gray:
		return func(out []uint8, y int) { fromGray(out, im.Pix[y*im.Stride:]) }, nil
	case *image.Gray16:
		return func(out []uint8, y int) { fromGray16(out, im.Pix[y*im.Stride:]) }, nil
	case *image.NRGBA:
		return func(out []uint8, y int) { every(out, im.Pix[y*im.Stride:], 4, 1) }, nil
	case *image.NRGBA64:
		return func(out []uint8, y int) { every(out, im.Pix[y*im.Stride:], 8, 2) }, nil
	case *image.RGBA64: // only opaque pictures come as such
		return func(out []uint8, y int) { every(out, im.Pix[y*im.Stride:], 8, 2) }, nil
	case *image.RGBA:
		return func(out []uint8, y int) { fromRGBA(out, im.Pix[y*im.Stride:]) }, nil
	case *image.CMYK:
		return func(out []uint8, y int) { fromCMYK(out, im.Pix[y*im.Stride:]) }, nil
	case *image.Paletted:
		palette := paletteRGB(im.Palette)
		return func(out []uint8, y int) { fromPalette(out, im.Pix[y*im.Stride:], &palette) }, nil
	}
	return nil, fmt.Errorf("pixels of type %T are not supported", source)
}

func fromGray(out, in []uint8) {
	for x := range len(out) / pil.Channels {
		v := in[x]
		out[x*3], out[x*3+1], out[x*3+2] = v, v, v
	}
}

// fromGray16 clips: Pillow's mode I;16 holds numbers, and 300 as a byte is 255 (I16_RGB in Convert.c).
func fromGray16(out, in []uint8) {
	for x := range len(out) / pil.Channels {
		v := in[2*x+1]
		if in[2*x] != 0 {
			v = 255
		}
		out[x*3], out[x*3+1], out[x*3+2] = v, v, v
	}
}

// every copies the first byte of each of three channels `step` bytes apart, of pixels `size` bytes apart.
func every(out, in []uint8, size, step int) {
	for x := range len(out) / pil.Channels {
		p := in[x*size:]
		out[x*3], out[x*3+1], out[x*3+2] = p[0], p[step], p[2*step]
	}
}

// fromRGBA undoes premultiplied alpha (unpackRGBa in Unpack.c).
func fromRGBA(out, in []uint8) {
	for i := range out {
		p := in[i/3*4:]
		switch v, alpha := int(p[i%3]), int(p[3]); alpha {
		case 0:
			out[i] = 0
		case 255:
			out[i] = uint8(v)
		default:
			out[i] = uint8(min(255, v*255/alpha))
		}
	}
}

// fromCMYK is cmyk2rgb of Convert.c.
func fromCMYK(out, in []uint8) {
	for i := range out {
		p := in[i/3*4:]
		paper := 255 - int(p[3])
		ink := int(p[i%3])*paper + 128
		out[i] = uint8(max(0, paper-(ink>>8+ink)>>8))
	}
}

func fromPalette(out, in []uint8, palette *[256][3]uint8) {
	for x := range len(out) / pil.Channels {
		copy(out[x*3:x*3+3], palette[in[x]][:])
	}
}

// paletteRGB drops the alpha of a palette; entries that the file lacks are black.
func paletteRGB(palette color.Palette) (rgb [256][3]uint8) {
	for i, c := range palette[:min(len(palette), 256)] {
		n := color.NRGBAModel.Convert(c).(color.NRGBA)
		rgb[i] = [3]uint8{n.R, n.G, n.B}
	}
	return rgb
}
