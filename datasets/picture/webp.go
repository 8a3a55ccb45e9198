package picture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"image"
	"io"
	"math"

	"golang.org/x/image/webp"

	"regft/datasets/pil"
)

func decodeWebP(data []byte) (*pil.Image, error) {
	const animation = 2 // in the flags of an extended file
	switch {
	case len(data) < 21 || uint64(binary.LittleEndian.Uint32(data[4:]))+8 > uint64(len(data)):
		return nil, io.ErrUnexpectedEOF
	case string(data[12:16]) == "VP8X" && data[20]&animation != 0:
		return nil, errors.New("it is an animation, which is not supported: save its first frame")
	}
	config, err := webp.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	if err := checkSize(config.Width, config.Height, data, math.MaxInt32); err != nil {
		return nil, err
	}
	im, err := webp.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	switch im := im.(type) {
	case *image.YCbCr:
		return fromVP8(im), nil
	case *image.NYCbCrA:
		return fromVP8(&im.YCbCr), nil
	}
	return toRGB(im)
}

// fromVP8 converts 4:2:0 YUV of studio range as libwebp does: each chroma value lies between four pixels, and is weighed 9:3:3:1 by
// distance (UPSAMPLE_FUNC of src/dsp/upsampling.c, VP8YUVToR, G and B of src/dsp/yuv.h).
func fromVP8(im *image.YCbCr) *pil.Image {
	out := pil.New(im.Rect.Dx(), im.Rect.Dy())
	u, v := make([]uint8, out.Width), make([]uint8, out.Width)
	chromaWidth, chromaHeight := (out.Width+1)/2, (out.Height+1)/2
	for y := range out.Height {
		near, far := nearFar(y, chromaHeight)
		upsampleVP8(u, im.Cb[near*im.CStride:][:chromaWidth], im.Cb[far*im.CStride:][:chromaWidth])
		upsampleVP8(v, im.Cr[near*im.CStride:][:chromaWidth], im.Cr[far*im.CStride:][:chromaWidth])
		fromYUV(out.Row(y), im.Y[y*im.YStride:], u, v)
	}
	return out
}

// nearFar returns the two rows of chroma, at half height, between which row y lies; beyond an edge the row at the edge counts again.
func nearFar(y, chromaHeight int) (near, far int) {
	near = y / 2
	if y%2 == 0 {
		return near, max(0, near-1)
	}
	return near, min(chromaHeight-1, near+1)
}

func upsampleVP8(out, near, far []uint8) {
	edge := func(i int) uint8 { return uint8((3*int(near[i]) + int(far[i]) + 2) >> 2) }
	out[0] = edge(0)
	for i := 1; i < len(near); i++ {
		a, b, c, d := int(near[i-1]), int(near[i]), int(far[i-1]), int(far[i])
		sum := a + b + c + d + 8
		out[2*i-1] = uint8(((sum+2*(b+c))>>3 + a) >> 1)
		if 2*i < len(out) {
			out[2*i] = uint8(((sum+2*(a+d))>>3 + b) >> 1)
		}
	}
	if len(out)%2 == 0 {
		out[len(out)-1] = edge(len(near) - 1)
	}
}

func fromYUV(out, luma, u, v []uint8) {
	for x := range u {
		y, u, v := int(luma[x])*19077>>8, int(u[x]), int(v[x])
		p := out[x*3:][:3:3]
		p[0] = clipVP8(y + v*26149>>8 - 14234)
		p[1] = clipVP8(y - u*6419>>8 - v*13320>>8 + 8708)
		p[2] = clipVP8(y + u*33050>>8 - 17685)
	}
}

// clipVP8 drops six fractional bits.
func clipVP8(v int) uint8 { return uint8(max(0, min(255, v>>6))) }
