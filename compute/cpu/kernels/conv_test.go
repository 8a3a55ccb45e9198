package kernels

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// randomConv is a convolution of any stride, padding, dilations and groups that has a result.
func randomConv(r *rand.Rand) Conv {
	for {
		groups := pick(r, []int{1, 1, 2, 3})
		c := Conv{
			Batch: 1 + r.IntN(2), Height: 1 + r.IntN(12), Width: 1 + r.IntN(12), Channels: groups * pick(r, []int{1, 3, 4, 8, 17, 40}),
			KernelHeight: 1 + r.IntN(4), KernelWidth: 1 + r.IntN(4), OutChannels: groups * pick(r, []int{1, 5, 8, 16, 33}), Groups: groups,
			Stride: [2]int{1 + r.IntN(3), 1 + r.IntN(3)}, Dilation: [2]int{1 + r.IntN(2), 1 + r.IntN(2)}, InputDilation: [2]int{1, 1},
			Padding: [2][2]int{{r.IntN(4) - 1, r.IntN(3)}, {r.IntN(4) - 1, r.IntN(3)}},
		}
		if r.IntN(3) == 0 {
			c.InputDilation = [2]int{1 + r.IntN(3), 1 + r.IntN(3)}
		}
		if c.OutHeight() > 0 && c.OutWidth() > 0 {
			return c
		}
	}
}

// eachProduct calls f with the places in y, x and the weights of every product of the convolution.
func (c Conv) eachProduct(f func(y, x, w int)) {
	height, width := c.OutHeight(), c.OutWidth()
	for i := range c.Batch * height * width {
		for tap := range c.taps() {
			row := i/width%height*c.Stride[0] - c.Padding[0][0] + tap/c.KernelWidth*c.Dilation[0]
			col := i%width*c.Stride[1] - c.Padding[1][0] + tap%c.KernelWidth*c.Dilation[1]
			if row < 0 || col < 0 || row%c.InputDilation[0] != 0 || col%c.InputDilation[1] != 0 ||
				row/c.InputDilation[0] >= c.Height || col/c.InputDilation[1] >= c.Width {
				continue
			}
			pixel := (i/(height*width)*c.Height+row/c.InputDilation[0])*c.Width + col/c.InputDilation[1]
			for o := range c.OutChannels {
				for k := range c.groupIn() {
					f(i*c.OutChannels+o, pixel*c.Channels+o/c.groupOut()*c.groupIn()+k, (tap*c.groupIn()+k)*c.OutChannels+o)
				}
			}
		}
	}
}

func TestConv(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(27, 28))
		for range 150 {
			c := randomConv(r)
			what := fmt.Sprintf("%+v", c)
			x, w := randomNumbers(r, c.Batch*c.Height*c.Width*c.Channels), randomNumbers(r, c.taps()*c.groupIn()*c.OutChannels)
			bias, dy := randomNumbers(r, c.OutChannels), randomNumbers(r, c.pixels()*c.OutChannels)
			wantY, wantDX, wantDW := make([]float64, len(dy)), make([]float64, len(x)), make([]float64, len(w))
			for i := range wantY {
				wantY[i] = float64(bias[i%c.OutChannels])
			}
			c.eachProduct(func(i, j, k int) {
				wantY[i] += float64(x[j]) * float64(w[k])
				wantDX[j] += float64(dy[i]) * float64(w[k])
				wantDW[k] += float64(dy[i]) * float64(x[j])
			})
			var first [3][]float32
			for _, pool := range []Pool{Serial{}, workers(3)} {
				y, checkY := guarded(t, len(dy))
				c.Forward(pool, y, x, c.PackWeights(pool, w), Epilogue{Bias: bias})
				checkY()
				near(t, "y of "+what, y, wantY, 1e-5)
				dx, checkDX := guarded(t, len(x))
				c.InputGradient(pool, dx, dy, c.PackWeightsTurned(pool, w))
				checkDX()
				near(t, "dx of "+what, dx, wantDX, 1e-5)
				dw, checkDW := guarded(t, len(w))
				c.WeightGradient(pool, dw, dy, x)
				checkDW()
				near(t, "dw of "+what, dw, wantDW, 1e-5)
				for i, got := range [][]float32{y, dx, dw} {
					if first[i] == nil {
						first[i] = got
					}
					sameBits(t, what, got, first[i])
				}
			}
		}
	})
}

// TestConvEpilogue adds a residual of the result's shape after the activation.
func TestConvEpilogue(t *testing.T) {
	r := rand.New(rand.NewPCG(29, 30))
	c := Conv{Batch: 2, Height: 20, Width: 20, Channels: 6, KernelHeight: 3, KernelWidth: 3, OutChannels: 24, Groups: 2,
		Stride: [2]int{1, 1}, Dilation: [2]int{1, 1}, InputDilation: [2]int{1, 1}, Padding: [2][2]int{{1, 1}, {1, 1}}}
	x, w := randomNumbers(r, c.Batch*c.Height*c.Width*c.Channels), randomNumbers(r, c.taps()*c.groupIn()*c.OutChannels)
	bias, residual := randomNumbers(r, c.OutChannels), randomNumbers(r, c.pixels()*c.OutChannels)
	want := make([]float64, len(residual))
	c.eachProduct(func(i, j, k int) { want[i] += float64(x[j]) * float64(w[k]) })
	for i := range want {
		want[i] = max(0, want[i]+float64(bias[i%c.OutChannels])) + float64(residual[i])
	}
	eachSet(t, func(t *testing.T) {
		y := make([]float32, len(want))
		c.Forward(workers(2), y, x, c.PackWeights(Serial{}, w), Epilogue{Bias: bias, Activation: ReluActivation,
			Residual: Matrix(residual, c.pixels(), c.OutChannels)})
		near(t, "y", y, want, 1e-5)
	})
}

