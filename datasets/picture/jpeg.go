package picture

import (
	"regft/datasets/picture/jpeg"
	"regft/datasets/pil"
)

func decodeJPEG(data []byte) (*pil.Image, error) {
	return jpeg.Decode(data, func(width, height int) error { return checkSize(width, height, data, 1024) })
}
