package sd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"iter"

	"github.com/gomlx/gomlx/core/tensors"

	"regft/models/schedulers"
)

// Settings are what all pictures of one set have in common.
type Settings struct {
	Seed           uint64 // picture i starts from the noise of its own generator, seeded Seed + i
	Steps          int
	Scheduler      string  // a name that schedulers.FromConfig knows; the checkpoint's own where empty
	GuidanceScale  float64 // up to 1 the model answers to the prompt alone, at half the cost
	NegativePrompt string  // what the exaggerated answer differs from
	Width, Height  int     // in pixels; the checkpoint's own where 0
	Strength       float64 // up to 1, the share of the steps that is taken, from each picture's Init on; 0 starts from noise alone
	Noise          Noise   // whose random numbers; PyTorch's on the CPU where empty
}

// A Picture is one to be made.
type Picture struct {
	Index  int // which of the set, from 0
	Prompt string
	Init   func(ctx context.Context) (*image.NRGBA, error) // loads what it starts from, of the settings' size, with Strength
}

// guided tells whether both answers are needed, as diffusers decides it. Distilled models are told the scale instead.
func (p *Pipeline) guided(s Settings) bool { return s.GuidanceScale > 1 && p.UNet.GuidanceDim == 0 }

// first is the first call of the U-Net that is made, as StableDiffusionImg2ImgPipeline counts.
func (s Settings) first() (int, error) {
	if s.Strength == 0 {
		return 0, nil
	}
	taken := min(int(float64(s.Steps)*s.Strength), s.Steps)
	if taken < 1 {
		return 0, fmt.Errorf("strength %g of %d steps is less than one: want at least %g", s.Strength, s.Steps, 1/float64(s.Steps))
	}
	return s.Steps - taken, nil
}

// check fills in the checkpoint's own size, and reports what no pipeline can do.
func (s Settings) check(p *Pipeline) (Settings, error) {
	factor := p.VAE.Factor()
	s.Width, s.Height = p.Size(s)
	for _, side := range []struct {
		name string
		size int
	}{{"width", s.Width}, {"height", s.Height}} {
		if side.size < factor || side.size%factor != 0 {
			return s, fmt.Errorf("%s is %d: this checkpoint makes multiples of %d pixels", side.name, side.size, factor)
		}
	}
	if s.Strength < 0 || s.Strength > 1 {
		return s, fmt.Errorf("strength is %g: want above 0, up to 1", s.Strength)
	}
	if s.Strength > 0 && p.pictures == nil {
		return s, errors.New("strength needs a pipeline that was opened with Options.Pictures")
	}
	_, err := schedulers.FromConfig(p.scheduler, s.Scheduler, s.Steps)
	return s, err
}

// Size is that of the pictures made with s.
func (p *Pipeline) Size(s Settings) (width, height int) {
	own := p.UNet.SampleSize * p.VAE.Factor()
	width, height = s.Width, s.Height
	if width == 0 {
		width = own
	}
	if height == 0 {
		height = own
	}
	return width, height
}

// SchedulerName is that of the scheduler that s names, or the class of the checkpoint's own.
func (p *Pipeline) SchedulerName(s Settings) string {
	if s.Scheduler != "" {
		return s.Scheduler
	}
	var config struct {
		Class string `json:"_class_name"`
	}
	_ = json.Unmarshal(p.scheduler, &config) // whoever samples with it reports what is wrong
	return config.Class
}

// Latents are the pictures of a batch on their way from noise to data.
type Latents struct {
	Step   int       // how many calls of the U-Net they have seen
	Steps  int       // of how many
	Values []float32 // [batch, channels, height, width] in units of the U-Net
	Height int       // of the latents
	Width  int
}

// Steps makes a batch of pictures step by step: the noise first, then what each call of the U-Net left of it. The
// values are reused from one step to the next.
func (p *Pipeline) Steps(ctx context.Context, s Settings, batch []Picture) iter.Seq2[Latents, error] {
	return func(yield func(Latents, error) bool) {
		if err := p.steps(ctx, s, batch, func(l Latents) bool { return yield(l, nil) }); err != nil {
			yield(Latents{}, err)
		}
	}
}

