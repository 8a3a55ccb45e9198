package picture

import (
	"bytes"
	"errors"
	"image"
	"image/png"
	"io"

	"regft/datasets/pil"
)

func decodePNG(data []byte) (*pil.Image, error) {
	config, err := png.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	const deflateRatio = 1032 // the most that deflate can shrink; 8 pixels of one bit a byte
	if err := checkSize(config.Width, config.Height, data, deflateRatio*8); err != nil {
		return nil, err
	}
	im, err := png.Decode(bytes.NewReader(data))
	if errors.Is(err, png.FormatError("not enough pixel data")) {
		return nil, io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, err
	}
	const depth, kind = 24, 25 // bytes of the header
	if grey, ok := im.(*image.NRGBA64); ok && data[depth] == 16 && data[kind] == 0 {
		return clipGrey(grey), nil
	}
	return toRGB(im)
}

// clipGrey converts 16-bit grey of which one value is declared transparent.
func clipGrey(im *image.NRGBA64) *pil.Image {
	out := pil.New(im.Rect.Dx(), im.Rect.Dy())
	for i := range out.Width * out.Height {
		fromGray16(out.Pix[i*pil.Channels:][:pil.Channels], im.Pix[i*8:])
	}
	return out
}
