// Package sd is Stable Diffusion 1.5 and 2.x (Rombach et al., arXiv 2112.10752) in the layout of diffusers'
// checkpoints: a text encoder, a U-Net and an autoencoder, and the pipeline that makes pictures from texts with
// them.
//
// Within the models pictures are [batch, height, width, channels]; what goes in and out of a Pipeline is in
// torch's order, [batch, channels, height, width].
package sd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"regft/models/checkpoint"
	"regft/models/clip"
	"regft/models/lora"
	"regft/models/nn"
)

// A Pipeline makes pictures with one checkpoint on one backend. Its methods may be called from several
// goroutines at once.
type Pipeline struct {
	Text clip.TextConfig
	UNet UNetConfig
	VAE  VAEConfig

	tokenizer Tokenizer
	scheduler []byte // scheduler_config.json
	encoder   *model
	unet      *model
	decoder   *model
	pictures  *model // the encoder of pictures; nil where Options do not ask for it
	texts     textStates
}

// WeightTypes are the types that weights may be kept in, by their names.
var WeightTypes = map[string]dtypes.DType{"float32": dtypes.Float32, "float16": dtypes.Float16, "bfloat16": dtypes.BFloat16}

// Options say what of a checkpoint is loaded, and how it is changed.
type Options struct {
	DType    dtypes.DType  // that weights are kept in: float32 where not set, or a half type; sums are of float32 in any case
	Pictures bool          // pictures may start from others: Settings.Strength
	LoRA     []lora.Scaled // what is added to the weights of U-Net and text encoder
}

// A Tokenizer gives the ids of a text's first tokens, exactly length of them: longer texts are cut and shorter
// ones padded as the checkpoint's tokenizer does.
type Tokenizer interface {
	Encode(text string, length int) []int32
}

// Open loads the diffusers pipeline in files to a backend. Tensors that are missing, too many
// or of the wrong shape are all listed in a *checkpoint.MismatchError.
func Open(backend compute.Backend, files checkpoint.Files, tokenizer Tokenizer, o Options) (p *Pipeline, err error) {
	p = &Pipeline{tokenizer: tokenizer}
	defer func() {
		if err != nil {
			p, err = nil, errors.Join(err, p.Close())
		}
	}()
	if err := p.readConfigs(files); err != nil {
		return p, err
	}
	side := max(p.UNet.SampleSize, 1<<len(p.UNet.Channels)) // any size will do to see which tensors there are
	in := p.inputs(1, side, side, false)
	l := loader{backend, files, cmp.Or(o.DType, dtypes.Float32), lora.NewMerger(o.LoRA)}
	if p.encoder, err = l.load("text_encoder", p.encode, nil, in.tokens); err != nil {
		return p, err
	}
	if p.unet, err = l.load("unet", p.predict, nil, in.latents, in.scalar, in.scalar, in.text); err != nil {
		return p, err
	}
	if err = l.added.Unused(); err != nil {
		return p, err
	}
	if p.decoder, err = l.load("vae", p.decode, p.reencode, in.latents); err != nil || !o.Pictures {
		return p, err
	}
	p.pictures, err = l.load("vae", p.encodePictures, p.redecode, in.pictures)
	return p, err
}

func (p *Pipeline) readConfigs(files checkpoint.Files) (err error) {
	if p.Text, err = clip.ReadTextConfig(files, "text_encoder/config.json"); err != nil {
		return err
	}
	if p.UNet, err = ReadUNetConfig(files); err != nil {
		return err
	}
	if p.VAE, err = ReadVAEConfig(files); err != nil {
		return err
	}
	path, err := files.Path("scheduler/scheduler_config.json")
	if err != nil {
		return err
	}
	p.scheduler, err = os.ReadFile(path)
	return errors.Join(err, p.fit())
}

// fit checks that the three models belong together.
func (p *Pipeline) fit() error {
	for i, dim := range p.UNet.CrossDim {
		if dim != p.Text.Width {
			return fmt.Errorf("unet/config.json: cross_attention_dim of block %d is %d, the text encoder's hidden_size %d", i, dim, p.Text.Width)
		}
	}
	latents := p.VAE.LatentChannels
	if p.UNet.InChannels != latents || p.UNet.OutChannels != latents {
		return fmt.Errorf("unet/config.json: in_channels %d and out_channels %d are not the latent_channels of the VAE, %d: only text to picture is supported",
			p.UNet.InChannels, p.UNet.OutChannels, latents)
	}
	if p.VAE.OutChannels != 3 {
		return fmt.Errorf("vae/config.json: out_channels is %d, pictures have 3", p.VAE.OutChannels)
	}
	return nil
}

// Close releases the memory of weights and programs. Nothing may be running.
func (p *Pipeline) Close() error {
	var errs []error
	for _, m := range []*model{p.encoder, p.unet, p.decoder, p.pictures} {
		if m != nil {
			errs = append(errs, m.free())
		}
	}
	return errors.Join(errs...)
}

// encode is the text encoder: tokens [batch, positions] → [batch, positions, width].
func (p *Pipeline) encode(params nn.Params, in []*Node) []*Node {
	return []*Node{p.Text.Hidden(params, in[0])}
}

