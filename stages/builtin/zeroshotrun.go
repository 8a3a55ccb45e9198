package builtin

import (
	"context"
	"fmt"
	"math"
	"slices"

	"regft/compute"
	"regft/datasets"
	"regft/datasets/prompts"
	"regft/models/checkpoint"
	"regft/models/clip"
	"regft/models/nn"
	"regft/stages"
)

// textBatch is how many texts are encoded at once.
const textBatch = 32

// Sources are the checkpoint, the class names, and the sentences of those classes.
func (z *ZeroShot) Sources(context.Context) ([]stages.Source, error) {
	var out []stages.Source
	if z.Checkpoint.Path != "" {
		s, err := checkpointSource("checkpoint", z.Checkpoint.Path, checkpoint.NeededCLIP)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	v, err := readVocabulary(z.Classes, z.Styles, z.Dataset)
	if err != nil {
		return nil, err
	}
	out = append(out, v.source(z.Templates == nil && z.Prompts == ""))
	if z.Prompts != "" {
		sentences, err := z.sentences(v)
		if err != nil {
			return nil, err
		}
		out = append(out, stages.Source{Param: "prompts", Value: sentences})
	}
	return out, nil
}

// sentences are what describes each class.
func (z *ZeroShot) sentences(v vocabulary) ([][]string, error) {
	if z.Prompts != "" {
		file, err := prompts.ReadSentences(string(z.Prompts))
		if err != nil {
			return nil, err
		}
		return file.For(v.Classes)
	}
	templates := []string{v.Template}
	if z.Templates != nil {
		var err error
		if templates, err = z.Templates.texts(); err != nil {
			return nil, err
		}
	}
	return prompts.FillAll(templates, v.Classes), nil
}

// Run encodes the sentences and writes a classifier: the checkpoint under a new head.
func (z *ZeroShot) Run(ctx context.Context, env *stages.Env) error {
	v, err := readVocabulary(z.Classes, z.Styles, z.Dataset)
	if err != nil {
		return err
	}
	sentences, err := z.sentences(v)
	if err != nil {
		return err
	}
	backend, err := backendOf(env)
	if err != nil {
		return err
	}
	a, err := z.start(env)
	if err != nil {
		return err
	}
	files := filesOf(ctx, a, "")
	c, err := clip.Open(backend, files)
	if err != nil {
		return fmt.Errorf("checkpoint%s: %w", z.where(), err)
	}
	defer c.Close()
	head, err := zeroShotHead(ctx, env, backend, c, files, sentences)
	if err != nil {
		return err
	}
	if z.Checkpoint.Path == "" {
		return z.rehead(ctx, env, backend, a, v.Classes, head)
	}
	dir, err := env.OutputDir("")
	if err != nil {
		return err
	}
	return writeClassifier(dir, files, c, head, v.Classes)
}

// where is the checkpoint's folder, for errors.
func (z *ZeroShot) where() string {
	if z.Checkpoint.Path == "" {
		return ""
	}
	return " " + z.Checkpoint.Path
}

// start is the checkpoint folder, or the classifier given in its place.
func (z *ZeroShot) start(env *stages.Env) (stages.Artifact, error) {
	if z.Checkpoint.Path != "" {
		return env.Source("checkpoint")
	}
	return z.Checkpoint.Artifact(), nil
}

// zeroShotHead makes the head: for each class the mean of its sentences' normalised features, normalised again, times
// exp(logit_scale). The bias is zero.
func zeroShotHead(ctx context.Context, env *stages.Env, backend compute.Backend, c *clip.Checkpoint, files *artifactFiles, sentences [][]string) (nn.Arrays, error) {
	tok, err := openTokenizer(files)
	if err != nil {
		return nil, err
	}
	texts := slices.Concat(sentences...)
	tokens, length := tokenize(tok, texts, c.Config.Text.Positions)
	encoder, err := c.Config.NewTextEncoder(backend, textBatch, length)
	if err != nil {
		return nil, err
	}
	defer encoder.Free()
	tower, err := c.TextTower()
	if err != nil {
		return nil, err
	}
	weights, err := tower.ToBackend(backend)
	if err != nil {
		return nil, err
	}
	defer weights.Free()
	features, err := encoder.Encode(ctx, weights, tokens)
	if err != nil {
		return nil, fmt.Errorf("encoding the prompts: %w", err)
	}
	env.Log.Info().Int("sentences", len(texts)).Int("classes", len(sentences)).Msg("head made")
	scale := math.Exp(float64(tower["logit_scale"].Values[0]))
	return headOf(features, sentences, c.Config.Projection, scale), nil
}

// tokenize gives the tokens of texts, all cut to the longest of them: what follows a text's end changes nothing.
func tokenize(tok textTokenizer, texts []string, positions int) (tokens []int32, length int) {
	rows := make([][]int32, len(texts))
	for i, text := range texts {
		rows[i] = tok.Encode(text, positions)
		length = max(length, ended(rows[i]))
	}
	for _, row := range rows {
		tokens = append(tokens, row[:length]...)
	}
	return tokens, length
}

func headOf(features []float32, sentences [][]string, dim int, scale float64) nn.Arrays {
	weight := make([]float32, 0, len(sentences)*dim)
	next := 0
	for _, list := range sentences {
		mean := make([]float64, dim)
		for range list {
			row := unit(features[next*dim : (next+1)*dim])
			for k, x := range row {
				mean[k] += x / float64(len(list))
			}
			next++
		}
		for _, x := range unit(mean) {
			weight = append(weight, float32(x*scale))
		}
	}
	n := len(sentences)
	return nn.Arrays{
		clip.HeadWeight: {Shape: []int{n, dim}, Values: weight},
		clip.HeadBias:   {Shape: []int{n}, Values: make([]float32, n)},
	}
}

// unit is v divided by its length.
func unit[T float32 | float64](v []T) []float64 {
	sum := 0.0
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	out := make([]float64, len(v))
	for k, x := range v {
		out[k] = float64(x) / math.Sqrt(sum)
	}
	return out
}

// rehead puts a new head on a classifier's image tower.
func (z *ZeroShot) rehead(ctx context.Context, env *stages.Env, backend compute.Backend, a stages.Artifact, classes []datasets.Class, head nn.Arrays) error {
	parameters, _, err := readClassifier(ctx, nil, backend, a, "")
	if err != nil {
		return err
	}
	dir, err := env.OutputDir("")
	if err != nil {
		return err
	}
	if err := writeOwn(dir, imageTower(parameters), head); err != nil {
		return err
	}
	keepShared(env, a, datasets.ClassesFile)
	return writeClasses(env, classes)
}
