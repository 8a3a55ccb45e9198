package main

import (
	"fmt"
	"testing"

	"regft/engine"
	"regft/stages"

	"github.com/google/go-cmp/cmp"
)

// chosenRun is a run in which final rests on what best chose, once for each of two draws.
func chosenRun(tables string) *pastRun {
	r := &pastRun{Past: &engine.Past{}, spec: []byte(
		"sweep: {axes: {alpha: [0, 1], draw: {replicates: [0, 1]}}}\n" + tables)}
	add := func(stage string, draw float64, metrics, chosen map[string]any, inputs ...int) {
		point := map[string]any{"draw": draw}
		i := engine.InstanceRecord{Stage: stage, Point: point, Nodes: []int{len(r.plan.Nodes)},
			Coords: []stages.Coord{{Axis: "draw", Key: fmt.Sprint(draw)}}}
		r.plan.Instances = append(r.plan.Instances, i)
		r.plan.Nodes = append(r.plan.Nodes, engine.NodeRecord{Name: fmt.Sprint(stage, draw), Stage: stage, Recipe: fmt.Sprint(stage, draw), Inputs: inputs})
		if metrics != nil {
			r.lines = append(r.lines, engine.Line{Stage: stage, Point: point, Metrics: metrics, Chosen: chosen})
		}
	}
	top1 := func(x float64) map[string]any { return map[string]any{"test": map[string]any{"top1": x}} }
	for draw := range 2 {
		k := 5 * draw
		add("pictures", float64(draw), map[string]any{"images": 96}, nil)
		add("merged", float64(draw), nil, nil, k)
		add("scores", float64(draw), top1(0.5), nil, k+1)
		add("best", float64(draw), top1(0.5), map[string]any{"alpha": 0.1 * float64(draw+1)}, k+1, k+2)
		add("final", float64(draw), top1(0.7+0.1*float64(draw)), nil, k+3)
	}
	r.index()
	return r
}

func titles(r *pastRun) (major, minor []string) {
	for _, g := range r.groups() {
		if g.Minor {
			minor = append(minor, g.Title)
		} else {
			major = append(major, g.Title)
		}
	}
	return major, minor
}

func TestLastMeasuringStageAnswers(t *testing.T) {
	major, minor := titles(chosenRun(""))
	if !cmp.Equal(major, []string{"final"}) || !cmp.Equal(minor, []string{"scores", "best"}) {
		t.Errorf("first %v, then %v: want final, then scores and best; counts of pictures are no results", major, minor)
	}
}

func TestTablesOfTheSpecAnswer(t *testing.T) {
	if major, _ := titles(chosenRun("tables: {main: {of: scores}}")); !cmp.Equal(major, []string{"scores"}) {
		t.Errorf("got %v, want the stage of the spec's table", major)
	}
}

func TestTableShowsWhatWasChosenAbove(t *testing.T) {
	r := chosenRun("")
	var chosen []string
	for _, e := range r.groups()[0].Entries {
		chosen = append(chosen, e.Chosen["alpha"])
	}
	if !cmp.Equal(chosen, []string{"0.1", "0.2"}) {
		t.Errorf("final shows alphas %v, want those that best chose for each draw", chosen)
	}
}

func TestReplicatesAreFolded(t *testing.T) {
	axes := chosenRun("").axes()
	if len(axes) != 2 || axes[0].Replicates || !axes[1].Replicates {
		t.Errorf("axes are %v, want draw folded and alpha not", axes)
	}
}

func TestKeysOfValues(t *testing.T) {
	for want, v := range map[string]any{"photo": "photo", "0.5": 0.5, "covariance=0.02,variance=0.16": map[string]any{"variance": 0.16, "covariance": 0.02}} {
		if got := keyText(v); got != want {
			t.Errorf("key of %v is %q, want %q", v, got, want)
		}
	}
}
