package builtin_test

import (
	"fmt"
	"math"
	"testing"

	"regft/cache"
	"regft/stages"
)

// candidate is an artifact at one point of the gathered axes.
func candidate(l *lab, content string, coords ...stages.Coord) stages.Input {
	d, size, err := l.store.PutFile(l.ctx, write(l.t, content, l.t.TempDir(), "content"))
	if err != nil {
		l.t.Fatal(err)
	}
	return stages.Input{Coords: coords, Parts: []stages.Artifact{l.artifact(stages.Files, []cache.File{{Name: content, Digest: d, Size: size}}, nil)}}
}

// scored is one score of a candidate: on as many data sets as there are values.
func scored(l *lab, values []any, coords ...stages.Coord) stages.Input {
	in := stages.Input{Coords: coords}
	for i, v := range values {
		in.Names = append(in.Names, fmt.Sprint("set ", i))
		in.Parts = append(in.Parts, l.artifact(stages.Scores, nil, map[string]any{"top1": v}))
	}
	return in
}

func alpha(key string) stages.Coord { return stages.Coord{Axis: "alpha", Key: key} }
func draw(key string) stages.Coord {
	return stages.Coord{Axis: "draw", Key: key, Replicate: true}
}

// top1 is metrics.0.top1, metrics of the first data set.
func top1(vars map[string]any) (any, error) {
	m, ok := vars["metrics"].(map[string]any)["0"].(map[string]any)
	if !ok {
		return nil, fmt.Errorf("no metrics of data set 0 in %v", vars)
	}
	return m["top1"], nil
}

func TestSelect(t *testing.T) {
	type c struct {
		goal   string
		values []any // of alpha 0, 1, 2
		want   int
	}
	for name, c := range map[string]c{
		"largest":              {"maximize", []any{0.1, 0.7, 0.3}, 1},
		"least":                {"minimize", []any{0.3, 0.7, 0.1}, 2},
		"ties go to the first": {"maximize", []any{0.1, 0.7, 0.7}, 1},
		"ties of the least":    {"minimize", []any{0.1, 0.1, 0.7}, 0},
		"NaN never wins":       {"maximize", []any{math.NaN(), 0.1, math.NaN()}, 1},
		"NaN is not the least": {"minimize", []any{math.NaN(), 0.5, 0.1}, 2},
		"NaN as text":          {"maximize", []any{"NaN", 0.1, "-Infinity"}, 1},
		"infinity wins":        {"maximize", []any{0.1, "Infinity", 0.5}, 1},
		"all are infinite":     {"maximize", []any{"-Infinity", "-Infinity", "-Infinity"}, 0},
		"whole numbers":        {"maximize", []any{int64(1), 0.5, int64(2)}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			l.expr = map[string]func(map[string]any) (any, error){c.goal: top1}
			inputs := map[string][]stages.Input{}
			for i, v := range c.values {
				at := alpha(fmt.Sprint(i))
				inputs["from"] = append(inputs["from"], candidate(l, fmt.Sprint("candidate ", i), at))
				inputs["scores"] = append([]stages.Input{scored(l, []any{v, 0.9}, at)}, inputs["scores"]...) // in another order
			}
			o := l.run("select", "", inputs)
			if o.chosen == nil || *o.chosen != c.want {
				t.Fatalf("chose %v, want %d", o.chosen, c.want)
			}
			if got := o.artifacts[""].Manifest.Files[0].Name; got != fmt.Sprint("candidate ", c.want) {
				t.Errorf("handed on %s", got)
			}
			for part, want := range []any{c.values[c.want], 0.9} {
				got := o.metrics[fmt.Sprint(part)].(map[string]any)["top1"]
				if stages.CanonicalJSON(got) != stages.CanonicalJSON(want) {
					t.Errorf("metrics of data set %d are %v, want the chosen's, %v", part, got, want)
				}
			}
		})
	}
}

