package builtin

import (
	"bytes"
	"context"
	"fmt"
	goimage "image"
	"os"
	"path/filepath"

	"regft/compute"
	"regft/datasets"
	"regft/datasets/picture"
	"regft/datasets/pil"
	"regft/models/checkpoint"
	"regft/models/lora"
	"regft/models/sd"
	"regft/stages"
)

// Sources are the checkpoint, the LoRA, the class names, and the sentences of those classes.
func (g *Generate) Sources(context.Context) ([]stages.Source, error) {
	s, err := checkpointSource("checkpoint", string(g.Checkpoint), checkpoint.NeededDiffusion)
	if err != nil {
		return nil, err
	}
	out := []stages.Source{s}
	added, err := g.loraSources()
	if err != nil {
		return nil, err
	}
	out = append(out, added...)
	if g.Prompts != nil {
		return out, nil
	}
	v, err := readVocabulary(g.Classes, g.Styles, g.Dataset)
	if err != nil {
		return nil, err
	}
	out = append(out, v.source(count(g.Prompt != "", g.Templates != nil, g.Sentences != "") == 0))
	if g.Sentences != "" {
		texts, err := g.texts(v)
		if err != nil {
			return nil, err
		}
		out = append(out, stages.Source{Param: "sentences", Value: texts})
	}
	return out, nil
}

// Run draws the pictures that earlier runs did not leave, and lists them all.
func (g *Generate) Run(ctx context.Context, env *stages.Env) error {
	set, err := g.plan()
	if err != nil {
		return err
	}
	// Partial work is kept: the same pictures belong to sets of other sizes.
	dir, err := env.Host.Partial(true)
	if err != nil {
		return err
	}
	if err := g.draw(ctx, env, set, dir); err != nil {
		return err
	}
	env.Host.Numerics(compute.Numerics("")) // where nothing was left to draw, too
	for i := range set.images {
		f, err := env.Host.Put(ctx, partialPicture(dir, i))
		if err != nil {
			return err
		}
		f.Name = "picture.png"
		set.images[i].blob = f
	}
	env.Host.Metric("images", float64(len(set.images)))
	return set.write(env, "", uint64(g.Seed))
}

// plan lists the pictures to be: class by class in turn, i = round · classes + class; or one for each prompt.
func (g *Generate) plan() (*imageSet, error) {
	set := &imageSet{}
	for i, prompt := range g.Prompts {
		set.images = append(set.images, g.image(i, datasets.Row{Label: datasets.Unlabelled}, prompt, i))
	}
	if g.Prompts != nil {
		return set, nil
	}
	v, err := readVocabulary(g.Classes, g.Styles, g.Dataset)
	if err != nil {
		return nil, err
	}
	texts, err := g.texts(v)
	if err != nil {
		return nil, err
	}
	set.classes = v.Classes
	for i := range g.ImagesPerClass * len(v.Classes) {
		label, round := i%len(v.Classes), i/len(v.Classes)
		row := datasets.Row{Label: label, Class: v.Classes[label].Name}
		id := round % len(texts[label])
		set.images = append(set.images, g.image(i, row, texts[label][id], id))
	}
	return set, nil
}

// image is picture i before it is drawn. Its seed is that of the generator of its noise.
func (g *Generate) image(i int, row datasets.Row, prompt string, id int) image {
	seed := uint64(g.Seed)
	if g.RNG != sd.TorchCUDA {
		seed += uint64(i)
	}
	row.Origin = "generate"
	row.Generation = &datasets.Generation{Prompt: prompt, PromptID: id, Seed: seed}
	return image{Row: row}
}

func partialPicture(dir string, i int) string { return filepath.Join(dir, fmt.Sprintf("%06d.png", i)) }

// draw makes the pictures that dir lacks.
func (g *Generate) draw(ctx context.Context, env *stages.Env, set *imageSet, dir string) error {
	missing, err := g.missing(ctx, env, set, dir)
	if err != nil {
		return err
	}
	done := len(set.images) - len(missing)
	env.Host.Progress(done, len(set.images), "pictures")
	env.Log.Info().Int("pictures", len(missing)).Int("there_already", done).Int("steps", g.Steps).Str("scheduler", g.Scheduler).
		Uint64("seed", uint64(g.Seed)).Str("first_prompt", set.images[0].Prompt).Msg("drawing")
	if len(missing) == 0 {
		return nil
	}
	pipeline, err := g.open(ctx, env)
	if err != nil {
		return err
	}
	if err := g.setInit(ctx, pipeline, set, missing); err != nil {
		return fmt.Errorf("init: %w", err)
	}
	text, err := g.describer(pipeline, env)
	if err != nil {
		return err
	}
	for im, err := range pipeline.Generate(ctx, g.settings(), missing, sd.Batching{Size: g.BatchSize, Parallel: env.Cores}) {
		if err != nil {
			return err
		}
		if err := g.save(im.Pixels, text(set.images[im.Index]), partialPicture(dir, im.Index)); err != nil {
			return fmt.Errorf("saving picture %d: %w", im.Index, err)
		}
		done++
		env.Host.Progress(done, len(set.images), "pictures")
	}
	return nil
}

