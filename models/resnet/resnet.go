// Package resnet is the residual network with bottlenecks (He et al., arXiv 1512.03385) that DINO (Caron et al.,
// arXiv 2104.14294) was trained in, with torchvision's names and its stride in the 3×3 convolution: CaFo's second
// encoder. Depth and widths are those of the checkpoint's tensors.
package resnet

import (
	"fmt"
	"strings"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/layers/activation"

	"regft/models/checkpoint"
	"regft/models/nn"
)

// channels of a picture: red, green, blue.
const channels = 3

// traced is the size of the picture that the parameters are listed with; they are the same for all sizes.
const traced = 64

// normEps is torch.nn.BatchNorm2d's.
const normEps = 1e-5

// Features maps pixels [batch, 3, height, width], normalised, to the mean of the last states over the picture,
// [batch, width]: torchvision's resnet50 whose fc is the identity. The parameters' builder knows what the checkpoint has.
func Features(p nn.Params, pixels *Node) *Node {
	x := TransposeAllAxes(pixels, 0, 2, 3, 1)
	x = activation.Relu(convolution(p, "conv1", "bn1", x, nn.Window{Kernel: 7, Stride: 2, Before: 3, After: 3}))
	x = nn.MaxPool2D(x, nn.Window{Kernel: 3, Stride: 2, Before: 1, After: 1})
	for layer := 1; layer <= 4; layer++ {
		for block := 0; block == 0 || p.Has(fmt.Sprintf("layer%d.%d.conv1.weight", layer, block)); block++ {
			stride := 1
			if layer > 1 && block == 0 {
				stride = 2
			}
			x = bottleneck(p.At("layer%d.%d", layer, block), x, stride)
		}
	}
	return ReduceMean(x, 1, 2)
}

// bottleneck narrows x, looks around, widens again, and adds x, projected where its size changes.
func bottleneck(p nn.Params, x *Node, stride int) *Node {
	y := activation.Relu(convolution(p, "conv1", "bn1", x, nn.Same(1)))
	y = activation.Relu(convolution(p, "conv2", "bn2", y, nn.Window{Kernel: 3, Stride: stride, Before: 1, After: 1}))
	y = convolution(p, "conv3", "bn3", y, nn.Same(1))
	if p.Has("downsample.0.weight") {
		x = convolution(p.At("downsample"), "0", "1", x, nn.Window{Kernel: 1, Stride: stride})
	}
	return activation.Relu(Add(x, y))
}

// convolution is a convolution without bias and the batch norm after it, in evaluation: the norm's scale is a factor of
// the kernel, its shift the bias.
func convolution(p nn.Params, conv, norm string, x *Node, w nn.Window) *Node {
	shape := p.Shape(conv + ".weight")
	if len(shape) != 4 {
		panic(fmt.Errorf("this is no ResNet with bottlenecks under torchvision's names: a %s.weight is missing or no kernel", conv))
	}
	out, in := shape[0], x.Shape().Dimensions[3]
	weight := p.At("%s", conv).Get("weight", out, in, w.Kernel, w.Kernel)
	n := p.At("%s", norm)
	scale := Mul(n.Get("weight", out), Rsqrt(AddScalar(n.Get("running_var", out), normEps)))
	shift := Sub(n.Get("bias", out), Mul(n.Get("running_mean", out), scale))
	return nn.Conv2DWith(x, Mul(weight, Reshape(scale, out, 1, 1, 1)), shift, w)
}

// A Model is a checkpoint's network, read to the host.
type Model struct {
	Parameters nn.Arrays
	Width      int // of the features
}

// Read reads the network out of a checkpoint. Its classifier (fc) and its counters of batches are of no use here;
// tensors that are missing, too many or of other shapes are an error that lists them all.
func Read(backend compute.Backend, w *checkpoint.Weights) (*Model, error) {
	m := &Model{Parameters: nn.Arrays{}}
	parameters, err := nn.Builder{Backend: backend, Have: w.Shapes()}.Trace(func(p nn.Params, in []*Node) []*Node {
		y := Features(p, in[0])
		m.Width = y.Shape().Dimensions[1]
		return []*Node{y}
	}, shapes.Make(dtypes.Float32, 1, channels, traced, traced))
	if err != nil {
		return nil, err
	}
	if err := w.Check(expected(w, parameters)); err != nil {
		return nil, err
	}
	for parameter, shape := range parameters {
		values, err := w.Float32s(parameter)
		if err != nil {
			return nil, err
		}
		m.Parameters[parameter] = nn.Array{Shape: shape, Values: values}
	}
	return m, nil
}

// expected are the network's parameters and those of the checkpoint's that are left out.
func expected(w *checkpoint.Weights, parameters nn.Shapes) nn.Shapes {
	all := w.Shapes()
	for name := range all {
		if !strings.HasPrefix(name, "fc.") && !strings.HasSuffix(name, ".num_batches_tracked") {
			delete(all, name)
		}
	}
	for name, shape := range parameters {
		all[name] = shape
	}
	return all
}

// NewEncoder compiles Features for pictures of image × image pixels: rows of pixels [3, image, image] to features.
func (m *Model) NewEncoder(backend compute.Backend, batch, image int) (*nn.Encoder[float32], error) {
	builder := nn.Builder{Backend: backend, Have: m.Parameters.Shapes()}
	return nn.NewEncoder[float32](builder, "the second encoder, a ResNet", batch, []int{channels, image, image}, m.Width, Features)
}
