package kernels

import (
	"math/rand/v2"
	"testing"
)

// TestForwardOIHW compares with Forward, whose weights are in the other order.
func TestForwardOIHW(t *testing.T) {
	one := [2]int{1, 1}
	r := rand.New(rand.NewPCG(5, 6))
	for _, c := range []Conv{
		{Batch: 2, Height: 7, Width: 5, Channels: 3, KernelHeight: 3, KernelWidth: 3, OutChannels: 5, Groups: 1},
		{Batch: 1, Height: 6, Width: 6, Channels: 70, KernelHeight: 3, KernelWidth: 2, OutChannels: 33, Groups: 1},
		{Batch: 1, Height: 9, Width: 8, Channels: 36, KernelHeight: 1, KernelWidth: 1, OutChannels: 40, Groups: 4},
		{Batch: 2, Height: 24, Width: 24, Channels: 16, KernelHeight: 3, KernelWidth: 3, OutChannels: 24, Groups: 1}, // Winograd
		{Batch: 2, Height: 9, Width: 8, Channels: 24, KernelHeight: 3, KernelWidth: 3, OutChannels: 3, Groups: 1},    // shifts
		{Batch: 2, Height: 6, Width: 5, Channels: 9, KernelHeight: 3, KernelWidth: 4, OutChannels: 7, Groups: 1, InputDilation: [2]int{2, 3}},
		{Batch: 1, Height: 5, Width: 5, Channels: 40, KernelHeight: 1, KernelWidth: 1, OutChannels: 9, Groups: 1},
	} {
		c.Stride, c.Dilation, c.Padding = one, one, [2][2]int{one, one}
		if c.InputDilation == [2]int{} {
			c.InputDilation = one
		}
		x, oihw := make([]float32, c.Batch*c.Height*c.Width*c.Channels), make([]float32, c.OutChannels*c.groupIn()*c.taps())
		hwio := make([]float32, len(oihw))
		for i := range x {
			x[i] = r.Float32() - 0.5
		}
		for i := range oihw {
			oihw[i] = r.Float32() - 0.5
			o, in, tap := i/(c.groupIn()*c.taps()), i/c.taps()%c.groupIn(), i%c.taps()
			hwio[(tap*c.groupIn()+in)*c.OutChannels+o] = oihw[i]
		}
		want, got := make([]float32, c.pixels()*c.OutChannels), make([]float32, c.pixels()*c.OutChannels)
		c.Forward(Serial{}, want, x, c.PackWeights(Serial{}, hwio), Epilogue{})
		c.ForwardOIHW(Serial{}, got, x, oihw, Epilogue{})
		for i := range want {
			if got[i] != want[i] {
				t.Fatalf("%+v: value %d is %g, want %g", c, i, got[i], want[i])
			}
		}
	}
}
