package builtin

import (
	"context"
	"errors"

	"regft/datasets"
	"regft/models/clip"
	"regft/stages"
	"regft/train"
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
	c, err := openClassifier(ctx, env, backend, classifier)
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
	features, err := e.selected(ctx, pictures, order, func(done int) { env.Host.Progress(done, len(order), "pictures") })
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
func (e *encoding) judge(ctx context.Context, set *imageSet, features []float32) ([]judgement, error) {
	logits, err := e.logits(ctx, features)
	if err != nil {
		return nil, err
	}
	weight, dim, classes := e.classifier.Parameters[clip.HeadWeight].Values, e.classifier.Config.Projection, len(e.classifier.Classes)
	out := make([]judgement, len(set.images))
	for i, im := range set.images {
		p := train.Probabilities(logits[i*classes : (i+1)*classes])
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
