package sd_test

import (
	"context"
	"errors"
	"image"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"regft/models/internal/golden"
	"regft/models/sd"
	"regft/models/tokenizer"
)

// run is golden.json of a pipeline.
type run struct {
	Prompts    []string `json:"prompts"`
	Negative   string   `json:"negative_prompt"`
	Guidance   float64  `json:"guidance_scale"`
	Steps      int      `json:"steps"`
	Schedulers []string `json:"run_schedulers"`
	Seed       uint64   `json:"seed"`
}

func (r run) settings(scheduler string) sd.Settings {
	return sd.Settings{Seed: r.Seed, Steps: r.Steps, Scheduler: scheduler, GuidanceScale: r.Guidance, NegativePrompt: r.Negative}
}

func (r run) pictures() []sd.Picture {
	var all []sd.Picture
	for i, prompt := range r.Prompts {
		all = append(all, sd.Picture{Index: i, Prompt: prompt})
	}
	return all
}

// tokens is a checkpoint's tokenizer at any length.
type tokens struct{ *tokenizer.Tokenizer }

func (t tokens) Encode(text string, length int) []int32 {
	cut := *t.Tokenizer
	cut.Length = length
	return cut.Encode(text)
}

func openPipeline(t testing.TB, dir string, o sd.Options) *sd.Pipeline {
	t.Helper()
	tok, err := tokenizer.Load(os.DirFS(filepath.Join(dir, "tokenizer")))
	if err != nil {
		t.Fatal(err)
	}
	p, err := sd.Open(backend(t), open(t, dir), tokens{tok}, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// TestGuidedRuns makes the goldens' pictures from their prompts, with every scheduler: within 2 of 255.
func TestGuidedRuns(t *testing.T) {
	goldens(t, "model_index.json", func(t *testing.T, dir string) {
		var r run
		golden.JSON(t, dir, &r)
		g, p := golden.Open(t, dir), openPipeline(t, dir, sd.Options{})
		for _, scheduler := range r.Schedulers {
			var got []*image.NRGBA
			for im, err := range p.Generate(context.Background(), r.settings(scheduler), r.pictures(), sd.Batching{Size: len(r.Prompts), Parallel: 1}) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, im.Pixels)
			}
			comparePictures(t, "run."+scheduler+".image", got, g)
		}
	})
}

// comparePictures compares with NCHW bytes.
func comparePictures(t *testing.T, name string, got []*image.NRGBA, g golden.Tensors) {
	t.Helper()
	shape, want := g.Shape(name), g.Int64s(name)
	if len(got) != shape[0] {
		t.Fatalf("%s: %d pictures, want %d", name, len(got), shape[0])
	}
	worst, differ := 0, 0
	for i, im := range got {
		if size := im.Bounds().Size(); size.X != shape[3] || size.Y != shape[2] {
			t.Fatalf("%s: %v pixels, want %v", name, size, shape)
		}
		for at := range im.Pix {
			c, pixel := at%4, at/4
			if c == 3 {
				continue
			}
			d := int(im.Pix[at]) - int(want[(i*3+c)*len(im.Pix)/4+pixel])
			worst = max(worst, d, -d)
			if d != 0 {
				differ++
			}
		}
	}
	t.Logf("%s: %d values differ, by at most %d of 255", name, differ, worst)
	if worst > 2 {
		t.Errorf("%s is off by %d of 255", name, worst)
	}
}

func generate(t *testing.T, p *sd.Pipeline, s sd.Settings, pictures []sd.Picture, b sd.Batching) map[int]*image.NRGBA {
	t.Helper()
	got, last := map[int]*image.NRGBA{}, -1
	for im, err := range p.Generate(t.Context(), s, pictures, b) {
		if err != nil {
			t.Fatal(err)
		}
		if im.Index <= last {
			t.Errorf("picture %d after picture %d", im.Index, last)
		}
		got[im.Index], last = im.Pixels, im.Index
	}
	if len(got) != len(pictures) {
		t.Errorf("%d pictures, want %d", len(got), len(pictures))
	}
	return got
}

