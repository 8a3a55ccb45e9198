package kernels

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
)

func TestDevConv(t *testing.T) {
	if os.Getenv("DEV") == "" {
		t.Skip()
	}
	r := rand.New(rand.NewPCG(1, 1))
	for _, s := range [][5]int{{64, 320, 320, 3, 1}, {32, 640, 640, 3, 1}, {16, 1280, 1280, 3, 1}, {8, 1280, 1280, 3, 1}, {64, 4, 320, 3, 1}, {64, 320, 4, 3, 1}, {64, 320, 320, 3, 2}, {64, 512, 512, 3, 1}, {128, 256, 256, 3, 1}, {256, 128, 128, 3, 1}, {224, 3, 768, 16, 16}, {64, 320, 320, 1, 1}} {
		h, ci, co, k, st := s[0], s[1], s[2], s[3], s[4]
		c := Conv{Batch: 1, Height: h, Width: h, Channels: ci, KernelHeight: k, KernelWidth: k, OutChannels: co, Groups: 1, Stride: [2]int{st, st}, Dilation: [2]int{1, 1}, InputDilation: [2]int{1, 1}}
		if k == 3 {
			c.Padding = [2][2]int{{1, 1}, {1, 1}}
		}
		x, w := randomNumbers(r, h*h*ci), randomNumbers(r, k*k*ci*co)
		y := make([]float32, c.pixels()*co)
		pw := c.PackWeights(Serial{}, w)
		tf := best(func() { c.Forward(Serial{}, y, x, pw, Epilogue{}) })
		pt := c.PackWeightsTurned(Serial{}, w)
		ti := best(func() { c.InputGradient(Serial{}, x, y, pt) })
		tw := best(func() { c.WeightGradient(Serial{}, w, y, x) })
		f := 2 * float64(c.pixels()*k*k*ci*co)
		p := pk()
		fmt.Printf("conv %v: %.1f ms  fwd %3.0f%%  dx %3.0f%% dw %3.0f%%\n", s, tf*1e3, 100*f/tf/p, 100*f/ti/p, 100*f/tw/p)
	}
}

func TestDevAttention(t *testing.T) {
	if os.Getenv("DEV") == "" {
		t.Skip()
	}
	r := rand.New(rand.NewPCG(1, 1))
	for _, s := range [][4]int{{5, 4096, 4096, 64}, {10, 1024, 1024, 64}, {5, 4096, 77, 64}, {12, 197, 197, 64}, {8, 77, 77, 64}, {1, 4096, 4096, 512}} {
		for _, causal := range []bool{false, true} {
			a := Attention{Batch: 1, Heads: s[0], Queries: s[1], Keys: s[2], Dim: s[3], ValueDim: s[3], Scale: 0.125, Causal: causal}
			h := func(n int) Heads {
				return Heads{Data: randomNumbers(r, s[0]*n*s[3]), RowStride: s[0] * s[3], HeadStride: s[3]}
			}
			q, k, v, o, d := h(s[1]), h(s[2]), h(s[2]), h(s[1]), h(s[1])
			dq, dk, dv := h(s[1]), h(s[2]), h(s[2])
			l := make([]float32, s[0]*s[1])
			tf := best(func() { a.Forward(Serial{}, o, q, k, v, l) })
			tb := best(func() { a.Backward(Serial{}, AttentionGradients{dq, dk, dv}, d, o, q, k, v, l) })
			f := 4 * float64(s[0]*s[1]*s[2]*s[3])
			p := pk()
			fmt.Printf("attention %v causal %v: %.2f ms %3.0f%%  backward %3.0f%%\n", s, causal, tf*1e3, 100*f/tf/p, 250*f/tb/p)
		}
	}
}

func TestDevElementwise(t *testing.T) {
	if os.Getenv("DEV") == "" {
		t.Skip()
	}
	r := rand.New(rand.NewPCG(1, 1))
	big := 16 << 20
	x, y, z := randomNumbers(r, big), randomNumbers(r, big), randomNumbers(r, big)
	names := []string{"neg", "abs", "sqrt", "rsqrt", "exp", "log", "erf", "tanh", "sigmoid", "relu", "gelu", "gelutanh", "quickgelu", "silu"}
	cp := best(func() { copy(y, x) })
	fmt.Printf("copy %.1f GB/s\n", 8*float64(big)/cp/1e9)
	for op := range unaryOps {
		n := 4096
		tl := best(func() {
			for range 100 {
				Unary(op, y[:n], x[:n])
			}
		})
		tb := best(func() { Unary(op, y, x) })
		fmt.Printf("%10s: L1 %.2f ns/elem  memory %.1f GB/s\n", names[op], tl*1e9/float64(n*100), 8*float64(big)/tb/1e9)
	}
	ta := best(func() { Binary(Add, z, x, y) })
	fmt.Printf("add %.1f GB/s\n", 12*float64(big)/ta/1e9)
	rows, cols := 1576, 768
	g, b := randomNumbers(r, cols), randomNumbers(r, cols)
	mean, rstd := make([]float32, rows), make([]float32, rows)
	n := 8 * float64(rows*cols)
	show := func(name string, tm, bytes float64) { fmt.Printf("%s %.3f ms %.1f GB/s\n", name, tm*1e3, bytes/tm/1e9) }
	show("layernorm", best(func() { LayerNorm(y, x, g, b, rows, cols, 1e-5, mean, rstd) }), n)
	show("layernorm backward", best(func() { LayerNormBackward(Serial{}, z, g, b, y, x, g, mean, rstd, rows, cols) }), n*1.5)
	show("softmax 1576x768", best(func() { Softmax(y, x, rows, cols) }), n)
	show("softmax 5000x197", best(func() { Softmax(y, x, 5000, 197) }), 8*5000*197)
	gn := GroupNorm{Batch: 1, Pixels: 4096, Channels: 320, Groups: 32, Gamma: randomNumbers(r, 320), Beta: randomNumbers(r, 320), Epsilon: 1e-5, Activation: SiluActivation}
	show("groupnorm+silu 4096x320", best(func() { gn.Forward(Serial{}, y, x, nil, nil) }), 8*4096*320)
	gn.Activation = NoActivation
	show("groupnorm 4096x320", best(func() { gn.Forward(Serial{}, y, x, nil, nil) }), 8*4096*320)
	show("transpose 1576x768", best(func() { Transpose(Serial{}, y, x, rows, cols) }), n)
	show("transpose 4096x4096", best(func() { Transpose(Serial{}, y, x, 4096, 4096) }), 8*4096*4096)
	show("permute 8,197,12,64 0213", best(func() { Permute(Serial{}, y, x, []int{8, 197, 12, 64}, []int{0, 2, 1, 3}) }), 8*8*197*768)
	show("sumcolumns", best(func() { SumColumns(Serial{}, y, x, 6304, 768) }), 4*6304*768)
	show("sum big", best(func() { Sum(x) }), 4*float64(big))
	show("adamw big", best(func() {
		AdamW{1e-3, .9, .999, 1e-8, .1, 3, 1}.Update(x[:big/4], y[:big/4], z[:big/4], z[big/2:][:big/4])
	}), 7*4*float64(big)/4)
	u := make([]uint16, big)
	show("f16", best(func() { Float16ToFloat32(y, u) }), 6*float64(big))
	show("bf16", best(func() { BFloat16ToFloat32(y, u) }), 6*float64(big))
}