func (p *Pipeline) steps(ctx context.Context, s Settings, batch []Picture, yield func(Latents) bool) error {
	s, err := s.check(p)
	if err != nil {
		return err
	}
	d, err := p.start(ctx, s, batch)
	if err != nil {
		return err
	}
	text, err := p.states(ctx, s, batch)
	if err != nil {
		return err
	}
	defer text.FinalizeAll()
	scale := tensors.FromScalar(float32(s.GuidanceScale))
	for i := d.first; i < len(d.timesteps); i++ {
		if !yield(d.latents) {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		out, err := p.unet.run(ctx, d.input(i), tensors.FromScalar(float32(d.timesteps[i])), scale, text)
		if err != nil {
			return err
		}
		if err := d.step(i, out[0]); err != nil {
			return err
		}
	}
	yield(d.latents)
	return nil
}

// denoising is a batch between two steps: each picture with a scheduler and a generator of its own.
type denoising struct {
	latents    Latents
	channels   int
	timesteps  []float64
	first      int // the first call
	schedulers []schedulers.Scheduler
	generators []generator
}

// start draws each picture's noise, and adds it to what the picture starts from.
func (p *Pipeline) start(ctx context.Context, s Settings, batch []Picture) (d *denoising, err error) {
	factor := p.VAE.Factor()
	d = &denoising{channels: p.VAE.LatentChannels}
	if d.first, err = s.first(); err != nil {
		return nil, err
	}
	d.latents = Latents{Height: s.Height / factor, Width: s.Width / factor}
	size := d.channels * d.latents.Height * d.latents.Width
	d.latents.Values = make([]float32, len(batch)*size)
	for i, picture := range batch {
		scheduler, err := schedulers.FromConfig(p.scheduler, s.Scheduler, s.Steps)
		if err != nil {
			return nil, err
		}
		generator, err := p.generator(s, picture, size)
		if err != nil {
			return nil, err
		}
		x := d.latents.Values[i*size : (i+1)*size]
		if err := p.begin(ctx, s, picture, scheduler, generator, x); err != nil {
			return nil, err
		}
		d.timesteps = scheduler.Timesteps()
		d.schedulers, d.generators = append(d.schedulers, scheduler), append(d.generators, generator)
	}
	d.latents.Steps = len(d.timesteps) - d.first
	return d, nil
}

// begin fills x with what a picture starts from: noise or, with Strength, its Init under noise.
func (p *Pipeline) begin(ctx context.Context, s Settings, picture Picture, scheduler schedulers.Scheduler, g generator, x []float32) error {
	if s.Strength == 0 {
		g.Randn(x)
		for k := range x {
			x[k] *= float32(scheduler.InitNoiseSigma())
		}
		return nil
	}
	first, err := s.first()
	if err != nil {
		return err
	}
	if err := scheduler.Start(first); err != nil {
		return err
	}
	data, err := p.latentsOf(ctx, s, picture, g)
	if err != nil {
		return fmt.Errorf("what picture %d starts from: %w", picture.Index, err)
	}
	noise := make([]float32, len(x))
	g.Randn(noise)
	copy(x, scheduler.AddNoise(data, noise, first))
	return nil
}

// picture is the part of values that belongs to picture i.
func (d *denoising) picture(values []float32, i int) []float32 {
	size := len(values) / len(d.schedulers)
	return values[i*size : (i+1)*size]
}

// input is what the U-Net sees at call i.
func (d *denoising) input(i int) *tensors.Tensor {
	values := make([]float32, len(d.latents.Values))
	for k, scheduler := range d.schedulers {
		copy(d.picture(values, k), scheduler.ScaleInput(d.picture(d.latents.Values, k), i))
	}
	return tensors.FromFlatDataAndDimensions(values, len(d.schedulers), d.channels, d.latents.Height, d.latents.Width)
}

// step takes the U-Net's answer to call i.
func (d *denoising) step(i int, answer *tensors.Tensor) error {
	defer answer.FinalizeAll()
	err := tensors.ConstFlatData(answer, func(values []float32) {
		for k, scheduler := range d.schedulers {
			x := d.picture(d.latents.Values, k)
			copy(x, scheduler.Step(d.picture(values, k), i, x, d.generators[k].Randn))
		}
	})
	d.latents.Step = i + 1 - d.first
	return err
}
