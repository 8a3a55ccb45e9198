package builtin

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"math"

	"regft/datasets"
	"regft/models/safetensors"
	"regft/report"
	"regft/stages"
)

// Run measures, resamples, and writes confusion.csv, per_class.csv, assessment.json and report.html.
func (a *Assess) Run(ctx context.Context, env *stages.Env) error {
	set, err := readImages(ctx, a.Data.Artifact())
	if err != nil {
		return err
	}
	verdicts, err := verdictsOf(ctx, "scores", a.Scores, set)
	if err != nil {
		return err
	}
	var baseline []verdict
	if a.Baseline != nil {
		if baseline, err = verdictsOf(ctx, "baseline", *a.Baseline, set); err != nil {
			return err
		}
	}
	if err := a.measure(ctx, env, verdicts, baseline, len(set.classes)); err != nil {
		return err
	}
	if a.InDomain != nil {
		if err := a.robustness(ctx, env, aggregate(verdicts, nil, len(set.classes))["top1"]); err != nil {
			return err
		}
	}
	found := assessmentOf(set.classes, verdicts, baseline)
	if baseline != nil {
		recordGains(env, found)
	}
	return writeAssessment(env, found)
}

// verdictsOf are those of the scores given as parameter name, which must be of the set's pictures.
func verdictsOf(ctx context.Context, name string, in stages.Input, set *imageSet) ([]verdict, error) {
	if len(in.Parts) != 1 {
		return nil, fmt.Errorf("%s are of %d sets of pictures: give those on data alone", name, len(in.Parts))
	}
	logits, scored, err := readLogits(ctx, in.Artifact())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	labels := make([]int, len(set.images))
	for i, im := range set.images {
		labels[i] = im.Label
	}
	if classes := len(set.classes); !sameLabels(scored, labels) || len(logits) != classes*len(labels) {
		return nil, fmt.Errorf("%s: they are not of data: %d labels that are not its %d, or other classes than its %d", name, len(scored), len(labels), classes)
	}
	return verdictsAbout(logits, labels, len(set.classes)), nil
}

// readLogits reads what evaluate kept: logits [n, classes] and labels [n].
func readLogits(ctx context.Context, scores stages.Artifact) (logits []float32, labels []int64, err error) {
	path, err := scores.Path(ctx, logitsFile)
	if err != nil {
		return nil, nil, err
	}
	f, err := safetensors.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	if logits, err = f.Float32s("logits"); err != nil {
		return nil, nil, err
	}
	t, err := f.Tensor("labels")
	if err != nil {
		return nil, nil, err
	}
	labels, err = t.Int64s()
	return logits, labels, err
}

func sameLabels(scored []int64, labels []int) bool {
	if len(scored) != len(labels) {
		return false
	}
	for i, l := range scored {
		if l != int64(labels[i]) {
			return false
		}
	}
	return true
}

// measure records the metrics, their gains over the baseline, and the intervals of both.
func (a *Assess) measure(ctx context.Context, env *stages.Env, verdicts, baseline []verdict, classes int) error {
	quantities := func(order []int) map[string]float64 {
		all, out := aggregate(verdicts, order, classes), map[string]float64{}
		for _, m := range a.Metrics {
			out[m] = all[m]
		}
		if baseline != nil {
			before := aggregate(baseline, order, classes)
			for _, m := range a.Metrics {
				out[m+"_gain"] = all[m] - before[m]
			}
		}
		return out
	}
	whole := quantities(nil)
	intervals, err := bootstrap(ctx, a.Bootstrap, uint64(a.Seed), len(verdicts), quantities)
	if err != nil {
		return err
	}
	for name, x := range whole {
		env.Host.Metric(name, x)
		if a.Bootstrap > 0 {
			env.Host.Metric(name+"_low", intervals[name][0])
			env.Host.Metric(name+"_high", intervals[name][1])
		}
	}
	return nil
}

// robustness records top1 on data beyond what reference models have there at the same top1 in domain.
func (a *Assess) robustness(ctx context.Context, env *stages.Env, top1 float64) error {
	inDomain, err := top1Of(ctx, *a.InDomain)
	if err != nil {
		return fmt.Errorf("in_domain: %w", err)
	}
	points := a.Reference
	if len(a.ReferenceIn) != len(a.ReferenceData) {
		return fmt.Errorf("there are %d scores as reference_in_domain and %d as reference_data: each model needs both", len(a.ReferenceIn), len(a.ReferenceData))
	}
	for i := range a.ReferenceIn {
		x, err1 := top1Of(ctx, a.ReferenceIn[i])
		y, err2 := top1Of(ctx, a.ReferenceData[i])
		if err := errors.Join(err1, err2); err != nil {
			return fmt.Errorf("reference model %d: %w", i+1, err)
		}
		points = append(points, []float64{x, y})
	}
	expected, err := expectedAccuracy(points, inDomain)
	if err != nil {
		return err
	}
	env.Host.Metric("in_domain_top1", inDomain)
	env.Host.Metric("expected_top1", expected)
	env.Host.Metric("effective_robustness", top1-expected)
	return nil
}

