package builtin

import (
	"context"
	"errors"
	"math"

	"regft/compute"
	"regft/datasets"
	"regft/models/clip"
	"regft/stages"
)

// A judgement is what a classifier says of one picture.
type judgement struct {
	ClipScore  float64 `json:"clip_score"` // cosine of the features and the weights of the picture's class
	Confidence float64 `json:"confidence"` // probability of the likeliest class
	Margin     float64 `json:"margin"`     // probability of the picture's class less that of the likeliest other one
	Predicted  int     `json:"predicted"`  // the likeliest class
}

// encodeSet opens a classifier and gives the features of pictures of a, with or without labels, by their numbers.
func encodeSet(ctx context.Context, env *stages.Env, classifier, a stages.Artifact, set *imageSet, order []int) (*encoding, []float32, error) {
	backend, err := backendOf(env)
	if err != nil {
		return nil, nil, err
	}
	c, err := openClassifier(ctx, backend, classifier)
	if err != nil {
		return nil, nil, err
	}
	pictures, err := openSet(ctx, env, a, set)
	if err != nil {
		return nil, nil, err
	}
	e, err := newEncoding(ctx, env, backend, c, clip.Batch)
	if err != nil {
		return nil, nil, err
	}
	features, err := e.selected(ctx, pictures, order, e.evaluate, func(done int) { env.Host.Progress(done, len(order), "pictures") })
	if err != nil {
		return nil, nil, errors.Join(err, e.close())
	}
	return e, features, nil
}

func everyPicture(set *imageSet) []int {
	order := make([]int, len(set.images))
	for i := range order {
		order[i] = i
	}
	return order
}

// judge judges pictures by their features. The class of one without a label is the likeliest.
func (e *encoding) judge(ctx context.Context, backend compute.Backend, set *imageSet, features []float32) ([]judgement, error) {
	logits, err := e.logits(ctx, backend, features)
	if err != nil {
		return nil, err
	}
	weight, dim, classes := e.classifier.Parameters[clip.HeadWeight].Values, e.classifier.Config.Projection, len(e.classifier.Classes)
	out := make([]judgement, len(set.images))
	for i, im := range set.images {
		p := probabilities(logits[i*classes : (i+1)*classes])
		predicted := largest(p, -1)
		class := im.Label
		if class == datasets.Unlabelled {
			class = predicted
		}
		other := 0.0
		if classes > 1 {
			other = p[largest(p, class)]
		}
		out[i] = judgement{
			ClipScore:  cosine(features[i*dim:(i+1)*dim], weight[class*dim:(class+1)*dim]),
			Confidence: p[predicted], Margin: p[class] - other, Predicted: predicted,
		}
	}
	return out, nil
}

// probabilities are the softmax of logits.
func probabilities(logits []float32) []float64 {
	top := float64(logits[0])
	for _, x := range logits {
		top = max(top, float64(x))
	}
	p, sum := make([]float64, len(logits)), 0.0
	for k, x := range logits {
		p[k] = math.Exp(float64(x) - top)
		sum += p[k]
	}
	for k := range p {
		p[k] /= sum
	}
	return p
}

// largest is the place of the first largest of p, but for one place.
func largest(p []float64, but int) int {
	at := -1
	for k, x := range p {
		if k != but && (at < 0 || x > p[at]) {
			at = k
		}
	}
	return at
}

func cosine(a, b []float32) float64 {
	x, y, sum := unit(a), unit(b), 0.0
	for k := range x {
		sum += x[k] * y[k]
	}
	return sum
}
