package nn_test

import (
	"fmt"
	"math"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"regft/models/nn"
)

// wave gives n values without a pattern that a mistake in an index could keep.
func wave(n int, seed float64) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(math.Sin(seed + 1.7*float64(i) + 0.3*math.Sqrt(float64(i))))
	}
	return v
}

// picture indexes values [batch, height, width, channels]; outside there are zeros.
type picture struct {
	values     []float32
	n, h, w, c int
	before     int // rows and columns of zeros above and to the left
}

func (p picture) at(n, y, x, c int) float64 {
	if y -= p.before; y < 0 || y >= p.h {
		return 0
	}
	if x -= p.before; x < 0 || x >= p.w {
		return 0
	}
	return float64(p.values[((n*p.h+y)*p.w+x)*p.c+c])
}

// convolve is the definition, in float64.
func convolve(p picture, weight, bias []float32, out int, w nn.Window) (y []float64, dims []int) {
	p.before = w.Before
	h := (p.h+w.Before+w.After-w.Kernel)/w.Stride + 1
	wide := (p.w+w.Before+w.After-w.Kernel)/w.Stride + 1
	for at := range p.n * h * wide * out {
		o, column, row, n := at%out, at/out%wide, at/out/wide%h, at/out/wide/h
		sum := float64(bias[o])
		for k := range p.c * w.Kernel * w.Kernel {
			dx, dy, c := k%w.Kernel, k/w.Kernel%w.Kernel, k/w.Kernel/w.Kernel
			sum += float64(weight[o*p.c*w.Kernel*w.Kernel+k]) * p.at(n, row*w.Stride+dy, column*w.Stride+dx, c)
		}
		y = append(y, sum)
	}
	return y, []int{p.n, h, wide, out}
}

func TestConv2D(t *testing.T) {
	for _, test := range []struct {
		n, h, w, in, out int
		window           nn.Window
	}{
		{2, 5, 7, 3, 4, nn.Same(3)},
		{1, 6, 4, 2, 3, nn.Same(1)},
		{1, 6, 5, 2, 2, nn.Same(5)},
		{2, 8, 4, 5, 3, nn.Same(3)}, // whole tiles
		{1, 12, 16, 3, 7, nn.Same(3)},
		{2, 8, 6, 3, 2, nn.Window{Kernel: 3, Stride: 2, Before: 1, After: 1}},
		{1, 7, 8, 3, 2, nn.Window{Kernel: 3, Stride: 2, After: 1}},
		{1, 8, 8, 2, 2, nn.Window{Kernel: 3, Stride: 1}},
		{1, 8, 8, 2, 2, nn.Window{Kernel: 2, Stride: 2}},
	} {
		t.Run(fmt.Sprintf("%dx%dx%d to %d %+v", test.h, test.w, test.in, test.out, test.window), func(t *testing.T) {
			x := wave(test.n*test.h*test.w*test.in, 0)
			weight := wave(test.out*test.in*test.window.Kernel*test.window.Kernel, 1)
			bias := wave(test.out, 2)
			program, err := builder(t).Compile("conv", func(p nn.Params, in []*Node) []*Node {
				return []*Node{nn.Conv2D(p, in[0], test.out, test.window)}
			}, f32(test.n, test.h, test.w, test.in))
			if err != nil {
				t.Fatal(err)
			}
			y, err := program.Run(t.Context(), nn.Weights{
				"weight": tensors.FromFlatDataAndDimensions(weight, test.out, test.in, test.window.Kernel, test.window.Kernel),
				"bias":   tensors.FromValue(bias),
			}, tensors.FromFlatDataAndDimensions(x, test.n, test.h, test.w, test.in))
			if err != nil {
				t.Fatal(err)
			}
			want, dims := convolve(picture{values: x, n: test.n, h: test.h, w: test.w, c: test.in}, weight, bias, test.out, test.window)
			near(t, y[0], want, dims)
		})
	}
}

func near(t *testing.T, got *tensors.Tensor, want []float64, dims []int) {
	t.Helper()
	if fmt.Sprint(got.Shape().Dimensions) != fmt.Sprint(dims) {
		t.Fatalf("shape %v, want %v", got.Shape().Dimensions, dims)
	}
	largest := 0.0
	for _, w := range want {
		largest = max(largest, math.Abs(w))
	}
	for i, g := range tensors.MustCopyFlatData[float32](got) {
		if !(math.Abs(float64(g)-want[i]) <= 1e-5*largest) {
			t.Fatalf("value %d is %g, want %g", i, g, want[i])
		}
	}
}

