package builtin_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"regft/models/clip"
	"regft/models/merge"
	"regft/models/nn"
	"regft/stages"
)

// parameters reads what a classifier has of its own, as it is published.
func parameters(t *testing.T, a stages.Artifact) nn.Arrays {
	t.Helper()
	dir, all := published(t, a), nn.Arrays{}
	for file, rename := range map[string]map[string]string{
		"model-00002-of-00002.safetensors": nil, "head.safetensors": {"weight": clip.HeadWeight, "bias": clip.HeadBias},
	} {
		for name, x := range readSafetensors(t, filepath.Join(dir, file)) {
			values, err := x.Float32s()
			if err != nil {
				t.Fatal(err)
			}
			if to, ok := rename[name]; ok {
				name = to
			}
			all[name] = nn.Array{Shape: x.Shape, Values: values}
		}
	}
	return all
}

// several are the artifacts as one list parameter.
func several(artifacts ...stages.Artifact) []stages.Input {
	var in []stages.Input
	for _, a := range artifacts {
		in = append(in, one(a)...)
	}
	return in
}

// pool is a zero-shot classifier, models tuned from it, and held-out pictures.
func pool(t *testing.T, l *lab) (base stages.Artifact, models []stages.Artifact, data stages.Artifact) {
	t.Helper()
	data, base = l.dataset(folderOf(t, 8, "cat", "cow", "dog")), l.zeroshot(clips(t)[0], "cat", "cow", "dog")
	for seed := range 3 {
		params := fmt.Sprintf("{epochs: 1, batch_size: 6, warmup_steps: 0, learning_rate: %v, seed: %d}", 0.003*float64(seed+1), seed)
		models = append(models, only(l.run("finetune", params, given("classifier", base, "data", data))))
	}
	return base, models, data
}

// TestEnsembleMethods: a recipe is merged where it is used, as package merge does.
func TestEnsembleMethods(t *testing.T) {
	l := newLab(t)
	base, models, data := pool(t, l)
	b, list := parameters(t, base), []nn.Arrays{}
	for _, m := range models {
		list = append(list, parameters(t, m))
	}
	var config struct {
		Vision struct {
			Layers int `json:"num_hidden_layers"`
		} `json:"vision_config"`
	}
	decodeJSON(t, text(t, base, "config.json"), &config)
	layers := func(from, rise float64) merge.Layering {
		return merge.Layering{From: from, Rise: rise, Layers: config.Vision.Layers}
	}
	all := several(models...)
	withBase := map[string][]stages.Input{"models": all, "base": one(base)}
	for _, c := range []struct {
		params string
		inputs map[string][]stages.Input
		want   func() (nn.Arrays, error)
	}{
		{"{method: uniform_soup}", map[string][]stages.Input{"models": all}, func() (nn.Arrays, error) { return merge.UniformSoup(list) }},
		{"{method: task_arithmetic, lambda: 0.4}", withBase, func() (nn.Arrays, error) { return merge.TaskArithmetic(b, list, 0.4) }},
		{"{method: ties, lambda: 0.7, keep: 0.35, aggregate: sum}", withBase, func() (nn.Arrays, error) { return merge.TIES(b, list, 0.7, 0.35, merge.Sum) }},
		{"{method: lines, from_scale: 0.1, to_scale: 1}", map[string][]stages.Input{"models": all[:1], "base": one(base)}, func() (nn.Arrays, error) {
			return merge.LiNeS(b, list[:1], layers(0.1, 0.9))
		}},
		{"{method: lines, beta: 0.3}", withBase, func() (nn.Arrays, error) { return merge.LiNeS(b, list, layers(1/3.0, 0.3)) }},
		{"{method: lines, beta: 0.3, keep: 0.2}", withBase, func() (nn.Arrays, error) {
			keep := 0.2
			from, err := merge.LiNeSScale(b, list, &keep, merge.Mean)
			if err != nil {
				return nil, err
			}
			return merge.LiNeSTIES(b, list, layers(from, 0.3), keep, merge.Mean)
		}},
		{"{method: ema, decay: 0.9}", withBase, func() (nn.Arrays, error) { return merge.EMA(b, list, 0.9) }},
		{"{method: ema, decay: 0.9}", map[string][]stages.Input{"models": all}, func() (nn.Arrays, error) { return merge.EMA(list[0], list[1:], 0.9) }},
	} {
		merged := only(l.run("ensemble", c.params, c.inputs))
		want, err := c.want()
		if err != nil {
			t.Fatal(err)
		}
		sameParameters(t, c.params, parameters(t, merged), want)
		if number(t, l.run("evaluate", "", given("classifier", merged, "data", data)), "nll") <= 0 {
			t.Errorf("%s cannot be evaluated", c.params)
		}
	}
}

