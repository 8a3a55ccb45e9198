package builtin

import (
	"context"
	"encoding/json"
	"fmt"
	"path"
	"strings"

	"regft/compute"
	"regft/models/clip"
	"regft/models/merge"
	"regft/models/nn"
	"regft/models/safetensors"
	"regft/stages"
)

// A recipe says how an ensemble's weights are merged. The own files of what it merges lie below prefixes: from/, to/,
// base/, models/0000/, … and Fisher informations below fisher_from/ and fisher_to/.
type recipe struct {
	Method      string          `json:"method"`
	Alpha       *float64        `json:"alpha,omitempty"`
	FisherFloor *float64        `json:"fisher_floor,omitempty"` // weighs by Fisher information
	Models      int             `json:"models,omitempty"`
	Lambda      *float64        `json:"lambda,omitempty"`
	Keep        *float64        `json:"keep,omitempty"`
	Aggregate   merge.Aggregate `json:"aggregate,omitempty"`
	FromScale   *float64        `json:"from_scale,omitempty"`
	ToScale     *float64        `json:"to_scale,omitempty"`
	Beta        *float64        `json:"beta,omitempty"`
	Decay       *float64        `json:"decay,omitempty"`
}

const (
	fisherFromPrefix = "fisher_from/"
	fisherToPrefix   = "fisher_to/"
	basePrefix       = "base/"
	modelsPrefix     = "models/"
)

func modelPrefix(i int) string { return fmt.Sprintf("%s%04d/", modelsPrefix, i) }

func (r recipe) write(env *stages.Env) error {
	text, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("writing the recipe: %w", err)
	}
	return env.WriteFile(recipeFile, append(text, '\n'))
}

// A kitchen reads what the recipe below prefix of an artifact merges.
type kitchen struct {
	ctx     context.Context // of the stage that reads
	backend compute.Backend
	shared  *stages.Shared // may be nil
	from    stages.Artifact
	prefix  string
	like    *clip.Checkpoint // of what was read last
}

func mergeRecipe(ctx context.Context, shared *stages.Shared, backend compute.Backend, a stages.Artifact, prefix string) (nn.Arrays, *clip.Checkpoint, error) {
	text, err := a.ReadFile(ctx, prefix+recipeFile)
	if err != nil {
		return nil, nil, err
	}
	var r recipe
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, nil, fmt.Errorf("reading the recipe of an ensemble: %w", err)
	}
	k := &kitchen{ctx: ctx, backend: backend, shared: shared, from: a, prefix: prefix}
	merged, err := k.merge(r)
	if err != nil {
		return nil, nil, err
	}
	return merged, k.like, nil
}

func (k *kitchen) merge(r recipe) (nn.Arrays, error) {
	if r.Method == "linear" {
		return k.linear(r)
	}
	models := make([]nn.Arrays, r.Models)
	for i := range models {
		var err error
		if models[i], err = k.model(modelPrefix(i)); err != nil {
			return nil, err
		}
	}
	switch r.Method {
	case "uniform_soup":
		return merge.UniformSoup(models)
	case "greedy_soup":
		return merge.GreedySoup(models)
	}
	base, rest, err := k.base(models)
	if err != nil {
		return nil, err
	}
	switch r.Method {
	case "task_arithmetic":
		return merge.TaskArithmetic(base, rest, *r.Lambda)
	case "ties":
		return merge.TIES(base, rest, *r.Lambda, *r.Keep, r.Aggregate)
	case "lines":
		return k.lines(r, base, rest)
	case "ema":
		return merge.EMA(base, rest, *r.Decay)
	}
	return nil, fmt.Errorf("the recipe of an ensemble has method %q, which this regft does not know", r.Method)
}

// An ingredient is a classifier that recipes merge.
type ingredient struct {
	weights nn.Arrays
	like    *clip.Checkpoint // closed
}

