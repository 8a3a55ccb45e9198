package sd_test

import (
	"context"
	"image"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"regft/models/internal/golden"
	"regft/models/lora"
	"regft/models/nn"
	"regft/models/sd"

	. "github.com/gomlx/gomlx/core/graph"
)

// fixed is a picture to start from.
func fixed(im *image.NRGBA) func(context.Context) (*image.NRGBA, error) {
	return func(context.Context) (*image.NRGBA, error) { return im, nil }
}

// TestImageToImage makes the pictures of StableDiffusionImg2ImgPipeline: within 2 of 255.
func TestImageToImage(t *testing.T) {
	dir := golden.Dir(t, "img2img")
	var meta struct {
		Runs []struct {
			run
			Key, Checkpoint, Scheduler string
			Strength                   float64
		}
	}
	golden.JSON(t, dir, &meta)
	g, opened := golden.Open(t, dir), map[string]*sd.Pipeline{}
	for _, r := range meta.Runs {
		if opened[r.Checkpoint] == nil {
			opened[r.Checkpoint] = openPipeline(t, golden.Dir(t, r.Checkpoint), sd.Options{Pictures: true})
		}
		s, pictures := r.settings(r.Scheduler), r.pictures()
		s.Strength = r.Strength
		shape, values := g.Shape(r.Checkpoint+".init"), g.Int64s(r.Checkpoint+".init")
		for i := range pictures {
			im := image.NewNRGBA(image.Rect(0, 0, shape[2], shape[1]))
			for at := range shape[1] * shape[2] {
				for c := range 3 {
					im.Pix[4*at+c] = uint8(values[(i*shape[1]*shape[2]+at)*3+c])
				}
			}
			pictures[i].Init = fixed(im)
		}
		var got []*image.NRGBA
		made := generate(t, opened[r.Checkpoint], s, pictures, sd.Batching{Size: len(pictures), Parallel: 1})
		for i := range pictures {
			got = append(got, made[i])
		}
		comparePictures(t, r.Key, got, g)
	}
}

func TestWrongInit(t *testing.T) {
	dir := golden.Dir(t, "sd15-tiny")
	var r run
	golden.JSON(t, dir, &r)
	p := openPipeline(t, dir, sd.Options{Pictures: true})
	for want, change := range map[string]func(*sd.Settings, *sd.Picture){
		"strength 0.1 of 5 steps is less than one": func(s *sd.Settings, _ *sd.Picture) { s.Strength = 0.1 },
		"strength is 1.5":                          func(s *sd.Settings, _ *sd.Picture) { s.Strength = 1.5 },
		"it has 3×4 pixels, want 32×32":            func(_ *sd.Settings, p *sd.Picture) { p.Init = fixed(image.NewNRGBA(image.Rect(0, 0, 3, 4))) },
		"picture 0 starts from: there is no such":  func(_ *sd.Settings, p *sd.Picture) { p.Init = nil },
		`no random numbers are called "cuda"`:      func(s *sd.Settings, _ *sd.Picture) { s.Noise.Source = "cuda" },
		"want at least 256 threads":                func(s *sd.Settings, _ *sd.Picture) { s.Noise.Source = sd.TorchCUDA },
	} {
		s, picture := r.settings("ddim"), sd.Picture{Prompt: "x", Init: fixed(image.NewNRGBA(image.Rect(0, 0, 32, 32)))}
		s.Strength = 0.6
		change(&s, &picture)
		var got error
		for _, err := range p.Generate(t.Context(), s, []sd.Picture{picture}, sd.Batching{Size: 1, Parallel: 1}) {
			got = err
		}
		if got == nil || !strings.Contains(got.Error(), want) {
			t.Errorf("got %v, want an error with %q", got, want)
		}
	}
	s := r.settings("ddim")
	s.Strength = 0.6
	for _, err := range openPipeline(t, dir, sd.Options{}).Generate(t.Context(), s, r.pictures(), sd.Batching{Size: 1, Parallel: 1}) {
		if err == nil || !strings.Contains(err.Error(), "Options.Pictures") {
			t.Errorf("got %v", err)
		}
	}
}

