package picture

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"io"
	"slices"

	"github.com/gen2brain/jpegn"

	"regft/datasets/pil"
)

// decodeJPEG decodes baseline and progressive JPEG: grey, YCbCr, RGB, CMYK and YCCK.
//
// Baseline files go to jpegn, which is over twice as fast as image/jpeg; progressive ones and those of four components, which it gets
// wrong (v0.5.0), to image/jpeg. They give planes; upsampling and colours are libjpeg-turbo's (jdsample.c, jdcolor.c), so that what is left of the difference
// to Pillow is the rounding of the inverse cosine transform: TestJPEGIsCloseToPillow has the figures.
func decodeJPEG(data []byte) (*pil.Image, error) {
	config, err := jpegn.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	if err := checkSize(config.Width, config.Height, data, 1024); err != nil {
		return nil, err
	}
	im, err := jpegImage(data, config.ColorModel == color.CMYKModel)
	if err != nil {
		return nil, err
	}
	if planes, ok := im.(*image.YCbCr); ok {
		return fromYCbCr(planes), nil
	}
	return toRGB(im)
}

// jpegImage has a file decoded by whoever does it right.
func jpegImage(data []byte, fourComponents bool) (image.Image, error) {
	found := markers(data)
	switch {
	case found.progressive && found.restarts:
		im, err := jpeg.Decode(bytes.NewReader(data))
		if err != nil { // it takes them where every scan has all components
			err = fmt.Errorf("progressive with restart markers, which is not supported: save it anew without them (%w)", err)
		}
		return im, err
	case fourComponents:
		return jpeg.Decode(bytes.NewReader(withAdobe(data)))
	case found.progressive:
		return jpeg.Decode(bytes.NewReader(data))
	case found.complete:
		return jpegn.Decode(bytes.NewReader(data))
	}
	// jpegn would leave what is missing grey; image/jpeg is strict, and decides whether it is more than the end marker.
	im, err := jpeg.Decode(bytes.NewReader(append(bytes.Clone(data), 0xff, 0xd9)))
	if err != nil {
		return nil, fmt.Errorf("%w (%w)", io.ErrUnexpectedEOF, err)
	}
	return im, nil
}

// withAdobe adds the marker that says how to read four components where a file has none; Pillow takes the same for granted.
func withAdobe(data []byte) []byte {
	if bytes.Contains(data, []byte("Adobe")) {
		return data
	}
	marker := []byte("\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00")
	return slices.Concat(data[:2], marker, data[2:])
}

// marked is what the markers of a file say.
type marked struct {
	complete    bool // the end marker is there
	progressive bool
	restarts    bool // an interval of restart markers is set
}

// markers walks the file's markers.
func markers(data []byte) (found marked) {
	at := 2
	for {
		next := bytes.IndexByte(data[min(at, len(data)):], 0xff)
		if next < 0 || at+next+1 >= len(data) {
			return found
		}
		at += next + 1
		switch marker := data[at]; {
		case marker == 0xd9:
			found.complete = true
			return found
		case marker == 0xff || marker == 0 || marker >= 0xd0 && marker <= 0xd8: // fill byte, stuffed byte, restart: no length follows
			continue
		case marker == 0xc2:
			found.progressive = true
		case marker == 0xdd && at+4 < len(data):
			found.restarts = data[at+3]|data[at+4] != 0
		}
		if at+2 >= len(data) {
			return found
		}
		at += 1 + int(data[at+1])<<8 + int(data[at+2])
	}
}

// fromYCbCr upsamples chroma as libjpeg-turbo does by default ("fancy") and converts to RGB, row by row.
func fromYCbCr(im *image.YCbCr) *pil.Image {
	out := pil.New(im.Rect.Dx(), im.Rect.Dy())
	upsample := chromaUpsampler(im)
	cb, cr := make([]uint8, out.Width+1), make([]uint8, out.Width+1) // factors of two give an even number of values
	for y := range out.Height {
		upsample(cb, im.Cb, y)
		upsample(cr, im.Cr, y)
		fromYCC(out.Row(y), im.Y[y*im.YStride:][:out.Width], cb[:out.Width], cr[:out.Width])
	}
	return out
}

// chromaUpsampler returns a function that writes row y of a chroma plane at full width. libjpeg interpolates factors of two, but
// widths of one or two chroma values, and repeats the values of all other factors.
func chromaUpsampler(im *image.YCbCr) func(out, plane []uint8, y int) {
	width, height := im.Rect.Dx(), im.Rect.Dy()
	across, down := subsampling(im.SubsampleRatio)
	chromaWidth, chromaHeight := (width+across-1)/across, (height+down-1)/down
	row := func(plane []uint8, y int) []uint8 { return plane[y*im.CStride:][:chromaWidth] }
	switch {
	case across == 1 && down == 2:
		return func(out, plane []uint8, y int) {
			near, far := nearFar(y, chromaHeight)
			between(out, row(plane, near), row(plane, far), 1+y%2)
		}
	case across == 2 && down == 1 && chromaWidth > 2:
		return func(out, plane []uint8, y int) { triangle(out, row(plane, y)) }
	case across == 2 && down == 2 && chromaWidth > 2:
		return func(out, plane []uint8, y int) {
			near, far := nearFar(y, chromaHeight)
			triangles(out, row(plane, near), row(plane, far))
		}
	}
	return func(out, plane []uint8, y int) {
		source := row(plane, y/down)
		for x := range width {
			out[x] = source[x/across]
		}
	}
}

// subsampling returns how many pixels a chroma value covers.
func subsampling(ratio image.YCbCrSubsampleRatio) (across, down int) {
	switch ratio {
	case image.YCbCrSubsampleRatio422:
		return 2, 1
	case image.YCbCrSubsampleRatio420:
		return 2, 2
	case image.YCbCrSubsampleRatio440:
		return 1, 2
	case image.YCbCrSubsampleRatio411:
		return 4, 1
	case image.YCbCrSubsampleRatio410:
		return 4, 2
	}
	return 1, 1
}

// between weighs a near and a far row 3:1 (h1v2_fancy_upsample).
func between(out, near, far []uint8, bias int) {
	for x, v := range near {
		out[x] = uint8((3*int(v) + int(far[x]) + bias) >> 2)
	}
}

// triangle weighs near and far columns 3:1, rounding down and up in turn (h2v1_fancy_upsample). It writes 2 * len(in) values.
func triangle(out, in []uint8) {
	out = out[:2*len(in)]
	left, v := int(in[0]), int(in[0])
	for x := range in {
		right := v
		if x+1 < len(in) {
			right = int(in[x+1])
		}
		out[2*x] = uint8((3*v + left + 1) >> 2)
		out[2*x+1] = uint8((3*v + right + 2) >> 2)
		left, v = v, right
	}
}

// triangles weighs rows and columns 3:1 each (h2v2_fancy_upsample). It writes 2 * len(near) values.
func triangles(out, near, far []uint8) {
	far = far[:len(near)]
	out = out[:2*len(near)]
	sum := 3*int(near[0]) + int(far[0])
	left := sum
	for x := range near {
		right := sum
		if x+1 < len(near) {
			right = 3*int(near[x+1]) + int(far[x+1])
		}
		out[2*x] = uint8((3*sum + left + 8) >> 4)
		out[2*x+1] = uint8((3*sum + right + 7) >> 4)
		left, sum = sum, right
	}
}

// yccTables are the products of jdcolor.c, with 16 fractional bits: red of Cr, blue of Cb, and the two parts of green.
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

func fromYCC(out, luma, cb, cr []uint8) {
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
		return uint8(^(v >> 31))
	}
	return uint8(v)
}
