package clip

import (
	"fmt"
	"maps"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"regft/models/checkpoint"
	"regft/models/nn"
)

// A Checkpoint is an open CLIP folder whose tensors are known to fit its config. Methods may be called from
// several goroutines.
type Checkpoint struct {
	Config  Config
	Weights *checkpoint.Weights
	Pixels  Preprocessor
}

// Open reads the configs of a CLIP folder and opens its weights. A folder of another kind, and tensors that are
// missing, too many or of another shape than the config makes them, are errors that list all of it.
func Open(backend compute.Backend, files checkpoint.Files) (*Checkpoint, error) {
	if _, err := checkpoint.NeededCLIP(files); err != nil {
		return nil, err
	}
	c, err := ReadConfig(files)
	if err != nil {
		return nil, err
	}
	pixels, err := ReadPreprocessor(files, c.Vision.Image)
	if err != nil {
		return nil, err
	}
	parameters, err := c.Parameters(backend)
	if err != nil {
		return nil, err
	}
	weights, err := checkpoint.Open(files, "")
	if err != nil {
		return nil, err
	}
	if err := weights.Check(parameters); err != nil {
		weights.Close()
		return nil, err
	}
	return &Checkpoint{Config: c, Weights: weights, Pixels: pixels}, nil
}

// Close unmaps the weights.
func (c *Checkpoint) Close() error { return c.Weights.Close() }

// Parameters lists every parameter of a CLIPModel with this config.
func (c Config) Parameters(backend compute.Backend) (nn.Shapes, error) {
	pixels := shapes.Make(dtypes.Float32, 1, c.Vision.Channels, c.Vision.Image, c.Vision.Image)
	return nn.Builder{Backend: backend}.Trace(func(p nn.Params, in []*Node) []*Node {
		return []*Node{LogitScale(p), c.TextFeatures(p, in[0]), c.ImageFeatures(p, in[1])}
	}, shapes.Make(dtypes.Int32, 1, 1), pixels)
}

// ImageTower reads the image tower's parameters to the host.
func (c *Checkpoint) ImageTower() (nn.Arrays, error) { return c.arrays(IsImageTower) }

// TextTower reads all other parameters to the host: the text tower, its projection, logit_scale.
func (c *Checkpoint) TextTower() (nn.Arrays, error) {
	return c.arrays(func(name string) bool { return !IsImageTower(name) })
}

func (c *Checkpoint) arrays(wanted func(string) bool) (nn.Arrays, error) {
	a := nn.Arrays{}
	for _, name := range c.Weights.Names() {
		if !wanted(name) {
			continue
		}
		values, err := c.Weights.Float32s(name)
		if err != nil {
			return nil, err
		}
		t, _ := c.Weights.Lookup(name)
		a[name] = nn.Array{Shape: t.Shape, Values: values}
	}
	return a, nil
}

// The parameters of a classifier's head, beside those of its image tower.
const (
	HeadWeight = "head.weight" // [classes, projection]
	HeadBias   = "head.bias"   // [classes]
)

// HeadFile is the file of a classifier's folder that holds its head, as "weight" and "bias".
const HeadFile = "head.safetensors"

// ReadHead reads a classifier's head and checks it against the width of the shared space.
func ReadHead(files checkpoint.Files, projection int) (nn.Arrays, error) {
	w, err := checkpoint.OpenFile(files, HeadFile)
	if err != nil {
		return nil, fmt.Errorf("reading a classifier: %w", err)
	}
	defer w.Close()
	classes := 0
	if shape := w.Shapes()["weight"]; len(shape) == 2 {
		classes = shape[0]
	}
	if err := w.Check(nn.Shapes{"weight": {classes, projection}, "bias": {classes}}); err != nil {
		return nil, err
	}
	head := nn.Arrays{}
	for from, to := range map[string]string{"weight": HeadWeight, "bias": HeadBias} {
		values, err := w.Float32s(from)
		if err != nil {
			return nil, err
		}
		head[to] = nn.Array{Shape: w.Shapes()[from], Values: values}
	}
	return head, nil
}

// Classifier reads what a classifier's folder has of its own, image tower and head, as one set of parameters.
func (c *Checkpoint) Classifier(files checkpoint.Files) (nn.Arrays, error) {
	head, err := ReadHead(files, c.Config.Projection)
	if err != nil {
		return nil, err
	}
	parameters, err := c.ImageTower()
	if err != nil {
		return nil, err
	}
	maps.Copy(parameters, head)
	return parameters, nil
}
