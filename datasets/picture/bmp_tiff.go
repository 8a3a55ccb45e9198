package picture

import (
	"bytes"
	"math"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"

	"regft/datasets/pil"
)

func decodeBMP(data []byte) (*pil.Image, error) {
	config, err := bmp.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	if err := checkSize(config.Width, config.Height, data, 8); err != nil {
		return nil, err
	}
	im, err := bmp.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return toRGB(im)
}

func decodeTIFF(data []byte) (*pil.Image, error) {
	config, err := tiff.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	if err := checkSize(config.Width, config.Height, data, math.MaxInt32); err != nil {
		return nil, err
	}
	im, err := tiff.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return toRGB(im)
}