// top1Of is the accuracy that scores on one set of pictures stand for.
func top1Of(ctx context.Context, in stages.Input) (float64, error) {
	if len(in.Parts) != 1 {
		return 0, fmt.Errorf("scores of %d sets of pictures: give those of one", len(in.Parts))
	}
	logits, labels, err := readLogits(ctx, in.Artifact())
	if err != nil {
		return 0, err
	}
	plain := make([]int, len(labels))
	for i, l := range labels {
		plain[i] = int(l)
	}
	return float64(rightAnswers(logits, plain)) / float64(len(plain)), nil
}

// expectedAccuracy is what the reference models, pairs of accuracies in domain and shifted, make expect of a model that
// has x in domain: the least-squares line through the pairs' logits (Taori et al., arXiv 2007.00644, §2; logits as in
// WiSE-FT's plots).
func expectedAccuracy(points [][]float64, x float64) (float64, error) {
	logit := func(p float64) float64 { return math.Log(p / (1 - p)) }
	var n, sx, sy, sxx, sxy float64
	for _, p := range points {
		u, v := logit(p[0]), logit(p[1])
		n, sx, sy, sxx, sxy = n+1, sx+u, sy+v, sxx+u*u, sxy+u*v
	}
	slope := (n*sxy - sx*sy) / (n*sxx - sx*sx)
	expected := 1 / (1 + math.Exp(-((sy-slope*sx)/n + slope*logit(x))))
	if math.IsNaN(expected) || math.IsInf(slope, 0) {
		return 0, fmt.Errorf("no line goes through the %d reference models, or to a model with top1 %v: they need two different accuracies, and all must lie between 0 and 1", len(points), x)
	}
	return expected, nil
}

// assessmentOf counts classes; rates are NaN for a class without pictures.
func assessmentOf(classes []datasets.Class, verdicts, baseline []verdict) report.Assessment {
	a := report.Assessment{Confusion: make([][]int, len(classes)), PerClass: rates(verdicts, len(classes))}
	for i, c := range classes {
		a.Classes = append(a.Classes, c.Name)
		a.Confusion[i] = make([]int, len(classes))
	}
	for _, v := range verdicts {
		a.Confusion[v.label][v.predicted]++
	}
	if baseline != nil {
		a.Baseline = rates(baseline, len(classes))
	}
	return a
}

// rates are the fractions of each class's pictures that are right.
func rates(verdicts []verdict, classes int) []report.Rate {
	hits, seen := make([]float64, classes), make([]float64, classes)
	for _, v := range verdicts {
		seen[v.label]++
		if v.rank == 0 {
			hits[v.label]++
		}
	}
	out := make([]report.Rate, classes)
	for k := range out {
		out[k] = report.Rate(hits[k] / seen[k])
	}
	return out
}

// recordGains counts the classes that are better and worse than the baseline's.
func recordGains(env *stages.Env, a report.Assessment) {
	better, worse, worst := 0.0, 0.0, math.Inf(1)
	for k, now := range a.PerClass {
		gain := float64(now - a.Baseline[k])
		switch {
		case gain > 0:
			better++
		case gain < 0:
			worse++
		}
		if !math.IsNaN(gain) {
			worst = min(worst, gain)
		}
	}
	env.Host.Metric("classes_better", better)
	env.Host.Metric("classes_worse", worse)
	env.Host.Metric("worst_class_gain", worst)
}

// writeAssessment writes it as tables, as a page, and for the report of a run.
func writeAssessment(env *stages.Env, a report.Assessment) error {
	var html bytes.Buffer
	if err := (report.Page{Title: "Assessment", Assessments: []report.Assessment{a}}).WriteHTML(&html); err != nil {
		return err
	}
	content, err := a.Encode()
	if err != nil {
		return err
	}
	files := map[string][]byte{"report.html": html.Bytes(), report.AssessmentFile: content}
	for name, rows := range map[string][][]string{"confusion.csv": a.ConfusionRows(), "per_class.csv": a.ClassRows()} {
		var b bytes.Buffer
		if err := csv.NewWriter(&b).WriteAll(rows); err != nil {
			return fmt.Errorf("writing %s: %w", name, err)
		}
		files[name] = b.Bytes()
	}
	for name, content := range files {
		if err := env.WriteFile(name, content); err != nil {
			return err
		}
	}
	return nil
}
