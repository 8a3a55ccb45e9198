// Package picture decodes picture files to the 8-bit RGB that Pillow's Image.open(file).convert("RGB") gives, and writes PNG files
// whose bytes never change. Alpha is dropped, not composited; EXIF orientation is ignored (but TIFF's is not); 16-bit grey is clipped, 16-bit colour cut.
//
// Every pixel is Pillow's, also of JPEG (see package jpeg); WebP's chroma is upsampled as libwebp does it.
package picture

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"regft/datasets/pil"
)

// maxPixels bounds what a small file can make us allocate. It is Pillow's MAX_IMAGE_PIXELS, beyond which Pillow warns of a bomb.
const maxPixels = 89_478_485

// ErrNoPicture says that a file is in no format that this package reads.
var ErrNoPicture = errors.New("not a PNG, JPEG, WebP, BMP, GIF, TIFF or PNM picture")

// extensions are those that torchvision's ImageFolder lists.
var extensions = []string{".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp"}

// HasExtension reports whether a file's name says that it is a picture, by torchvision's list and in any case.
func HasExtension(name string) bool {
	extension := strings.ToLower(path.Ext(name))
	for _, e := range extensions {
		if e == extension {
			return true
		}
	}
	return false
}

// format is one file format: how its files begin, and how to decode one.
type format struct {
	name   string
	magics []string
	decode func(data []byte) (*pil.Image, error)
}

var formats = []format{
	{"PNG", []string{"\x89PNG\r\n\x1a\n"}, decodePNG},
	{"JPEG", []string{"\xff\xd8\xff"}, decodeJPEG},
	{"WebP", []string{"RIFF????WEBP"}, decodeWebP},
	{"GIF", []string{"GIF87a", "GIF89a"}, decodeGIF},
	{"BMP", []string{"BM"}, decodeBMP},
	{"TIFF", []string{"II*\x00", "MM\x00*"}, decodeTIFF},
	{"PNM", []string{"P1", "P2", "P3", "P4", "P5", "P6"}, decodePNM},
}

// Decode decodes a picture file. What the file's name says does not matter: ImageNet has a PNG called .JPEG.
func Decode(data []byte) (*pil.Image, error) {
	if len(data) == 0 {
		return nil, errors.New("the file is empty")
	}
	for _, f := range formats {
		for _, magic := range f.magics {
			if begins(data, magic) {
				return decode(f, data)
			}
		}
	}
	return nil, ErrNoPicture
}

// begins reports whether data begins with magic, whose question marks match any byte.
func begins(data []byte, magic string) bool {
	if len(data) < len(magic) {
		return false
	}
	for i := range len(magic) {
		if magic[i] != '?' && magic[i] != data[i] {
			return false
		}
	}
	return true
}

// decode runs one decoder. Decoders are other people's and their input is anyone's, so a panic in one is a broken file.
func decode(f format, data []byte) (im *pil.Image, err error) {
	defer func() {
		if r := recover(); r != nil {
			im, err = nil, fmt.Errorf("broken %s: %v", f.name, r)
		}
	}()
	im, err = f.decode(data)
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return nil, fmt.Errorf("truncated %s", f.name)
	case err != nil:
		return nil, fmt.Errorf("broken %s: %w", f.name, err)
	}
	return im, nil
}

// Read decodes a picture from a reader.
func Read(r io.Reader) (*pil.Image, error) {
	var data bytes.Buffer
	if _, err := data.ReadFrom(r); err != nil {
		return nil, err
	}
	return Decode(data.Bytes())
}

// Open decodes a picture file.
func Open(path string) (*pil.Image, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err // names the file
	}
	im, err := Decode(data)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return im, nil
}

// checkSize refuses pictures without pixels, with more than maxPixels, or with more than pixelsPerByte allows for the file's length.
func checkSize(width, height int, data []byte, pixelsPerByte int) error {
	switch pixels := int64(width) * int64(height); {
	case width <= 0 || height <= 0:
		return fmt.Errorf("%d x %d pixels", width, height)
	case pixels > maxPixels:
		return fmt.Errorf("%d x %d pixels are more than the %d that regft decodes", width, height, maxPixels)
	case pixels > int64(len(data))*int64(pixelsPerByte):
		return io.ErrUnexpectedEOF
	}
	return nil
}