// missing lists the pictures of set that dir lacks, or has no longer as they were written.
func (g *Generate) missing(ctx context.Context, env *stages.Env, set *imageSet, dir string) ([]sd.Picture, error) {
	var missing []sd.Picture
	for i, p := range set.images {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		content, err := os.ReadFile(partialPicture(dir, i))
		if err == nil && picture.IsWholePNG(content) {
			continue
		}
		if err == nil {
			env.Log.Warn().Str("file", partialPicture(dir, i)).Msg("a picture that an earlier run left is damaged: it is drawn again")
		}
		missing = append(missing, sd.Picture{Index: i, Prompt: p.Prompt})
	}
	return missing, nil
}

// open opens the checkpoint, once in a run for all stages that draw with it. Nobody closes it: what the run no longer
// shares is garbage.
func (g *Generate) open(ctx context.Context, env *stages.Env) (*sd.Pipeline, error) {
	a, err := env.Source("checkpoint")
	if err != nil {
		return nil, err
	}
	backend, err := backendOf(env)
	if err != nil {
		return nil, err
	}
	name := fmt.Sprintf("diffusion %s %s %v", a.Digest, g.DType, g.Init != nil)
	added, err := g.adapters(env)
	if err != nil {
		return nil, err
	}
	for i, a := range added {
		name += fmt.Sprintf(" %s %g", a.Digest, g.LoRAScale.of(i))
	}
	v, err := env.Shared.Get(ctx, name, func(ctx context.Context) (any, int64, error) {
		tok, err := openTokenizer(filesOf(ctx, a, "tokenizer/"))
		if err != nil {
			return nil, 0, err
		}
		options, err := g.options(ctx, env)
		if err != nil {
			return nil, 0, err
		}
		p, err := sd.Open(backend, filesOf(ctx, a, ""), tok, options)
		return p, a.Manifest.Size(), err
	})
	if err != nil {
		return nil, fmt.Errorf("checkpoint %s: %w", g.Checkpoint, err)
	}
	return v.(*sd.Pipeline), nil
}

// options are what of the checkpoint is loaded, and the LoRA that is added to it.
func (g *Generate) options(ctx context.Context, env *stages.Env) (sd.Options, error) {
	o := sd.Options{DType: sd.WeightTypes[g.DType], Pictures: g.Init != nil}
	added, err := g.adapters(env)
	if err != nil {
		return o, err
	}
	for i, a := range added {
		weights, err := lora.WeightsOf(namesOf(a))
		if err != nil {
			return o, fmt.Errorf("lora: %w", err)
		}
		adapter, err := lora.Read(filesOf(ctx, a, ""), weights)
		if err != nil {
			return o, err
		}
		o.LoRA = append(o.LoRA, lora.Scaled{Adapter: adapter, Scale: g.LoRAScale.of(i)})
	}
	return o, nil
}

func (g *Generate) settings() sd.Settings {
	s := sd.Settings{Seed: uint64(g.Seed), Steps: g.Steps, Scheduler: g.Scheduler, GuidanceScale: g.GuidanceScale, NegativePrompt: g.NegativePrompt,
		Noise: sd.Noise{Source: g.RNG, Batch: g.RNGBatch, Threads: g.RNGThreads}}
	if g.Init != nil {
		s.Strength = defaultStrength
		if g.Strength != nil {
			s.Strength = *g.Strength
		}
	}
	if g.Width != nil {
		s.Width = *g.Width
	}
	if g.Height != nil {
		s.Height = *g.Height
	}
	return s
}

// save writes a picture whole or not at all: a run killed here draws it again.
func (g *Generate) save(pixels *goimage.NRGBA, parameters, path string) error {
	im := pil.New(pixels.Rect.Dx(), pixels.Rect.Dy())
	for y := range im.Height {
		row := im.Row(y)
		for x := range im.Width {
			copy(row[3*x:3*x+3], pixels.Pix[pixels.PixOffset(x, y):])
		}
	}
	if g.Size != nil {
		var err error
		if im, err = im.Resize(shorterEdge(im.Width, im.Height, *g.Size), shorterEdge(im.Height, im.Width, *g.Size), pil.Bicubic); err != nil {
			return err
		}
	}
	var b bytes.Buffer
	if err := picture.EncodePNG(&b, im, picture.Text{Keyword: "parameters", Text: parameters}); err != nil {
		return err
	}
	return replaceFile(path, b.Bytes())
}

// shorterEdge is the new length of an edge where the shorter of both becomes size.
func shorterEdge(edge, other, size int) int {
	if edge <= other {
		return size
	}
	return size * edge / other
}

// backendOf is the backend that all stages of a run share.
func backendOf(env *stages.Env) (compute.Backend, error) {
	v, err := env.Shared.Get(context.Background(), "backend", func(context.Context) (any, int64, error) {
		b, err := compute.New("")
		return b, 0, err
	})
	if err != nil {
		return nil, err
	}
	env.Host.Numerics(compute.Numerics(""))
	return v.(compute.Backend), nil
}
