package builtin

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"

	"regft/datasets"
	"regft/datasets/similarity"
	"regft/stages"
)

// scoresFile has a line for each picture of a filtered set, in the order of metadata.jsonl.
const scoresFile = "scores.jsonl"

// A rating is what a filter finds of one picture.
type rating struct {
	Score *float64 `json:"score,omitempty"` // by which pictures are ranked; none in the dataset's order
	Rank  float64  `json:"rank"`            // share of the pictures that are better
	*judgement
	Correct *bool `json:"correct,omitempty"` // whether the classifier's label is the picture's
}

// Run rates the pictures and writes those that stay.
func (f *Filter) Run(ctx context.Context, env *stages.Env) error {
	set, err := readImages(ctx, f.Data.Artifact())
	if err != nil {
		return fmt.Errorf("data: %w", err)
	}
	ratings := make([]rating, len(set.images))
	if len(set.images) > 0 {
		if err := f.rate(ctx, env, set, ratings); err != nil {
			return err
		}
	}
	order := rank(ratings)
	stays, err := f.stays(ctx, set, ratings, order)
	if err != nil {
		return fmt.Errorf("keep: %w", err)
	}
	kept, keptRatings := &imageSet{classes: set.classes}, []rating{}
	for i, im := range set.images {
		if stays[i] {
			kept.images, keptRatings = append(kept.images, im), append(keptRatings, ratings[i])
		}
	}
	if lost := emptied(set, kept); lost != "" {
		env.Log.Warn().Msg(lost)
	}
	env.Host.Metric("images", float64(len(kept.images)))
	if err := kept.write(env, "", 0); err != nil {
		return err
	}
	return writeRatings(env, keptRatings)
}

// emptied says which classes had pictures and have none any more.
func emptied(before, after *imageSet) string {
	if len(before.images) > 0 && len(after.images) == 0 {
		return fmt.Sprintf("keep leaves none of the %d pictures", len(before.images))
	}
	had := make([]bool, len(before.classes))
	for _, set := range []*imageSet{before, after} { // after's are among before's: they are taken away again
		for _, im := range set.images {
			if im.Label != datasets.Unlabelled {
				had[im.Label] = set == before
			}
		}
	}
	var lost []string
	for label, c := range before.classes {
		if had[label] {
			lost = append(lost, c.Name)
		}
	}
	if lost == nil {
		return ""
	}
	return fmt.Sprintf("keep leaves %d of %d classes without pictures: %s", len(lost), len(before.classes), datasets.Names(lost))
}

// rate scores every picture.
func (f *Filter) rate(ctx context.Context, env *stages.Env, set *imageSet, ratings []rating) error {
	var judgements []judgement
	var err error
	if f.Classifier != nil {
		if judgements, err = f.judge(ctx, env, set); err != nil {
			return err
		}
	}
	for i, j := range judgements {
		ratings[i].judgement = &j
		if label := set.images[i].Label; label != datasets.Unlabelled {
			correct := j.Predicted == label
			ratings[i].Correct = &correct
		}
	}
	var distances []float64
	if f.By == "duplicate" {
		if distances, err = f.distances(ctx, env, set); err != nil {
			return err
		}
	}
	for i := range ratings {
		switch f.By {
		case "clip_score":
			ratings[i].Score = &judgements[i].ClipScore
		case "clip_confidence":
			ratings[i].Score = &judgements[i].Confidence
		case "clip_margin":
			ratings[i].Score = &judgements[i].Margin
		case "duplicate":
			ratings[i].Score = &distances[i]
		}
	}
	return nil
}

// judge has the classifier judge every picture, once for all filters of these pictures with it.
func (f *Filter) judge(ctx context.Context, env *stages.Env, set *imageSet) ([]judgement, error) {
	a := f.Classifier.Artifact()
	if len(set.classes) > 0 {
		if err := sameClasses(ctx, "classifier", a, "data", f.Data.Artifact()); err != nil {
			return nil, err
		}
	}
	return remembered(env, "judgements.json", func() ([]judgement, error) {
		e, features, err := encodeSet(ctx, env, a, f.Data.Artifact(), set, everyPicture(set))
		if err != nil {
			return nil, err
		}
		defer e.close()
		return e.judge(ctx, set, features)
	})
}

// distances are how far each picture is from the nearest that comes before it.
func (f *Filter) distances(ctx context.Context, env *stages.Env, set *imageSet) ([]float64, error) {
	return remembered(env, "distances.json", func() ([]float64, error) {
		matches, err := f.nearestEarlier(ctx, env, set)
		distances := make([]float64, len(matches))
		for i, m := range matches {
			distances[i] = m.Distance
		}
		return distances, err
	})
}

