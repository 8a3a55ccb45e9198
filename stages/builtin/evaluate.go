package builtin

import (
	"context"
	"path/filepath"

	"regft/models/safetensors"
	"regft/stages"
)

var _ = stages.Register[Evaluate](stages.Type{
	Name: "evaluate", Version: 1, Out: stages.Scores,
	Doc: "Measures a classifier on pictures.",
})

// Evaluate scores a classifier or adapter; metrics are named after the data.
type Evaluate struct {
	Classifier stages.Input   `yaml:"classifier" in:"classifier,adapter" doc:"what to measure"`
	Data       []stages.Input `yaml:"data" in:"images" each:"node" doc:"one set of pictures, or a list"`
	BatchSize  int            `yaml:"batch_size" default:"32" min:"1" unit:"pictures" key:"-" doc:"classified at once"`
	Metrics    []string       `yaml:"metrics" default:"[top1, top5, mean_per_class, nll, ece]" enum:"top1,top5,mean_per_class,nll,ece" doc:"which metrics"`
}

// MetricNames are the metrics of each data set.
func (e *Evaluate) MetricNames() []string { return e.Metrics }

// Run classifies the pictures of one data set.
func (e *Evaluate) Run(ctx context.Context, env *stages.Env) error {
	a, data := e.Classifier.Artifact(), e.Data[0].Artifact()
	projection, err := projectionOf(ctx, a, data)
	if err != nil {
		return err
	}
	encoding, pictures, err := openEncoding(ctx, env, a, data, e.BatchSize)
	if err != nil {
		return err
	}
	defer encoding.close()
	features, err := encoding.resumed(ctx, pictures, "features")
	if err != nil {
		return err
	}
	logits, err := encoding.answers(ctx, a, pictures, features)
	if err != nil {
		return err
	}
	if projection != nil {
		logits = project(logits, len(encoding.classifier.Classes), projection)
	}
	return e.record(env, logits, pictures.Labels, len(pictures.Classes))
}

// logitsFile holds "logits" [n, classes] and "labels" [n].
const logitsFile = "logits.safetensors"

// record writes scores.json and logits.safetensors.
func (e *Evaluate) record(env *stages.Env, logits []float32, labels []int, classes int) error {
	all, wanted := measure(logits, labels, classes), map[string]any{}
	for _, name := range e.Metrics {
		wanted[name] = all[name]
		env.Host.Metric(name, all[name])
	}
	if err := env.WriteFile("scores.json", []byte(stages.CanonicalJSON(wanted)+"\n")); err != nil {
		return err
	}
	dir, err := env.OutputDir("")
	if err != nil {
		return err
	}
	return writeTensors(filepath.Join(dir, logitsFile), map[string]safetensors.Source{
		"logits": safetensors.FromFloat32s(logits, len(labels), classes).Source(), "labels": labelTensor(labels).Source(),
	})
}

func labelTensor(labels []int) safetensors.Tensor {
	wide := make([]int64, len(labels))
	for i, l := range labels {
		wide[i] = int64(l)
	}
	return safetensors.FromInt64s(wide, len(wide))
}