// predict is the U-Net's answer for latents [batch, channels, height, width] at a timestep to the texts' states
// [batch, positions, width]. Given twice as many states, the first half without and the second with what the
// pictures shall show, it is guided (Ho and Salimans, arXiv 2207.12598): how the second answer differs from the
// first is exaggerated, times a scale.
func (p *Pipeline) predict(params nn.Params, in []*Node) []*Node {
	latents, timestep, scale, text := in[0], in[1], in[2], in[3]
	batch := latents.Shape().Dimensions[0]
	guided := text.Shape().Dimensions[0] == 2*batch
	x := ChannelsLast(latents)
	if guided {
		x = Concatenate([]*Node{x, x}, 0)
	}
	x = ChannelsFirst(p.UNet.UNet(params, x, timestep, text, scale))
	if guided {
		without, with := Slice(x, AxisRange(0, batch)), Slice(x, AxisRange(batch))
		x = Add(without, Mul(scale, Sub(with, without)))
	}
	return []*Node{x}
}

// decode turns latents [batch, channels, height, width] into pictures [batch, height, width, 3] from 0 to 255.
func (p *Pipeline) decode(params nn.Params, in []*Node) []*Node {
	x := p.VAE.Decode(params, p.VAE.Unscale(ChannelsLast(in[0])))
	return []*Node{MulScalar(ClipScalar(AddScalar(MulScalar(x, 0.5), 0.5), 0, 1), 255)}
}

// reencode has both halves of the VAE.
func (p *Pipeline) reencode(params nn.Params, in []*Node) []*Node {
	mean, logVariance := p.VAE.Encode(params, p.decode(params, in)[0])
	return []*Node{mean, logVariance}
}

// encodePictures turns pictures [batch, height, width, 3] between -1 and 1 into mean and logarithm of the variance of their
// latents [batch, channels, height, width], as the VAE has them.
func (p *Pipeline) encodePictures(params nn.Params, in []*Node) []*Node {
	mean, logVariance := p.VAE.Encode(params, in[0])
	return []*Node{ChannelsFirst(mean), ChannelsFirst(logVariance)}
}

// redecode has both halves of the VAE.
func (p *Pipeline) redecode(params nn.Params, in []*Node) []*Node {
	mean, _ := p.VAE.Encode(params, in[0])
	return []*Node{p.VAE.Decode(params, mean)}
}

// inputs are the shapes of what goes into the programs for one batch.
type inputs struct{ tokens, latents, scalar, text, pictures shapes.Shape }

func (p *Pipeline) inputs(batch, height, width int, guided bool) inputs {
	texts := batch
	if guided {
		texts *= 2
	}
	factor := p.VAE.Factor()
	return inputs{
		pictures: shapes.Make(dtypes.Float32, batch, factor*height, factor*width, p.VAE.InChannels),

		tokens:  shapes.Make(dtypes.Int32, batch, p.Text.Positions),
		latents: shapes.Make(dtypes.Float32, batch, p.VAE.LatentChannels, height, width),
		scalar:  shapes.Make(dtypes.Float32),
		text:    shapes.Make(dtypes.Float32, texts, p.Text.Positions, p.Text.Width),
	}
}

// model is a component with its weights, and its programs for the shapes that it has met.
type model struct {
	name    string
	builder nn.Builder
	f       nn.Func
	weights nn.Weights

	mu       sync.Mutex
	programs map[string]*nn.Program
}

// A loader loads the components of one checkpoint, with what LoRA adds to them.
type loader struct {
	backend compute.Backend
	files   checkpoint.Files
	dtype   dtypes.DType
	added   *lora.Merger
}

// load loads the component in a folder for f, after checking its tensors against all that whole (f, where nil)
// asks for when given inputs of those shapes.
func (l loader) load(folder string, f, whole nn.Func, in ...shapes.Shape) (*model, error) {
	file, err := checkpoint.Open(l.files, folder)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	m := &model{name: folder, f: f, programs: map[string]*nn.Program{}}
	m.builder = nn.Builder{Backend: l.backend, DType: l.dtype, Have: file.Shapes()}
	used, err := m.builder.Trace(f, in...)
	known := used
	if err == nil && whole != nil {
		known, err = m.builder.Trace(whole, in...)
	}
	if err != nil {
		return nil, fmt.Errorf("%s/config.json: %w", folder, err)
	}
	if err := file.Check(known); err != nil {
		return nil, err
	}
	change, err := l.added.For(folder, file.Shapes())
	if err != nil {
		return nil, err
	}
	m.weights, err = file.LoadChanged(l.backend, l.dtype, change, slices.Sorted(maps.Keys(used))...)
	return m, err
}

// run computes the model's output. Programs are compiled once for each shape of the inputs.
func (m *model) run(ctx context.Context, inputs ...*tensors.Tensor) ([]*tensors.Tensor, error) {
	in := make([]shapes.Shape, len(inputs))
	for i, x := range inputs {
		in[i] = x.Shape()
	}
	program, err := m.program(in)
	if err != nil {
		return nil, err
	}
	return program.Run(ctx, m.weights, inputs...)
}

func (m *model) program(in []shapes.Shape) (*nn.Program, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := fmt.Sprint(in)
	if known, ok := m.programs[key]; ok {
		return known, nil
	}
	program, err := m.builder.Compile(m.name, m.f, in...)
	if err == nil {
		m.programs[key] = program
	}
	return program, err
}

func (m *model) free() error {
	for _, program := range m.programs {
		program.Free()
	}
	return m.weights.Free()
}