func TestGroupNorm(t *testing.T) {
	const n, h, w, c, eps = 2, 3, 5, 12, 1e-5
	for _, groups := range []int{1, 3, 4, 12} {
		x, weight, bias := wave(n*h*w*c, 0), wave(c, 1), wave(c, 2)
		for i := range x {
			x[i] = 3*x[i] + 20 // far from zero, where a careless variance cancels
		}
		program, err := builder(t).Compile("norm", func(p nn.Params, in []*Node) []*Node {
			return []*Node{nn.GroupNorm(p, in[0], groups, eps)}
		}, f32(n, h, w, c))
		if err != nil {
			t.Fatal(err)
		}
		y, err := program.Run(t.Context(), nn.Weights{"weight": tensors.FromValue(weight), "bias": tensors.FromValue(bias)},
			tensors.FromFlatDataAndDimensions(x, n, h, w, c))
		if err != nil {
			t.Fatal(err)
		}
		sums := make([][3]float64, n*groups) // count, sum, squares
		of := func(i int) int { return i/(h*w*c)*groups + i%c/(c/groups) }
		for i, v := range x {
			s := &sums[of(i)]
			s[0], s[1], s[2] = s[0]+1, s[1]+float64(v), s[2]+float64(v)*float64(v)
		}
		var want []float64
		for i, v := range x {
			s := sums[of(i)]
			mean := s[1] / s[0]
			deviation := math.Sqrt(s[2]/s[0] - mean*mean + eps)
			want = append(want, (float64(v)-mean)/deviation*float64(weight[i%c])+float64(bias[i%c]))
		}
		near(t, y[0], want, []int{n, h, w, c})
	}
}

func TestGroupNormOfOddGroups(t *testing.T) {
	_, err := builder(t).Trace(func(p nn.Params, in []*Node) []*Node {
		return []*Node{nn.GroupNorm(p.At("norm"), in[0], 5, 1e-5)}
	}, f32(1, 2, 2, 12))
	if want := `building trace: group norm "norm.": 12 channels do not make 5 groups`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %q", err, want)
	}
}

func TestResizeNearest(t *testing.T) {
	const h, w, c = 3, 4, 2
	x := wave(h*w*c, 0)
	for _, size := range [][2]int{{6, 8}, {3, 4}, {5, 7}, {2, 9}} {
		program, err := builder(t).Compile("resize", func(_ nn.Params, in []*Node) []*Node {
			return []*Node{nn.ResizeNearest(in[0], size[0], size[1])}
		}, f32(1, h, w, c))
		if err != nil {
			t.Fatal(err)
		}
		y, err := program.Run(t.Context(), nil, tensors.FromFlatDataAndDimensions(x, 1, h, w, c))
		if err != nil {
			t.Fatal(err)
		}
		var want []float64
		for i := range size[0] * size[1] * c {
			row, column := i/c/size[1]*h/size[0], i/c%size[1]*w/size[1]
			want = append(want, float64(x[(row*w+column)*c+i%c]))
		}
		near(t, y[0], want, []int{1, size[0], size[1], c})
	}
}

func TestMaxPool2D(t *testing.T) {
	for _, test := range []struct {
		h, w   int
		window nn.Window
	}{
		{7, 8, nn.Window{Kernel: 3, Stride: 2, Before: 1, After: 1}},
		{6, 6, nn.Window{Kernel: 2, Stride: 2}},
		{5, 4, nn.Same(3)},
	} {
		const n, c = 2, 3
		x := wave(n*test.h*test.w*c, 0)
		for i := range x {
			x[i] -= 5 // below the zeros that a convolution has around a picture
		}
		program, err := builder(t).Compile("pool", func(_ nn.Params, in []*Node) []*Node {
			return []*Node{nn.MaxPool2D(in[0], test.window)}
		}, f32(n, test.h, test.w, c))
		if err != nil {
			t.Fatal(err)
		}
		y, err := program.Run(t.Context(), nil, tensors.FromFlatDataAndDimensions(x, n, test.h, test.w, c))
		if err != nil {
			t.Fatal(err)
		}
		want, dims := pool(picture{values: x, n: n, h: test.h, w: test.w, c: c}, test.window)
		near(t, y[0], want, dims)
	}
}

// pool is the definition.
func pool(p picture, w nn.Window) (y []float64, dims []int) {
	h, wide := (p.h+w.Before+w.After-w.Kernel)/w.Stride+1, (p.w+w.Before+w.After-w.Kernel)/w.Stride+1
	for at := range p.n * h * wide * p.c {
		c, column, row, n := at%p.c, at/p.c%wide, at/p.c/wide%h, at/p.c/wide/h
		largest := math.Inf(-1)
		for k := range w.Kernel * w.Kernel {
			dy, dx := row*w.Stride+k/w.Kernel-w.Before, column*w.Stride+k%w.Kernel-w.Before
			if dy >= 0 && dy < p.h && dx >= 0 && dx < p.w {
				largest = max(largest, p.at(n, dy, dx, c))
			}
		}
		y = append(y, largest)
	}
	return y, []int{p.n, h, wide, p.c}
}
