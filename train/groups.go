package train

import (
	"fmt"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"
)

// A Group is parameters with hyper-parameters of their own, as torch.optim's parameter groups. Patterns are those of
// path.Match over the names of parameters, such as head.* and *.bias; a parameter belongs to the first group that
// matches it.
type Group struct {
	Match        []string
	LearningRate *float64 // the largest, in place of the run's
	WeightDecay  *float64 // in place of the run's
}

func (g Group) has(name string) bool {
	return slices.ContainsFunc(g.Match, func(pattern string) bool {
		ok, _ := path.Match(pattern, name)
		return ok
	})
}

// rates are the largest learning rate and the weight decay of the parameter called name, in an image tower with so many
// layers.
func (o Options) rates(name string, layers int) (learningRate, weightDecay float64) {
	learningRate, weightDecay = o.LearningRate, o.WeightDecay
	if i := slices.IndexFunc(o.Groups, func(g Group) bool { return g.has(name) }); i >= 0 {
		if g := o.Groups[i]; g.LearningRate != nil {
			learningRate = *g.LearningRate
		}
		if g := o.Groups[i]; g.WeightDecay != nil {
			weightDecay = *g.WeightDecay
		}
	}
	if o.LayerDecay != 0 {
		learningRate *= math.Pow(o.LayerDecay, float64(layers+1-depth(name, layers)))
	}
	return learningRate, weightDecay
}

// depth is a parameter's layer as layer-wise decay counts (BEiT, arXiv 2106.08254): 0 for the embeddings, 1 for the first
// layer of the encoder, layers+1 for what comes after the last.
func depth(name string, layers int) int {
	if rest, ok := strings.CutPrefix(name, "vision_model.encoder.layers."); ok {
		number, _, _ := strings.Cut(rest, ".")
		if i, err := strconv.Atoi(number); err == nil {
			return i + 1
		}
	}
	if strings.HasPrefix(name, "vision_model.embeddings.") || strings.HasPrefix(name, "vision_model.pre_layrnorm.") {
		return 0
	}
	return layers + 1
}

// validateGroups reports patterns that are none, or that match nothing among what is trained.
func (o Options) validateGroups(trained []string) error {
	for _, g := range o.Groups {
		for _, pattern := range g.Match {
			if _, err := path.Match(pattern, ""); err != nil {
				return fmt.Errorf("groups: %q is no pattern: %w", pattern, err)
			}
			if !slices.ContainsFunc(trained, (Group{Match: []string{pattern}}).has) {
				return fmt.Errorf("groups: %q matches none of the %d parameters that are trained, such as %s and %s",
					pattern, len(trained), trained[0], trained[len(trained)-1])
			}
		}
	}
	return nil
}
