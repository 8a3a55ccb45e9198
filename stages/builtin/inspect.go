package builtin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"regft/datasets/featurestats"
	"regft/datasets/similarity"
	"regft/stages"
)

var _ = stages.Register[Inspect](stages.Type{
	Name: "inspect", Version: 1, Out: stages.Files,
	Doc: "Measures generated pictures against real ones: Fréchet distance in CLIP space, feature deviation, effective rank, duplicates, leaks, blank and broken pictures.",
})

// Inspect measures a set of pictures. pictures.jsonl has a line for each, inspect.json the metrics:
//
//	images, broken, blank              pictures in all; that cannot be decoded; of one colour (deviation below 2 of 255)
//	duplicates, clip_duplicates        near one that comes before them: by perceptual hash, by CLIP's features
//	leaks, clip_leaks                  near a picture of reference
//	feature_deviation, effective_rank  of the features, and with reference_ before them those of reference
//	frechet_distance                   of the features to those of reference, which are not normalised
type Inspect struct {
	Data       stages.Input  `yaml:"data" in:"images" doc:"the pictures"`
	Reference  *stages.Input `yaml:"reference" in:"images" doc:"real pictures to compare with, such as those of evaluation, which must not leak"`
	Classifier *stages.Input `yaml:"classifier" in:"classifier" doc:"whose features"`
	MaxBits    int           `yaml:"max_bits" default:"4" min:"0" max:"64" unit:"bits" doc:"perceptual hashes that differ in no more are of the same picture"`
	MinCosine  float64       `yaml:"min_cosine" default:"0.98" min:"-1" max:"1" doc:"features at least as near are of the same picture"`
}

// blankDeviation is the standard deviation, of 255, below which a picture shows nothing.
const blankDeviation = 2

// MetricNames are those of Inspect; what needs a reference or a classifier is there with it.
func (n *Inspect) MetricNames() []string {
	names := []string{"images", "broken", "blank", "duplicates"}
	if n.Reference != nil {
		names = append(names, "leaks")
	}
	if n.Classifier != nil {
		names = append(names, "clip_duplicates", "feature_deviation", "effective_rank")
	}
	if n.Classifier != nil && n.Reference != nil {
		names = append(names, "clip_leaks", "reference_feature_deviation", "reference_effective_rank", "frechet_distance")
	}
	return names
}

// An inspection is what was found so far.
type inspection struct {
	*Inspect
	metrics  map[string]any
	pictures []pictureReport
}

// A pictureReport is a line of pictures.jsonl. Distances are in bits, or 1 − cosine.
type pictureReport struct {
	FileName      string     `json:"file_name"`
	Broken        string     `json:"broken,omitempty"`
	Blank         bool       `json:"blank,omitempty"`
	Duplicate     *neighbour `json:"duplicate,omitempty"`
	ClipDuplicate *neighbour `json:"clip_duplicate,omitempty"`
	Leak          *neighbour `json:"leak,omitempty"`
	ClipLeak      *neighbour `json:"clip_leak,omitempty"`
}

// A neighbour is the nearest other picture, near enough to be the same or not.
type neighbour struct {
	FileName string  `json:"file_name"`
	Distance float64 `json:"distance"`
}

// Run looks at every picture.
func (n *Inspect) Run(ctx context.Context, env *stages.Env) error {
	data, err := n.survey(ctx, env, n.Data.Artifact())
	if err != nil {
		return fmt.Errorf("data: %w", err)
	}
	var reference *survey
	if n.Reference != nil {
		if reference, err = n.survey(ctx, env, n.Reference.Artifact()); err != nil {
			return fmt.Errorf("reference: %w", err)
		}
	}
	found := &inspection{n, map[string]any{}, make([]pictureReport, len(data.set.images))}
	found.pixels(data)
	if err := found.copies(ctx, data, reference); err != nil {
		return err
	}
	if n.Classifier != nil {
		if err := found.distributions(data, reference); err != nil {
			return err
		}
	}
	return found.write(env)
}

// pixels counts what is broken and blank.
func (f *inspection) pixels(data *survey) {
	broken, blank := 0, 0
	for i, look := range data.looks {
		r := &f.pictures[i]
		r.FileName = data.set.images[i].FileName
		if look.broken != nil {
			r.Broken = look.broken.Error()
			broken++
			continue
		}
		if r.Blank = look.deviation < blankDeviation; r.Blank {
			blank++
		}
	}
	f.metrics["images"], f.metrics["broken"], f.metrics["blank"] = float64(len(data.looks)), float64(broken), float64(blank)
}