func (f *Filter) nearestEarlier(ctx context.Context, env *stages.Env, set *imageSet) ([]similarity.Match, error) {
	if f.Classifier == nil {
		looks, err := lookAt(ctx, env, f.Data.Artifact(), set)
		if err != nil {
			return nil, err
		}
		hashes := make([]uint64, len(looks))
		for i, l := range looks {
			if l.broken != nil {
				return nil, unreadable(ctx, f.Data.Artifact(), set.images[i].FileName, l.broken)
			}
			hashes[i] = l.hash
		}
		return similarity.NearestEarlierHash(ctx, hashes)
	}
	e, features, err := encodeSet(ctx, env, f.Classifier.Artifact(), f.Data.Artifact(), set, everyPicture(set))
	if err != nil {
		return nil, err
	}
	defer e.close()
	return similarity.NearestEarlierFeature(ctx, features, e.classifier.Config.Projection)
}

// rank fills in the rank of each picture and returns their numbers, the best first; equal ones stay in order, and
// what is no number comes last.
func rank(ratings []rating) []int {
	order := make([]int, len(ratings))
	for i := range order {
		order[i] = i
	}
	score := func(i int) float64 {
		if s := ratings[i].Score; s != nil && !math.IsNaN(*s) {
			return *s
		}
		return math.Inf(-1)
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(score(j), score(i)) })
	for place, i := range order {
		ratings[i].Rank = float64(place) / float64(len(order))
	}
	return order
}

// stays tells of each picture whether it is kept.
func (f *Filter) stays(ctx context.Context, set *imageSet, ratings []rating, order []int) ([]bool, error) {
	stays, taken := make([]bool, len(order)), map[int]int{}
	for _, i := range order {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		switch im := set.images[i]; {
		case f.Keep.PerClass > 0:
			stays[i] = taken[im.Label] < f.Keep.PerClass
			taken[im.Label]++
		case f.Keep.Fraction > 0:
			stays[i] = ratings[i].Rank < f.Keep.Fraction
		default:
			var err error
			if stays[i], err = f.meets(im, ratings[i]); err != nil {
				return nil, fmt.Errorf("%s of picture %s: %w", f.Keep.Cond.Text, im.FileName, err)
			}
		}
	}
	return stays, nil
}

// meets tells whether a picture meets the condition.
func (f *Filter) meets(im image, r rating) (bool, error) {
	attributes := map[string]any{"rank": r.Rank, "class": im.Class}
	if r.Score != nil {
		attributes["score"] = *r.Score
	}
	if r.judgement != nil {
		attributes["clip_score"], attributes["confidence"], attributes["margin"] = r.ClipScore, r.Confidence, r.Margin
	}
	if r.Correct != nil {
		attributes["correct"] = *r.Correct
	}
	v, err := f.Keep.Cond.Eval(map[string]any{"image": attributes})
	if err != nil {
		return false, err
	}
	yes, ok := v.(bool)
	if !ok {
		return false, fmt.Errorf("it gives %v, want true or false", v)
	}
	return yes, nil
}

// writeRatings adds scores.jsonl to the output, whose pictures have their names by now.
func writeRatings(env *stages.Env, ratings []rating) error {
	dir, err := env.OutputDir("")
	if err != nil {
		return err
	}
	metadata, err := os.Open(filepath.Join(dir, datasets.MetadataFile))
	if err != nil {
		return err
	}
	defer metadata.Close()
	rows, err := datasets.ReadRows(metadata)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	lines := json.NewEncoder(&b)
	for i, r := range ratings {
		if err := lines.Encode(struct {
			FileName string `json:"file_name"`
			rating
		}{rows[i].FileName, r}); err != nil {
			return fmt.Errorf("writing %s: %w", scoresFile, err)
		}
	}
	return env.WriteFile(scoresFile, b.Bytes())
}

// remembered is what compute gives, kept for later stages with the same partial work.
func remembered[T any](env *stages.Env, name string, compute func() ([]T, error)) ([]T, error) {
	dir, err := env.Host.Partial(true)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, name)
	var values []T
	if content, ok := kept(path); ok && json.Unmarshal(content, &values) == nil {
		env.Host.Progress(len(values), len(values), "pictures")
		return values, nil
	}
	if values, err = compute(); err != nil {
		return nil, err
	}
	content, err := json.Marshal(values)
	if err != nil {
		return nil, fmt.Errorf("keeping what was found of the pictures: %w", err)
	}
	return values, keep(path, content)
}
