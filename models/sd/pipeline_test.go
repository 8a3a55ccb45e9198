package sd_test

import (
	"context"
	"encoding/json"
	"image"
	"os"
	"path/filepath"
	"testing"

	"regft/models/internal/golden"
	"regft/models/sd"
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

type fake map[string][]int32

func (f fake) Encode(text string, _ int) []int32 { return f[text] }

func openPipeline(t testing.TB, dir string) *sd.Pipeline {
	t.Helper()
	var r run
	golden.JSON(t, dir, &r)
	g := golden.Open(t, dir)
	f := fake{}
	ids := g.Int64s("input_ids")
	n := len(ids) / len(r.Prompts)
	vocab := map[string]int32{}
	var special map[string]string
	for file, v := range map[string]any{"vocab.json": &vocab, "special_tokens_map.json": &special} {
		b, _ := os.ReadFile(filepath.Join(dir, "tokenizer", file))
		json.Unmarshal(b, v)
	}
	for i, prompt := range append(r.Prompts, "") {
		row := make([]int32, n)
		for k := range row {
			if i < len(r.Prompts) {
				row[k] = int32(ids[i*n+k])
			} else {
				row[k] = vocab[special["pad_token"]]
			}
		}
		if prompt == "" {
			row[0], row[1] = vocab["<|startoftext|>"], vocab["<|endoftext|>"]
		}
		f[prompt] = row
	}
	p, err := sd.Open(backend(t), open(t, dir), f)
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
		g, p := golden.Open(t, dir), openPipeline(t, dir)
		for _, scheduler := range r.Schedulers {
			var got []*image.NRGBA
			for im, err := range p.Generate(context.Background(), r.settings(scheduler), r.pictures(), sd.Batching{Size: 3, Parallel: 1}) {
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