// model reads the classifier below a prefix of the recipe's. One that is no recipe itself stays in memory: the alphas of
// a pair read it once.
func (k *kitchen) model(prefix string) (nn.Arrays, error) {
	read := func(ctx context.Context) (ingredient, error) {
		w, like, err := readClassifier(ctx, k.shared, k.backend, k.from, k.prefix+prefix)
		return ingredient{w, like}, err
	}
	i, err := k.kept(prefix, read)
	k.like = i.like
	return i.weights, err
}

func (k *kitchen) kept(prefix string, read func(context.Context) (ingredient, error)) (ingredient, error) {
	if _, isRecipe := k.from.Manifest.Lookup(k.prefix + prefix + recipeFile); isRecipe || k.shared == nil {
		return read(k.ctx)
	}
	v, err := k.shared.Get(k.ctx, "classifier "+k.content(prefix), func(ctx context.Context) (any, int64, error) {
		i, err := read(ctx)
		size := int64(0)
		for _, a := range i.weights {
			size += 4 * int64(len(a.Values))
		}
		return i, size, err
	})
	if err != nil {
		return ingredient{}, err
	}
	return v.(ingredient), nil
}

// content names all that the classifier below a prefix is read from: its own files, and those that it shares.
func (k *kitchen) content(prefix string) string {
	var b strings.Builder
	for _, f := range k.from.Manifest.Files {
		own, isOwn := strings.CutPrefix(f.Name, k.prefix+prefix)
		if isOwn && !strings.Contains(own, "/") || !strings.Contains(f.Name, "/") && f.Name != recipeFile {
			fmt.Fprintf(&b, "%s %s\n", path.Base(f.Name), f.Digest)
		}
	}
	return b.String()
}

// base is what the rest of models starts from: the recipe's base, or the first of them.
func (k *kitchen) base(models []nn.Arrays) (base nn.Arrays, rest []nn.Arrays, err error) {
	for _, f := range []string{clip.HeadFile, recipeFile} {
		if _, ok := k.from.Manifest.Lookup(k.prefix + basePrefix + f); ok {
			base, err = k.model(basePrefix)
			return base, models, err
		}
	}
	return models[0], models[1:], nil
}

func (k *kitchen) linear(r recipe) (nn.Arrays, error) {
	from, err := k.model("from/")
	if err != nil {
		return nil, err
	}
	to, err := k.model("to/")
	if err != nil {
		return nil, err
	}
	if r.FisherFloor == nil {
		return merge.Linear(from, to, *r.Alpha)
	}
	fisherFrom, err := readFisher(k.ctx, k.from, k.prefix+fisherFromPrefix)
	if err != nil {
		return nil, err
	}
	fisherTo, err := readFisher(k.ctx, k.from, k.prefix+fisherToPrefix)
	if err != nil {
		return nil, err
	}
	return merge.FisherWeighted(from, to, fisherFrom, fisherTo, *r.Alpha, *r.FisherFloor)
}

func (k *kitchen) lines(r recipe, base nn.Arrays, models []nn.Arrays) (nn.Arrays, error) {
	l := merge.Layering{Layers: k.like.Config.Vision.Layers}
	var err error
	if r.FromScale != nil {
		l.From = *r.FromScale
	} else if l.From, err = merge.LiNeSScale(base, models, r.Keep, r.Aggregate); err != nil {
		return nil, err
	}
	if r.Beta != nil {
		l.Rise = *r.Beta
	} else {
		l.Rise = *r.ToScale - l.From
	}
	if r.Keep == nil {
		return merge.LiNeS(base, models, l)
	}
	return merge.LiNeSTIES(base, models, l, *r.Keep, r.Aggregate)
}

// readFisher reads the Fisher information whose file lies below prefix of a.
func readFisher(ctx context.Context, a stages.Artifact, prefix string) (nn.Arrays, error) {
	path, err := a.Path(ctx, prefix+fisherFile)
	if err != nil {
		return nil, err
	}
	f, err := safetensors.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	out := nn.Arrays{}
	for _, name := range f.Names() {
		t, _ := f.Lookup(name)
		values, err := f.Float32s(name)
		if err != nil {
			return nil, err
		}
		out[name] = nn.Array{Shape: t.Shape, Values: values}
	}
	return out, nil
}
