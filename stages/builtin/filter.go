package builtin

import (
	"errors"
	"fmt"
	"strings"

	"regft/stages"

	"gopkg.in/yaml.v3"
)

var _ = stages.Register[Filter](stages.Type{
	Name: "filter", Version: 1, Out: stages.Images,
	Doc: "Keeps the best pictures of a set: by CLIP's score (arXiv 2104.08718) or confidence, by how little they repeat others, or by order.",
})

// Filter keeps a part of a set of pictures, in the set's order. What was found of each picture that stays is a line
// of scores.jsonl.
type Filter struct {
	Data       stages.Input  `yaml:"data" in:"images" doc:"the pictures to choose from"`
	By         string        `yaml:"by" default:"" enum:",clip_score,clip_confidence,clip_margin,duplicate" partial:"-" doc:"what ranks pictures, the best first: clip_score, the cosine of a picture's features and its class's weights (without a label, the likeliest class's); clip_confidence, the probability of the likeliest class; clip_margin, the probability of the picture's class less that of the likeliest other one; duplicate, the distance to the nearest earlier picture, in bits of a perceptual hash (0 to 64) or with a classifier as 1 − cosine of features; without it, the dataset's order"`
	Classifier *stages.Input `yaml:"classifier" in:"classifier" doc:"scores the pictures, and says whether they are correct"`
	Keep       Keep          `yaml:"keep" cel:"image" names:"score number,rank number,correct bool,class text,clip_score number,confidence number,margin number" partial:"-" doc:"{per_class: n}, {fraction: f}, or CEL over image.score, image.rank (from 0, the best, to below 1), image.class and, with a classifier, image.correct, image.clip_score, image.confidence and image.margin"`
}

// MetricNames says that the stage counts what it kept.
func (*Filter) MetricNames() []string { return []string{"images"} }

// Validate wants a classifier where CLIP ranks.
func (f *Filter) Validate() error {
	if strings.HasPrefix(f.By, "clip_") && f.Classifier == nil {
		return fmt.Errorf("by: %s needs a classifier", f.By)
	}
	return nil
}

// Keep says which pictures stay: the best n of each class, the best fraction of all, or those that meet a condition.
type Keep struct {
	PerClass int
	Fraction float64
	Cond     stages.Expr
}

// TypeName is what errors call it.
func (Keep) TypeName() string { return "{per_class: n}, {fraction: f}, or CEL over image" }

// SetExpr takes a condition.
func (k *Keep) SetExpr(e stages.Expr) { k.Cond = e }

// KeyValue is its form in a key.
func (k Keep) KeyValue() any {
	switch {
	case k.PerClass > 0:
		return map[string]any{"per_class": k.PerClass}
	case k.Fraction > 0:
		return map[string]any{"fraction": k.Fraction}
	}
	return k.Cond.Text
}

// UnmarshalYAML reads the forms that are not CEL.
func (k *Keep) UnmarshalYAML(n *yaml.Node) error {
	var m struct {
		PerClass int     `yaml:"per_class"`
		Fraction float64 `yaml:"fraction"`
	}
	if err := strict(n, &m, "per_class", "fraction"); err != nil {
		return err
	}
	if (m.PerClass > 0) == (m.Fraction > 0) || m.Fraction > 1 {
		return errors.New("want one of per_class (1 or more) and fraction (over 0, at most 1)")
	}
	k.PerClass, k.Fraction = m.PerClass, m.Fraction
	return nil
}