// TestLoRA: U-Net and text encoder answer as diffusers' after load_lora_weights, in every style of names.
func TestLoRA(t *testing.T) {
	dir := golden.Dir(t, "lora")
	var meta struct {
		Timestep float32
		Cases    []struct {
			Key, Checkpoint, File string
			Scale                 float64
		}
	}
	golden.JSON(t, dir, &meta)
	g := golden.Open(t, dir)
	for _, c := range meta.Cases {
		t.Run(c.Key, func(t *testing.T) {
			adapter, err := lora.Read(open(t, dir), c.File)
			if err != nil {
				t.Fatal(err)
			}
			checkpoint := golden.Dir(t, c.Checkpoint)
			p := openPipeline(t, checkpoint, sd.Options{LoRA: []lora.Scaled{{Adapter: adapter, Scale: c.Scale}}})
			of := golden.Open(t, checkpoint)
			text, unet, err := p.Answers(t.Context(), of.Int64s("input_ids"), tensor(of, "latents"), meta.Timestep)
			if err != nil {
				t.Fatal(err)
			}
			compare(t, c.Key+".text", text, g)
			compare(t, c.Key+".unet", unet, g)
		})
	}
}

// TestNoise: the sources of noise give different pictures, those of CUDA's batches but for the first picture of a set too, and each
// picture the same whatever else is drawn.
func TestNoise(t *testing.T) {
	dir := golden.Dir(t, "sd21v-tiny")
	var r run
	golden.JSON(t, dir, &r)
	p := openPipeline(t, dir, sd.Options{})
	with := func(n sd.Noise, pictures []sd.Picture) map[int]*image.NRGBA {
		s := r.settings("euler_ancestral")
		s.Noise = n
		return generate(t, p, s, pictures, sd.Batching{Size: 2, Parallel: 1})
	}
	batch := sd.Noise{Source: sd.TorchCUDA, Batch: 2, Threads: 2048}
	cpu, philox, cuda := with(sd.Noise{}, five(r)), with(sd.Noise{Source: sd.Philox}, five(r)), with(batch, five(r))
	for i := range cpu {
		if apart(cpu[i], philox[i]) < 10 || apart(cpu[i], cuda[i]) < 10 || i > 0 && apart(philox[i], cuda[i]) < 10 {
			t.Errorf("picture %d: two sources give one picture", i)
		}
	}
	if d := apart(cuda[0], philox[0]); d > 2 {
		t.Errorf("the first picture of a CUDA batch is %d off that of its own generator", d)
	}
	for i, im := range with(batch, five(r)[3:]) {
		if apart(im, cuda[i]) != 0 {
			t.Errorf("picture %d depends on which others are made", i)
		}
	}
}

// TestGuidanceEmbedding: a distilled U-Net is told the guidance scale, as diffusers tells it.
func TestGuidanceEmbedding(t *testing.T) {
	dir := golden.Dir(t, "sd-variant-c")
	g, files := golden.Open(t, dir), open(t, dir)
	c, err := sd.ReadUNetConfig(files)
	if err != nil {
		t.Fatal(err)
	}
	for _, scale := range []string{"1", "8.5"} {
		got := load(t, files, "unet").run(t, func(p nn.Params, in []*Node) []*Node {
			return []*Node{sd.ChannelsFirst(c.UNet(p, sd.ChannelsLast(in[0]), in[1], in[2], in[3]))}
		}, tensor(g, "latents"), tensors.FromScalar(float32(401)), tensor(g, "text_hidden_state"), tensors.FromScalar(map[string]float32{"1": 1, "8.5": 8.5}[scale]))
		compare(t, "unet.guidance."+scale, got[0], g)
	}
}