// apart is the largest difference of two pictures' values.
func apart(a, b *image.NRGBA) int {
	worst := 0
	for i := range a.Pix {
		d := int(a.Pix[i]) - int(b.Pix[i])
		worst = max(worst, d, -d)
	}
	return worst
}

// five are pictures of the golden's prompts in turn, two of the others'.
func five(r run) []sd.Picture {
	var pictures []sd.Picture
	for i := range 5 {
		pictures = append(pictures, sd.Picture{Index: i, Prompt: r.Prompts[i%len(r.Prompts)]})
	}
	return pictures
}

// TestBatching: with another size of batches pictures stay the same but for rounding; whatever else is made, or
// made at the same time, they stay the same bit for bit.
func TestBatching(t *testing.T) {
	dir := golden.Dir(t, "sd21v-tiny")
	var r run
	golden.JSON(t, dir, &r)
	p, s := openPipeline(t, dir, sd.Options{}), r.settings("euler_ancestral")
	want := generate(t, p, s, five(r), sd.Batching{Size: 2, Parallel: 1})
	if apart(want[0], want[2]) < 10 {
		t.Error("pictures of one prompt with different seeds are alike")
	}
	for i, im := range generate(t, p, s, five(r), sd.Batching{Size: 2, Parallel: 3}) {
		if apart(im, want[i]) != 0 {
			t.Errorf("picture %d depends on how many batches run at once", i)
		}
	}
	for i, im := range generate(t, p, s, append(five(r)[1:2], five(r)[4]), sd.Batching{Size: 2, Parallel: 1}) {
		if apart(im, want[i]) != 0 {
			t.Errorf("picture %d depends on which others are made", i)
		}
	}
	for _, size := range []int{1, 3} {
		for i, im := range generate(t, p, s, five(r), sd.Batching{Size: size, Parallel: 2}) {
			if d := apart(im, want[i]); d > 2 {
				t.Errorf("picture %d in batches of %d is off by %d of 255", i, size, d)
			}
		}
	}
}

// TestGuidance: up to a scale of 1 the negative prompt does not matter, and just above 1 the pictures are nearly
// the same although both answers are asked for.
func TestGuidance(t *testing.T) {
	dir := golden.Dir(t, "sd21v-tiny")
	var r run
	golden.JSON(t, dir, &r)
	p, s := openPipeline(t, dir, sd.Options{}), r.settings("ddim")
	with := func(scale float64, negative string) *image.NRGBA {
		s.GuidanceScale, s.NegativePrompt = scale, negative
		return generate(t, p, s, five(r)[:1], sd.Batching{Size: 1, Parallel: 1})[0]
	}
	alone := with(1, "")
	if d := apart(with(0.5, r.Prompts[1]), alone); d != 0 {
		t.Errorf("unguided pictures are %d apart", d)
	}
	if d := apart(with(1.000001, r.Prompts[1]), alone); d > 2 {
		t.Errorf("a guidance scale just above 1 is %d off", d)
	}
	if apart(with(r.Guidance, ""), with(r.Guidance, r.Prompts[1])) < 2 {
		t.Error("the negative prompt changes nothing")
	}
}

// TestSteps: a batch can be watched from the noise to the golden's latents.
func TestSteps(t *testing.T) {
	goldens(t, "model_index.json", func(t *testing.T, dir string) {
		var r run
		golden.JSON(t, dir, &r)
		g, p := golden.Open(t, dir), openPipeline(t, dir, sd.Options{})
		scheduler, next := r.Schedulers[0], 0
		var last sd.Latents
		for latents, err := range p.Steps(t.Context(), r.settings(scheduler), r.pictures()) {
			if err != nil {
				t.Fatal(err)
			}
			if latents.Step != next {
				t.Errorf("step %d, want %d", latents.Step, next)
			}
			next, last = next+1, latents
		}
		if last.Step != last.Steps || last.Steps < r.Steps {
			t.Errorf("ended at step %d of %d", last.Step, last.Steps)
		}
		want := g.Float32s("run." + scheduler + ".latents")
		worst, largest := 0.0, 0.0
		for i, w := range want {
			worst, largest = max(worst, math.Abs(float64(w-last.Values[i]))), max(largest, math.Abs(float64(w)))
		}
		if worst > 1e-3*largest {
			t.Errorf("latents are off by %g, the largest is %g", worst, largest)
		}
	})
}

