package builtin

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"

	"regft/compute"
	"regft/models/adapter"
	"regft/models/checkpoint"
	"regft/models/clip"
	"regft/models/nn"
	"regft/models/resnet"
	"regft/models/safetensors"
	"regft/stages"
)

// The files of an adapter, beside those of the classifier that it is over.
const (
	adapterFile   = "adapter.json"
	adapterShard  = "adapter.safetensors" // keys.0, for cafo keys.1, and the labels of the cache's entries
	secondShard   = "second.safetensors"  // the second encoder's network, for cafo
	adapterLabels = "labels"
)

// An adapterConfig is adapter.json.
type adapterConfig struct {
	Method adapter.Method `json:"method"`
	adapter.Point
	Temperature float64        `json:"temperature"`
	Published   bool           `json:"published"`
	Target      *adapter.Range `json:"target,omitempty"` // of TIP-X's divergences
}

// write writes an adapter, and hands on the files of its classifier.
func (t *adaptation) write(a *adapter.Adapter) error {
	text, err := json.MarshalIndent(adapterConfig{a.Method, a.Point, a.Temperature, a.Published, a.Target}, "", "  ")
	if err != nil {
		return fmt.Errorf("writing %s: %w", adapterFile, err)
	}
	if err := t.env.WriteFile(adapterFile, append(text, '\n')); err != nil {
		return err
	}
	dir, err := t.env.OutputDir("")
	if err != nil {
		return err
	}
	tensors := map[string]safetensors.Source{adapterLabels: labelTensor(a.Labels).Source()}
	for b, keys := range a.Keys {
		tensors[adapter.KeyName(b)] = source(keys)
	}
	if err := writeTensors(filepath.Join(dir, adapterShard), tensors); err != nil {
		return err
	}
	for _, f := range t.Classifier.Artifact().Manifest.Files {
		t.env.Host.Output("", f)
	}
	if len(t.encodings) < 2 {
		return nil
	}
	network, err := t.encodings[1].weights.ToHost(sortedKeys(t.encodings[1].weights)...)
	if err != nil {
		return err
	}
	second := map[string]safetensors.Source{}
	for name, array := range network {
		second[name] = source(array)
	}
	return writeTensors(filepath.Join(dir, secondShard), second)
}

// openAdapter reads an adapter that is over classifier c.
func openAdapter(ctx context.Context, a stages.Artifact, c *classifier) (*adapter.Adapter, error) {
	text, err := a.ReadFile(ctx, adapterFile)
	if err != nil {
		return nil, err
	}
	var config adapterConfig
	if err := json.Unmarshal(text, &config); err != nil {
		return nil, fmt.Errorf("reading %s of an adapter: %w", adapterFile, err)
	}
	w, err := checkpoint.OpenFile(filesOf(ctx, a, ""), adapterShard)
	if err != nil {
		return nil, fmt.Errorf("reading an adapter: %w", err)
	}
	defer w.Close()
	out := &adapter.Adapter{
		Method: config.Method, Head: headArrays(c), Point: config.Point,
		Temperature: config.Temperature, Published: config.Published, Target: config.Target,
	}
	for b := range config.Method.Branches() {
		values, err := w.Float32s(adapter.KeyName(b))
		if err != nil {
			return nil, err
		}
		out.Keys = append(out.Keys, nn.Array{Shape: w.Shapes()[adapter.KeyName(b)], Values: values})
	}
	labels, _ := w.Lookup(adapterLabels)
	wide, err := labels.Int64s()
	if err != nil {
		return nil, fmt.Errorf("reading %s of an adapter: %w", adapterLabels, err)
	}
	for _, label := range wide {
		out.Labels = append(out.Labels, int(label))
	}
	return out, out.Validate()
}

// secondEncoding is the encoding by the ResNet in the file called name of an artifact, of pictures that are prepared as
// the classifier's are.
func secondEncoding(ctx context.Context, env *stages.Env, backend compute.Backend, a stages.Artifact, name string, c *classifier) (*encoding, error) {
	w, err := checkpoint.OpenFile(filesOf(ctx, a, ""), name)
	if err != nil {
		return nil, err
	}
	defer w.Close()
	network, err := resnet.Read(backend, w)
	if err != nil {
		return nil, err
	}
	image := c.Config.Vision.Image
	key := fmt.Sprintf("second encoder %v of %d pixels", network.Parameters.Shapes(), image)
	encoder, err := env.Shared.Get(ctx, key, func(context.Context) (any, int64, error) {
		e, err := network.NewEncoder(backend, clip.Batch, image)
		return e, 0, err
	})
	if err != nil {
		return nil, err
	}
	weights, err := network.Parameters.ToBackend(backend)
	if err != nil {
		return nil, err
	}
	return &encoding{env, backend, c, preprocessing(c.Pixels), encoder.(*nn.Encoder[float32]), weights, clip.Batch}, nil
}

// answers are the logits of pictures by a classifier, or by an adapter over it, from the classifier's features:
// [n, classes].
func (e *encoding) answers(ctx context.Context, a stages.Artifact, p *pictureSet, features []float32) ([]float32, error) {
	if a.Kind != stages.Adapter {
		return e.logits(ctx, features)
	}
	over, err := openAdapter(ctx, a, e.classifier)
	if err != nil {
		return nil, err
	}
	over.Workers = e.env.Cores
	n := len(p.Labels)
	all := []nn.Array{adapter.Unit(nn.Array{Shape: []int{n, e.classifier.Config.Projection}, Values: features})}
	if over.Method.Branches() > 1 {
		second, err := secondEncoding(ctx, e.env, e.backend, a, secondShard, e.classifier)
		if err != nil {
			return nil, fmt.Errorf("the second encoder: %w", err)
		}
		defer second.close()
		f, err := second.resumed(ctx, p, "second features")
		if err != nil {
			return nil, err
		}
		all = append(all, adapter.Unit(nn.Array{Shape: []int{n, len(f) / n}, Values: f}))
	}
	return over.Logits(ctx, all)
}