// pooled is a score that is there for its pool alone.
func pooled(in stages.Input) stages.Input {
	in.Pooled = true
	return in
}

// TestSelectPools: pooled replicates choose together, by their mean, and each hands on its own, with its own metrics.
func TestSelectPools(t *testing.T) {
	l := newLab(t)
	l.expr = map[string]func(map[string]any) (any, error){"maximize": top1}
	inputs := map[string][]stages.Input{
		"from": {candidate(l, "a", alpha("0")), candidate(l, "b", alpha("1"))},
		"scores": {
			pooled(scored(l, []any{0.9}, alpha("0"), draw("0"))), scored(l, []any{0.1}, alpha("0"), draw("1")),
			pooled(scored(l, []any{0.5}, alpha("1"), draw("0"))), scored(l, []any{0.7}, alpha("1"), draw("1")),
		},
	}
	o := l.run("select", "{pool: [draw]}", inputs)
	if *o.chosen != 1 {
		t.Errorf("chose %d by the means 0.5 and 0.6", *o.chosen)
	}
	if got := o.metrics["0"].(map[string]any)["top1"].(float64); got != 0.7 {
		t.Errorf("the metric is %v, want the chosen's of this replicate", got)
	}
	inputs["scores"][3].Pooled = true
	_, err := l.try("select", "{pool: [draw]}", inputs)
	wantError(t, err, "candidate 2 (alpha=1), the chosen, has no score of this replicate")
	if f, _ := mustLookup(t, "select").Field("scores"); f.Pool != "pool" {
		t.Error("scores are not gathered over the axes of pool")
	}
	if f, _ := mustLookup(t, "select").Field("pool"); f.Axes != "replicates" {
		t.Error("pool is not known to list replicate axes")
	}
}

// TestSelectKey: positions of pairs are in the key; names of axes and values, and pool, are not.
func TestSelectKey(t *testing.T) {
	lines := func(params string, keys ...string) string {
		l := newLab(t)
		l.expr = map[string]func(map[string]any) (any, error){"maximize": top1}
		inputs := map[string][]stages.Input{}
		for i, k := range keys {
			inputs["from"] = append(inputs["from"], candidate(l, fmt.Sprint(i), alpha(k)))
		}
		for _, k := range []string{"a", "b"} {
			inputs["scores"] = append(inputs["scores"], scored(l, []any{0.5}, alpha(k)))
		}
		return fmt.Sprint(l.lines("select", params, inputs, false))
	}
	if lines("", "a", "b") == lines("", "b", "a") {
		t.Error("pairing is not in the key")
	}
	if lines("", "a", "b") != lines("{pool: [draw]}", "a", "b") {
		t.Error("pool's names are in the key")
	}
}

func TestSelectRefuses(t *testing.T) {
	l := newLab(t)
	from := []stages.Input{candidate(l, "a", alpha("0")), candidate(l, "b", alpha("1"))}
	zero, nan := scored(l, []any{0.5}, alpha("0")), scored(l, []any{math.NaN()}, alpha("1"))
	goal := map[string]func(map[string]any) (any, error){"maximize": top1}
	for want, c := range map[string]struct {
		expr   map[string]func(map[string]any) (any, error)
		scores []stages.Input
	}{
		"candidate 2 (alpha=1): it has no scores":           {goal, []stages.Input{zero}},
		"none of 2 candidates has a score that is a number": {goal, []stages.Input{scored(l, []any{math.NaN()}, alpha("0")), nan}},
		"one goal: maximize or minimize":                    {map[string]func(map[string]any) (any, error){"maximize": top1, "minimize": top1}, []stages.Input{zero, nan}},
		"candidate 1 (alpha=0): maximize gives high, want":  {goal, []stages.Input{scored(l, []any{"high"}, alpha("0")), nan}},
	} {
		l.expr = c.expr
		_, err := l.try("select", "", map[string][]stages.Input{"from": from, "scores": c.scores})
		wantError(t, err, want)
	}
}
