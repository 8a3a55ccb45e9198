package picture

import (
	"bytes"
	"image"
	"image/color"
	"image/gif"
	"io"
	"math"
	"slices"

	"regft/datasets/pil"
)

// decodeGIF decodes the first frame on its canvas. The canvas has colour 0 or, where one is declared, the transparent colour; a
// transparent pixel shows the colour that its palette entry has (GifImagePlugin.py, load_prepare).
func decodeGIF(data []byte) (*pil.Image, error) {
	config, err := gif.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	if err := checkSize(config.Width, config.Height, data, math.MaxInt32); err != nil {
		return nil, err
	}
	opaque, background, err := withoutTransparency(data)
	if err != nil {
		return nil, err
	}
	frame, err := gif.Decode(bytes.NewReader(opaque))
	if err != nil {
		return nil, err
	}
	part, err := toRGB(frame)
	if err != nil {
		return nil, err
	}
	out := pil.New(config.Width, config.Height)
	fill := paletteRGB(palettedColours(frame))[background]
	for i := range out.Pix {
		out.Pix[i] = fill[i%pil.Channels]
	}
	at := frame.Bounds().Min
	for y := range part.Height {
		copy(out.Row(at.Y + y)[at.X*pil.Channels:], part.Row(y))
	}
	return out, nil
}

// withoutTransparency returns the file with the transparency of its first frame switched off, for image/gif forgets the colour of a
// transparent entry; and that entry's index.
func withoutTransparency(data []byte) (opaque []byte, index uint8, err error) {
	opaque = slices.Clone(data)
	at := 13 // header and logical screen descriptor
	if len(data) > 10 && data[10]&0x80 != 0 {
		at += 3 << (data[10]&7 + 1)
	}
	for at+1 < len(opaque) && opaque[at] == '!' {
		control := opaque[at+1] == 0xf9 && at+6 < len(opaque)
		if control && opaque[at+3]&1 != 0 {
			opaque[at+3] &^= 1
			index = opaque[at+6]
		}
		for at += 2; at < len(opaque) && opaque[at] != 0; at += int(opaque[at]) + 1 {
		}
		at++
	}
	if at >= len(opaque) {
		return nil, 0, io.ErrUnexpectedEOF
	}
	return opaque, index, nil
}

func palettedColours(im image.Image) color.Palette {
	if p, ok := im.(*image.Paletted); ok {
		return p.Palette
	}
	return nil
}