func sameParameters(t *testing.T, what string, got, want nn.Arrays) {
	t.Helper()
	for name, w := range want {
		if !slices.Equal(got[name].Values, w.Values) {
			t.Errorf("%s: %s is not what package merge makes", what, name)
		}
	}
}

// scoresOf evaluates models on data.
func scoresOf(l *lab, data stages.Artifact, models ...stages.Artifact) []stages.Artifact {
	l.t.Helper()
	var scores []stages.Artifact
	for _, m := range models {
		scores = append(scores, only(l.run("evaluate", "", given("classifier", m, "data", data))))
	}
	return scores
}

// TestGreedySoup chooses as a search that evaluates every soup by itself does.
func TestGreedySoup(t *testing.T) {
	l := newLab(t)
	base, models, data := pool(t, l)
	models = append(models, base)
	scores := scoresOf(l, data, models...)
	right := func(scores stages.Artifact) int { return int(scores.Metrics["top1"].(float64)*24 + 0.5) }
	for _, ties := range []string{"drop", "keep"} {
		var alone, order []int
		for i, s := range scores {
			alone, order = append(alone, right(s)), append(order, i)
		}
		slices.SortStableFunc(order, func(i, j int) int { return alone[i] - alone[j] })
		slices.Reverse(order)
		kept, best := []stages.Artifact{models[order[0]]}, alone[order[0]]
		for _, i := range order[1:] {
			trial := append(slices.Clone(kept), models[i])
			soup := only(l.run("ensemble", "{method: uniform_soup}", map[string][]stages.Input{"models": several(trial...)}))
			if n := right(scoresOf(l, data, soup)[0]); n > best || ties == "keep" && n == best {
				kept, best = trial, n
			}
		}
		var ingredients []nn.Arrays
		for _, m := range kept {
			ingredients = append(ingredients, parameters(t, m))
		}
		want, err := merge.GreedySoup(ingredients)
		if err != nil {
			t.Fatal(err)
		}
		got := l.run("ensemble", "{method: greedy_soup, ties: "+ties+"}",
			map[string][]stages.Input{"models": several(models...), "scores": several(scores...), "data": one(data)})
		sameParameters(t, "greedy soup, ties: "+ties, parameters(t, only(got)), want)
		if n := number(t, got, "ingredients"); int(n) != len(kept) {
			t.Errorf("ties: %s: %v ingredients, want %d", ties, n, len(kept))
		}
	}
}

// TestGreedySoupOfEqualModels: of models that are the same, the published code keeps the last listed.
func TestGreedySoupOfEqualModels(t *testing.T) {
	l := newLab(t)
	base, _, data := pool(t, l)
	scores := scoresOf(l, data, base)[0]
	for ties, want := range map[string]float64{"drop": 1, "keep": 3} {
		got := l.run("ensemble", "{method: greedy_soup, ties: "+ties+"}",
			map[string][]stages.Input{"models": several(base, base, base), "scores": several(scores, scores, scores), "data": one(data)})
		if n := number(t, got, "ingredients"); n != want {
			t.Errorf("ties: %s: %v ingredients, want %v", ties, n, want)
		}
	}
}

