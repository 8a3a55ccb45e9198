// Package pil resizes 8-bit RGB pictures with Pillow's arithmetic, pixel by pixel: CLIP was trained, and every published number was
// measured, on pictures that Pillow had resized. What Pillow does in fixed point is done in the same fixed point here.
//
// Reference: Pillow 13.0, src/libImaging/Resample.c and Geometry.c.
package pil

// Channels is the number of values of a pixel: red, green, blue.
const Channels = 3

// Image is an 8-bit RGB picture. The pixel at (x, y) is Pix[(y*Width+x)*Channels:][:Channels].
type Image struct {
	Width, Height int
	Pix           []uint8
}

// New returns a black picture.
func New(width, height int) *Image {
	return &Image{Width: width, Height: height, Pix: make([]uint8, width*height*Channels)}
}

// Row returns the values of one row, Width*Channels of them.
func (im *Image) Row(y int) []uint8 {
	stride := im.Width * Channels
	return im.Pix[y*stride : (y+1)*stride : (y+1)*stride]
}

// Rect is the part of a picture from (X, Y), Width wide and Height high, in pixels.
type Rect struct{ X, Y, Width, Height int }

// Crop returns a copy of a part of the picture. What lies outside the picture is black, as in Pillow.
func (im *Image) Crop(r Rect) *Image {
	out := New(r.Width, r.Height)
	x0, x1 := max(0, r.X), min(im.Width, r.X+r.Width)
	if x0 >= x1 {
		return out
	}
	for y := max(0, -r.Y); y < r.Height && r.Y+y < im.Height; y++ {
		copy(out.Row(y)[(x0-r.X)*Channels:], im.Row(r.Y + y)[x0*Channels:x1*Channels])
	}
	return out
}

// FlipHorizontal mirrors the picture left to right, in place.
func (im *Image) FlipHorizontal() {
	for y := range im.Height {
		row := im.Row(y)
		for a, b := 0, len(row)-Channels; a < b; a, b = a+Channels, b-Channels {
			for c := range Channels {
				row[a+c], row[b+c] = row[b+c], row[a+c]
			}
		}
	}
}