// copies counts duplicates and leaks.
func (f *inspection) copies(ctx context.Context, data, reference *survey) error {
	matches, err := similarity.NearestEarlierHash(ctx, data.hashes)
	if err != nil {
		return err
	}
	f.count("duplicates", data, data, matches, float64(f.MaxBits), func(r *pictureReport) **neighbour { return &r.Duplicate })
	if reference != nil {
		if matches, err = similarity.NearestHash(ctx, data.hashes, reference.hashes); err != nil {
			return err
		}
		f.count("leaks", data, reference, matches, float64(f.MaxBits), func(r *pictureReport) **neighbour { return &r.Leak })
	}
	if f.Classifier == nil {
		return nil
	}
	if matches, err = similarity.NearestEarlierFeature(ctx, data.features, data.dim); err != nil {
		return err
	}
	f.count("clip_duplicates", data, data, matches, 1-f.MinCosine, func(r *pictureReport) **neighbour { return &r.ClipDuplicate })
	if reference == nil {
		return nil
	}
	if matches, err = similarity.NearestFeature(ctx, data.features, reference.features, data.dim); err != nil {
		return err
	}
	f.count("clip_leaks", data, reference, matches, 1-f.MinCosine, func(r *pictureReport) **neighbour { return &r.ClipLeak })
	return nil
}

// count records for each sound picture its nearest among others, and how many are near enough to be the same.
func (f *inspection) count(metric string, data, others *survey, matches []similarity.Match, near float64, field func(*pictureReport) **neighbour) {
	n := 0
	for k, m := range matches {
		if m.Index < 0 {
			continue
		}
		*field(&f.pictures[data.sound[k]]) = &neighbour{others.set.images[others.sound[m.Index]].FileName, m.Distance}
		if m.Distance <= near {
			n++
		}
	}
	f.metrics[metric] = float64(n)
}

// distributions measures how features spread.
func (f *inspection) distributions(data, reference *survey) error {
	of, err := f.distribution("", data)
	if err != nil {
		return fmt.Errorf("data: %w", err)
	}
	if reference == nil {
		return nil
	}
	real, err := f.distribution("reference_", reference)
	if err != nil {
		return fmt.Errorf("reference: %w", err)
	}
	f.metrics["frechet_distance"], err = featurestats.Frechet(of, real)
	return err
}

func (f *inspection) distribution(prefix string, s *survey) (featurestats.Gaussian, error) {
	g, err := featurestats.Fit(s.features, s.dim)
	if err != nil {
		return g, err
	}
	f.metrics[prefix+"feature_deviation"] = g.Deviation()
	f.metrics[prefix+"effective_rank"], err = g.EffectiveRank()
	return g, err
}

func (f *inspection) write(env *stages.Env) error {
	for name, v := range f.metrics {
		env.Host.Metric(name, v)
	}
	var b bytes.Buffer
	lines := json.NewEncoder(&b)
	for _, r := range f.pictures {
		if err := lines.Encode(r); err != nil {
			return fmt.Errorf("writing pictures.jsonl: %w", err)
		}
	}
	if err := env.WriteFile("pictures.jsonl", b.Bytes()); err != nil {
		return err
	}
	return env.WriteFile("inspect.json", []byte(stages.CanonicalJSON(f.metrics)+"\n"))
}

// A survey is what is known of the pictures of one set.
type survey struct {
	set      *imageSet
	looks    []look
	sound    []int     // the pictures that can be decoded, whose hashes and features follow
	hashes   []uint64  // perceptual
	features []float32 // [sound, dim], with a classifier
	dim      int
}

// survey decodes every picture of a, and encodes those that it could.
func (n *Inspect) survey(ctx context.Context, env *stages.Env, a stages.Artifact) (*survey, error) {
	s := &survey{}
	var err error
	if s.set, err = readImages(ctx, a); err != nil {
		return nil, err
	}
	if s.looks, err = lookAt(ctx, env, a, s.set); err != nil {
		return nil, err
	}
	for i, l := range s.looks {
		if l.broken == nil {
			s.sound, s.hashes = append(s.sound, i), append(s.hashes, l.hash)
		}
	}
	if n.Classifier == nil {
		return s, nil
	}
	if len(s.sound) == 0 {
		return nil, fmt.Errorf("there are no features: none of %d pictures can be decoded", len(s.looks))
	}
	e, features, err := encodeSet(ctx, env, n.Classifier.Artifact(), a, s.set, s.sound)
	if err != nil {
		return nil, err
	}
	s.features, s.dim = features, e.classifier.Config.Projection
	return s, e.close()
}
