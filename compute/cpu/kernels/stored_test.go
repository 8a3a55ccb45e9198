package kernels

import (
	"slices"
	"testing"
)

// TestStored: a product and a convolution with weights packed into their own memory give the bits that they give without, and
// unpacking gives the weights back.
func TestStored(t *testing.T) {
	nr := active.nr
	for _, k := range []int{1, 7, 320, 1000} {
		n := 3 * nr
		x, w := benchRandom(5*k), benchRandom(k*n)
		for _, v := range []View{Matrix(w, k, n), Matrix(w, n, k).T()} {
			data, back, got, want := make([]float32, k*n), make([]float32, k*n), make([]float32, 5*n), make([]float32, 5*n)
			PackInto(Serial{}, data, v)
			GemmPacked(Serial{}, 1, Matrix(x, 5, k), PackedIn(data, k, n), 0, Matrix(got, 5, n), Epilogue{})
			Gemm(Serial{}, 1, Matrix(x, 5, k), v, 0, Matrix(want, 5, n), Epilogue{})
			if !slices.Equal(got, want) {
				t.Errorf("k %d: another product with stored weights", k)
			}
			v.Data = back
			PackedIn(data, k, n).Unpack(Serial{}, v)
			if !slices.Equal(back, w) {
				t.Errorf("k %d: unpacking gives other weights", k)
			}
		}
	}
	one, two := [2]int{1, 1}, [2]int{2, 2}
	for _, c := range []Conv{{Height: 4, InputDilation: one}, {Height: 9, InputDilation: one}, {Height: 5, InputDilation: two}} { // direct, by Winograd's method, in phases
		side := c.Height
		c.Batch, c.Width, c.Channels, c.KernelHeight, c.KernelWidth, c.OutChannels, c.Groups = 1, side, 40, 3, 3, 2*nr, 1
		c.Stride, c.Dilation, c.Padding = one, one, [2][2]int{one, one}
		x, w := benchRandom(side*side*40), benchRandom(9*40*2*nr)
		data, back := make([]float32, len(w)), make([]float32, len(w))
		got, want := make([]float32, c.pixels()*2*nr), make([]float32, c.pixels()*2*nr)
		c.PackOIHWInto(Serial{}, data, w)
		c.Forward(Serial{}, got, x, c.PackedIn(data), Epilogue{})
		c.ForwardOIHW(Serial{}, want, x, w, Epilogue{})
		if !slices.Equal(got, want) {
			t.Errorf("side %d: another convolution with stored weights", side)
		}
		c.UnpackOIHW(Serial{}, back, c.PackedIn(data))
		if !slices.Equal(back, w) {
			t.Errorf("side %d: unpacking gives other weights", side)
		}
	}
}