// TestConvMethods holds convolutions that Forward computes in ways of their own to float64: an image as it is, sums of shifted
// products, and phases of a dilated image.
func TestConvMethods(t *testing.T) {
	one := [2]int{1, 1}
	shapes := []Conv{
		{Height: 9, Width: 13, Channels: 33, KernelHeight: 1, KernelWidth: 1, OutChannels: 37},
		{Height: 40, Width: 19, Channels: 20, KernelHeight: 3, KernelWidth: 3, OutChannels: 3, Padding: [2][2]int{one, one}},
		{Height: 5, Width: 4, Channels: 300, KernelHeight: 2, KernelWidth: 5, OutChannels: 4, Padding: [2][2]int{{3, -1}, {4, 4}}},
		{Height: 6, Width: 1, Channels: 16, KernelHeight: 3, KernelWidth: 3, OutChannels: 1, Padding: [2][2]int{{0, 2}, one}},
		{Height: 9, Width: 8, Channels: 20, KernelHeight: 3, KernelWidth: 3, OutChannels: 33, InputDilation: [2]int{2, 2}, Padding: [2][2]int{one, one}},
		{Height: 9, Width: 8, Channels: 100, KernelHeight: 3, KernelWidth: 3, OutChannels: 8, InputDilation: [2]int{2, 2}, Padding: [2][2]int{{2, 0}, {1, 3}}},
		{Height: 4, Width: 5, Channels: 5, KernelHeight: 1, KernelWidth: 2, OutChannels: 6, InputDilation: [2]int{3, 2}, Padding: [2][2]int{{1, 1}, {2, 0}}},
		{Height: 4, Width: 5, Channels: 5, KernelHeight: 3, KernelWidth: 3, OutChannels: 6, InputDilation: [2]int{4, 6}, Dilation: [2]int{2, 4}, Padding: [2][2]int{{5, 4}, {7, 3}}},
	}
	eachSet(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(37, 38))
		for _, c := range shapes {
			c.Batch, c.Groups, c.Stride = 2, 1, one
			if c.Dilation == [2]int{} {
				c.Dilation = one
			}
			if c.InputDilation == [2]int{} {
				c.InputDilation = one
			}
			what := fmt.Sprintf("%+v", c)
			x, w, bias := randomNumbers(r, c.Batch*c.Height*c.Width*c.Channels), randomNumbers(r, c.taps()*c.Channels*c.OutChannels), randomNumbers(r, c.OutChannels)
			residual := randomNumbers(r, c.pixels()*c.OutChannels)
			want := make([]float64, len(residual))
			c.eachProduct(func(i, j, k int) { want[i] += float64(x[j]) * float64(w[k]) })
			for i := range want {
				want[i] = max(0, want[i]+float64(bias[i%c.OutChannels])) + float64(residual[i])
			}
			var first []float32
			for _, pool := range []Pool{Serial{}, workers(3)} {
				y, check := guarded(t, len(want))
				c.Forward(pool, y, x, c.PackWeights(pool, w), Epilogue{Bias: bias, Activation: ReluActivation, Residual: Matrix(residual, c.pixels(), c.OutChannels)})
				check()
				near(t, what, y, want, 1e-5)
				if first == nil {
					first = y
				}
				sameBits(t, what, y, first)
			}
		}
	})
}

// TestWinograd compares Winograd's method with float64 where Forward uses it, whatever the sizes' rests modulo its tiles.
func TestWinograd(t *testing.T) {
	eachSet(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(35, 36))
		for range 6 {
			c := square(23+r.IntN(8), 8*(1+r.IntN(6)), 8*(1+r.IntN(6)), 3, 1)
			c.Width, c.Batch = 24+r.IntN(9), 1+r.IntN(2)
			c.Padding = [2][2]int{{r.IntN(3), r.IntN(3)}, {r.IntN(3), r.IntN(3)}}
			if !c.suitsWinograd() {
				t.Fatalf("%+v should suit Winograd's method", c)
			}
			x, w, bias := randomNumbers(r, c.Batch*c.Height*c.Width*c.Channels), randomNumbers(r, 9*c.Channels*c.OutChannels), randomNumbers(r, c.OutChannels)
			want := make([]float64, c.pixels()*c.OutChannels)
			c.eachProduct(func(i, j, k int) { want[i] += float64(x[j]) * float64(w[k]) })
			for i := range want {
				want[i] += float64(bias[i%c.OutChannels])
			}
			var first []float32
			for _, pool := range []Pool{Serial{}, workers(3)} {
				y, check := guarded(t, len(want))
				c.Forward(pool, y, x, c.PackWeights(pool, w), Epilogue{Bias: bias})
				check()
				near(t, fmt.Sprintf("%+v", c), y, want, 4e-6)
				if first == nil {
					first = y
				}
				sameBits(t, fmt.Sprintf("%+v", c), y, first)
			}
		}
	})
}
