package picture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
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

// The tags of a TIFF file that decodeTIFF reads itself (TIFF 6.0, section 8).
const (
	tiffCompression = 259
	tiffPhotometric = 262
	tiffOrientation = 274
)

// decodeTIFF turns pictures as their tag of orientation has it, which Pillow does for TIFF alone, and inverts fax pictures whose zero is
// black, which x/image does not.
func decodeTIFF(data []byte) (*pil.Image, error) {
	config, err := tiff.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return nil, unsupportedTIFF(err)
	}
	if err := checkSize(config.Width, config.Height, data, math.MaxInt32); err != nil {
		return nil, err
	}
	decoded, err := tiff.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, unsupportedTIFF(err)
	}
	im, err := toRGB(decoded)
	if err != nil {
		return nil, err
	}
	tags := tiffTags(data)
	if fax := tags[tiffCompression] == 3 || tags[tiffCompression] == 4; fax && tags[tiffPhotometric] == 1 {
		for i := range im.Pix {
			im.Pix[i] = 255 - im.Pix[i]
		}
	}
	return oriented(im, tags[tiffOrientation]), nil
}

// unsupportedTIFF says what to do about the many TIFF files that x/image does not read.
func unsupportedTIFF(err error) error {
	var unsupported tiff.UnsupportedError
	if errors.As(err, &unsupported) {
		return fmt.Errorf("%w: save it anew as PNG", err)
	}
	return err
}

// tiffTags returns the 16-bit values of the first directory, the first value of each tag.
func tiffTags(data []byte) map[uint16]uint16 {
	var order binary.ByteOrder = binary.LittleEndian
	if data[0] == 'M' {
		order = binary.BigEndian
	}
	tags := map[uint16]uint16{}
	at := uint64(order.Uint32(data[4:]))
	if at+2 > uint64(len(data)) {
		return tags
	}
	directory := data[at+2:]
	for range order.Uint16(data[at:]) {
		const entry, short = 12, 3
		if len(directory) < entry {
			break
		}
		if order.Uint16(directory[2:]) == short {
			tags[order.Uint16(directory)] = order.Uint16(directory[8:])
		}
		directory = directory[entry:]
	}
	return tags
}

// oriented turns a picture upright: orientation, from 1 to 8, says where its first row and column lie (TIFF 6.0). Others change nothing.
func oriented(im *pil.Image, orientation uint16) *pil.Image {
	if orientation < 2 || orientation > 8 {
		return im
	}
	w, h := im.Width, im.Height
	turned := orientation >= 5
	right := orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8 // columns run backwards
	low := orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7   // rows run backwards
	out := pil.New(w, h)
	if turned {
		out = pil.New(h, w)
	}
	for y := range out.Height {
		row := out.Row(y)
		for x := range out.Width {
			from, line := x, y
			if turned {
				from, line = y, x
			}
			if right {
				from = w - 1 - from
			}
			if low {
				line = h - 1 - line
			}
			copy(row[3*x:3*x+3], im.Row(line)[3*from:])
		}
	}
	return out
}