func TestSizes(t *testing.T) {
	dir := golden.Dir(t, "sd15-tiny")
	var r run
	golden.JSON(t, dir, &r)
	p, s := openPipeline(t, dir, sd.Options{}), r.settings("ddim")
	factor := p.VAE.Factor()
	s.Width, s.Height = 5*factor, 8*factor
	im := generate(t, p, s, five(r)[:1], sd.Batching{Size: 1, Parallel: 1})[0]
	if size := im.Bounds().Size(); size.X != s.Width || size.Y != s.Height {
		t.Errorf("got %v, want %d×%d", size, s.Width, s.Height)
	}
}

func TestWrongSettings(t *testing.T) {
	dir := golden.Dir(t, "sd15-tiny")
	var r run
	golden.JSON(t, dir, &r)
	p := openPipeline(t, dir, sd.Options{})
	for want, change := range map[string]func(*sd.Settings, *sd.Batching, []sd.Picture){
		"height is 30: this checkpoint makes multiples of 4 pixels": func(s *sd.Settings, _ *sd.Batching, _ []sd.Picture) { s.Height = 30 },
		"width is -4":                            func(s *sd.Settings, _ *sd.Batching, _ []sd.Picture) { s.Width = -4 },
		"steps must be at least 1":               func(s *sd.Settings, _ *sd.Batching, _ []sd.Picture) { s.Steps = 0 },
		`scheduler "eular" is unknown`:           func(s *sd.Settings, _ *sd.Batching, _ []sd.Picture) { s.Scheduler = "eular" },
		"both must be at least 1":                func(_ *sd.Settings, b *sd.Batching, _ []sd.Picture) { b.Size = 0 },
		"indices must ascend from 0":             func(_ *sd.Settings, _ *sd.Batching, p []sd.Picture) { p[1].Index = 0 },
		"picture 0 has index -1: indices must a": func(_ *sd.Settings, _ *sd.Batching, p []sd.Picture) { p[0].Index = -1 },
	} {
		s, b, pictures := r.settings("ddim"), sd.Batching{Size: 1, Parallel: 1}, five(r)
		change(&s, &b, pictures)
		var got error
		for _, err := range p.Generate(t.Context(), s, pictures, b) {
			got = err
		}
		if got == nil || !strings.Contains(got.Error(), want) {
			t.Errorf("got %v, want an error with %q", got, want)
		}
	}
}

// TestInterrupted: what was begun ends with the context, or with the loop over it.
func TestInterrupted(t *testing.T) {
	dir := golden.Dir(t, "sd15-tiny")
	var r run
	golden.JSON(t, dir, &r)
	p, s := openPipeline(t, dir, sd.Options{}), r.settings("ddim")
	s.Steps = 500
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for latents, err := range p.Steps(ctx, s, r.pictures()) {
		if latents.Step == 2 {
			cancel()
		}
		if latents.Step > 2 {
			t.Fatal("a step after the context was done")
		}
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	for _, err := range p.Generate(ctx, s, r.pictures(), sd.Batching{Size: 1, Parallel: 2}) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want %v", err, context.Canceled)
		}
	}
	s.Steps = 1
	for im := range p.Generate(t.Context(), s, five(r), sd.Batching{Size: 1, Parallel: 2}) {
		if im.Index == 1 {
			break
		}
	}
}
