package builtin

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"regft/compute"
	"regft/models/clip"
	"regft/models/nn"
	"regft/models/safetensors"
	"regft/stages"
	"regft/train"
)

var _ = stages.Register[Fisher](stages.Type{
	Name: "fisher", Version: 1, Out: stages.Fisher,
	Doc: "Estimates the diagonal Fisher information of a classifier's parameters (Matena and Raffel, arXiv 2111.09832).",
})

// fisherFile holds one tensor for each parameter of the image tower and head.
const fisherFile = "fisher.safetensors"

// Fisher is the mean squared gradient of the log-likelihood, in evaluation mode.
type Fisher struct {
	Classifier stages.Input `yaml:"classifier" in:"classifier" doc:"whose parameters"`
	Data       stages.Input `yaml:"data" in:"images" doc:"pictures to estimate on"`
	Samples    *int         `yaml:"samples" min:"1" unit:"pictures" doc:"the first n; without it, all"`
	Passes     int          `yaml:"passes" default:"1" min:"1" doc:"draws of a label for each picture"`
	Labels     string       `yaml:"labels" default:"drawn" enum:"drawn,given" doc:"drawn from the model by (seed, pass, sample), or the pictures' own"`
	Seed       stages.Seed  `yaml:"seed" doc:"of the drawn labels; the spec's where left out"`
}

// Draws says that only drawn labels use the seed.
func (f *Fisher) Draws() bool { return f.Labels == "drawn" }

// MetricNames say how many pictures were used, and the sum over all parameters.
func (*Fisher) MetricNames() []string { return []string{"images", "trace"} }

// Validate refuses passes that would repeat each other.
func (f *Fisher) Validate() error {
	if f.Labels == "given" && f.Passes > 1 {
		return errors.New("labels: given are the same in every pass: leave passes out")
	}
	return nil
}

// Run estimates the information, picture by picture.
func (f *Fisher) Run(ctx context.Context, env *stages.Env) error {
	if err := sameClasses(ctx, "classifier", f.Classifier.Artifact(), "data", f.Data.Artifact()); err != nil {
		return err
	}
	encoding, pictures, err := openEncoding(ctx, env, f.Classifier.Artifact(), f.Data.Artifact(), clip.Batch)
	if err != nil {
		return err
	}
	defer encoding.close()
	estimate, err := f.estimator(ctx, env, encoding.backend, encoding.classifier)
	if err != nil {
		return err
	}
	defer estimate.Close()
	images, err := f.add(ctx, env, encoding, pictures, estimate)
	if err != nil {
		return err
	}
	return f.write(env, estimate, images)
}

// add counts the first pictures into the estimate, and returns how many.
func (f *Fisher) add(ctx context.Context, env *stages.Env, e *encoding, p *pictureSet, estimate *train.Fisher) (int, error) {
	order, values, done := p.all(), e.pixels.Values(), 0
	if f.Samples != nil {
		order = order[:min(*f.Samples, len(order))]
	}
	batches, err := p.evaluated(ctx, order, clip.Batch, e.pixels)
	if err != nil {
		return 0, err
	}
	for b, err := range batches {
		if err != nil {
			return 0, err
		}
		draws, err := f.draws(ctx, e, p, b.Pictures, b.Values)
		if err != nil {
			return 0, err
		}
		for k := range b.Pictures {
			if err := estimate.Add(ctx, b.Values[k*values:(k+1)*values], draws[k]); err != nil {
				return 0, err
			}
			done++
			env.Host.Progress(done, len(order), "pictures")
		}
	}
	return done, nil
}

// estimator starts an estimate; its program is compiled once in a run for all classifiers of a shape.
func (f *Fisher) estimator(ctx context.Context, env *stages.Env, backend compute.Backend, c *classifier) (*train.Fisher, error) {
	v, err := env.Shared.Get(ctx, fmt.Sprintf("fisher %d %+v", len(c.Classes), c.Config), func(context.Context) (any, int64, error) {
		p, err := train.NewFisherProgram(backend, c.Config, len(c.Classes))
		return p, 0, err
	})
	if err != nil {
		return nil, err
	}
	return train.NewFisher(v.(*train.FisherProgram), c.Parameters)
}

// draws counts for each of some pictures how often each label comes in all passes.
func (f *Fisher) draws(ctx context.Context, e *encoding, p *pictureSet, samples []int, pixels []float32) ([][]int, error) {
	classes := len(e.classifier.Classes)
	counts := make([][]int, len(samples))
	for k, i := range samples {
		counts[k] = make([]int, classes)
		if f.Labels == "given" {
			counts[k][p.Labels[i]] = 1
		}
	}
	if f.Labels == "given" {
		return counts, nil
	}
	features, err := e.encoder.Encode(ctx, e.weights, pixels)
	if err != nil {
		return nil, err
	}
	logits, err := e.logits(ctx, features)
	if err != nil {
		return nil, err
	}
	for k, i := range samples {
		for pass := range f.Passes {
			counts[k][train.DrawLabel(logits[k*classes:(k+1)*classes], uint64(f.Seed), pass, i)]++
		}
	}
	return counts, nil
}

func (f *Fisher) write(env *stages.Env, estimate *train.Fisher, images int) error {
	information, err := estimate.Mean()
	if err != nil {
		return err
	}
	dir, err := env.OutputDir("")
	if err != nil {
		return err
	}
	env.Host.Metric("images", float64(images))
	env.Host.Metric("trace", trace(information))
	tensors := map[string]safetensors.Source{}
	for name, a := range information {
		tensors[name] = source(a)
	}
	return writeTensors(filepath.Join(dir, fisherFile), tensors)
}

func trace(information nn.Arrays) float64 {
	total := 0.0
	for _, name := range information.Names() {
		for _, x := range information[name].Values {
			total += float64(x)
		}
	}
	return total
}