// TestGreedySoupPairs: gathered models and scores belong together by their axes.
func TestGreedySoupPairs(t *testing.T) {
	l := newLab(t)
	base, models, data := pool(t, l)
	scores := scoresOf(l, data, base, models[2])
	if scores[0].Metrics["top1"] == scores[1].Metrics["top1"] {
		t.Fatal("the test needs models of different accuracy")
	}
	at := func(key string, a stages.Artifact) stages.Input {
		return stages.Input{Coords: []stages.Coord{{Axis: "epochs", Key: key}}, Parts: []stages.Artifact{a}}
	}
	inOrder := map[string][]stages.Input{"models": {at("0", base), at("1", models[2])}, "scores": {at("0", scores[0]), at("1", scores[1])}, "data": one(data)}
	swapped := map[string][]stages.Input{"models": inOrder["models"], "scores": {at("1", scores[1]), at("0", scores[0])}, "data": one(data)}
	a, b := only(l.run("ensemble", "{method: greedy_soup}", inOrder)), only(l.run("ensemble", "{method: greedy_soup}", swapped))
	if a.Digest != b.Digest {
		t.Error("the order of scores decides which model they belong to")
	}
}

// TestFisherEnsemble merges by the Fisher information of both classifiers.
func TestFisherEnsemble(t *testing.T) {
	l := newLab(t)
	base, models, data := pool(t, l)
	f0 := only(l.run("fisher", "", given("classifier", base, "data", data)))
	f1 := only(l.run("fisher", "", given("classifier", models[0], "data", data)))
	merged := only(l.run("ensemble", "{alpha: 0.3, fisher_floor: 1e-6}", given("from", base, "to", models[0], "fisher_from", f0, "fisher_to", f1)))
	want, err := merge.FisherWeighted(parameters(t, base), parameters(t, models[0]), information(t, f0), information(t, f1), 0.3, 1e-6)
	if err != nil {
		t.Fatal(err)
	}
	sameParameters(t, "Fisher weights", parameters(t, merged), want)
	nested := only(l.run("ensemble", "{method: uniform_soup}", map[string][]stages.Input{"models": several(merged, base)}))
	soup, err := merge.UniformSoup([]nn.Arrays{want, parameters(t, base)})
	if err != nil {
		t.Fatal(err)
	}
	sameParameters(t, "a soup of it", parameters(t, nested), soup)
}

func TestEnsembleMethodsRefuse(t *testing.T) {
	l := newLab(t)
	base, models, data := pool(t, l)
	other := l.zeroshot(clips(t)[1], "cat", "cow", "dog")
	cows := l.zeroshot(clips(t)[0], "cat", "cow", "sheep")
	few := l.dataset(folderOf(t, 3, "cat", "cow", "dog"))
	scores := scoresOf(l, data, models...)
	greedy := func(data stages.Artifact, models, scores []stages.Artifact) map[string][]stages.Input {
		return map[string][]stages.Input{"models": several(models...), "scores": several(scores...), "data": one(data)}
	}
	for _, c := range []struct {
		params string
		inputs map[string][]stages.Input
		want   string
	}{
		{"{method: uniform_soup}", nil, "needs models"},
		{"{method: ties, lambda: 1}", map[string][]stages.Input{"models": several(models...)}, "base and keep are missing"},
		{"{method: uniform_soup, lambda: 1}", map[string][]stages.Input{"models": several(models...)}, "lambda does not go with method: uniform_soup"},
		{"{method: lines}", map[string][]stages.Input{"models": several(models...), "base": one(base)}, "to_scale and beta"},
		{"{alpha: 0.5}", given("from", base, "to", models[0], "fisher_to", base), "go together"},
		{"{method: uniform_soup}", map[string][]stages.Input{"models": several(models[0], models[1], other)}, "models 1 and models 3 come from different checkpoints"},
		{"{method: ema, decay: 0.9}", map[string][]stages.Input{"models": several(models...), "base": one(cows)}, `"sheep"`},
		{"{method: greedy_soup}", greedy(few, models, scores), "not of data"},
		{"{method: greedy_soup}", greedy(data, models, scores[:2]), "has 2 scores"},
	} {
		_, err := l.try("ensemble", c.params, c.inputs)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got the error %v, want %q in it", c.params, err, c.want)
		}
	}
}
