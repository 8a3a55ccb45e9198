package builtin

import (
	"errors"
	"fmt"

	"regft/stages"

	"gopkg.in/yaml.v3"
)

var _ = stages.Register[FineTune](stages.Type{
	Name: "finetune", Version: 1, Out: stages.Classifier,
	Doc: "Fine-tunes a classifier end to end on pictures with variance-covariance regularisation (RegFT, arXiv 2406.05432).",
})

// FineTune trains the image tower and head of a classifier with AdamW.
type FineTune struct {
	Classifier      stages.Input  `yaml:"classifier" in:"classifier" doc:"where training starts"`
	Data            stages.Input  `yaml:"data" in:"images" doc:"the training pictures"`
	Epochs          int           `yaml:"epochs" default:"10" min:"1" doc:"passes over the data"`
	BatchSize       int           `yaml:"batch_size" default:"128" min:"1" unit:"pictures" doc:"of a step"`
	LearningRate    float64       `yaml:"learning_rate" default:"1e-5" min:"0" doc:"the largest; the published code's default of 1e-3 destroys CLIP"`
	WeightDecay     float64       `yaml:"weight_decay" default:"0.1" min:"0" doc:"of AdamW (arXiv 1711.05101)"`
	WarmupSteps     int           `yaml:"warmup_steps" default:"500" min:"0" unit:"steps" doc:"linear rise of the learning rate"`
	Schedule        string        `yaml:"schedule" default:"cosine" enum:"cosine,constant" doc:"the learning rate after warm-up"`
	LabelSmoothing  float64       `yaml:"label_smoothing" default:"0" min:"0" max:"1" doc:"of the cross-entropy"`
	LambdaCE        float64       `yaml:"lambda_ce" default:"1" min:"0" doc:"weight of the cross-entropy"`
	VCReg           VCReg         `yaml:"vc_reg" default:"{variance: 0.16, covariance: 0.02}" doc:"weights of the variance-covariance regulariser"`
	ClipGradNorm    float64       `yaml:"clip_grad_norm" default:"1.0" min:"0" doc:"largest global norm of the gradient; 0 switches clipping off"`
	Augment         string        `yaml:"augment" default:"random_resized_crop" enum:"random_resized_crop,tip_adapter,none" doc:"by (seed, epoch, sample) alone: crops of 0.9 to 1 of the area, as published; crops of 0.5 to 1, and half of them mirrored, as Tip-Adapter"`
	Shuffle         bool          `yaml:"shuffle" default:"true" doc:"every epoch, as torch.randperm; false takes the data's order"`
	Train           string        `yaml:"train" default:"all" enum:"all,head,encoder,lora" doc:"which parameters move"`
	LoRA            *LoRA         `yaml:"lora" doc:"of train: lora, which trains low-rank updates of linear layers of the image tower; the head stays"`
	Groups          []Group       `yaml:"groups" optional:"true" doc:"a list of {match, learning_rate, weight_decay}: parameters, by patterns of their names such as head.* and *.bias, with hyper-parameters of their own; the first group that matches counts"`
	LayerDecay      *float64      `yaml:"layer_decay" min:"0" max:"1" doc:"learning rate of a layer of the image tower over that of the layer above it (arXiv 2106.08254)"`
	EMA             *float64      `yaml:"ema" min:"0" max:"1" doc:"the result is the moving average of the weights, of which every step keeps this much"`
	L2SP            *float64      `yaml:"l2_sp" min:"0" doc:"weight of half the squared distance from the start's weights (L2-SP, arXiv 1802.01483); set weight_decay to 0 beside it"`
	Distill         *float64      `yaml:"distill" min:"0" doc:"weight of the mean squared distance of a picture's features, before they are normalised, from those that the start gives it (arXiv 2308.13320)"`
	MicroBatch      *int          `yaml:"micro_batch" min:"1" unit:"pictures" doc:"go through the image tower at once; gradients are accumulated to those of the whole batch, vc_reg included, for one forward pass more (arXiv 2101.06983)"`
	CheckpointEvery int           `yaml:"checkpoint_every" default:"100" min:"1" unit:"steps" key:"-" doc:"a killed stage goes on from the last one, bit for bit"`
	Validation      *stages.Input `yaml:"validate" in:"images" doc:"accuracy on these after every epoch"`
	Seed            stages.Seed   `yaml:"seed" doc:"of shuffling, augmentation and where train: lora starts; the spec's where left out"`
}

// VCReg weighs the two parts of the regulariser.
type VCReg struct {
	Variance   float64 `yaml:"variance" default:"0.16" min:"0" doc:"of the hinge that keeps each feature's deviation at 1"`
	Covariance float64 `yaml:"covariance" default:"0.02" min:"0" doc:"of the squared covariances between features"`
}

// LoRA is the form of low-rank updates (arXiv 2106.09685).
type LoRA struct {
	Rank    int      `yaml:"rank" default:"4" min:"1" doc:"of the updates"`
	Alpha   float64  `yaml:"alpha" default:"4" min:"0" doc:"scale is alpha / rank"`
	Targets []string `yaml:"targets" default:"[q_proj, v_proj]" doc:"layers that get one, by the ends of their names, as peft's target_modules"`
}

// defaultLoRA is that of train: lora alone.
var defaultLoRA = LoRA{Rank: 4, Alpha: 4, Targets: []string{"q_proj", "v_proj"}}

// Group is parameters with a learning rate or weight decay of their own.
type Group struct {
	Match        []string
	LearningRate *float64
	WeightDecay  *float64
}

// TypeName is what errors call it.
func (Group) TypeName() string { return "{match, learning_rate, weight_decay}" }

// KeyValue is its form in a key.
func (g Group) KeyValue() any {
	m := map[string]any{"match": g.Match}
	if g.LearningRate != nil {
		m["learning_rate"] = *g.LearningRate
	}
	if g.WeightDecay != nil {
		m["weight_decay"] = *g.WeightDecay
	}
	return m
}

// UnmarshalYAML reads a group; match is a pattern, or a list of them.
func (g *Group) UnmarshalYAML(n *yaml.Node) error {
	var m struct {
		Match        yaml.Node
		LearningRate *float64 `yaml:"learning_rate"`
		WeightDecay  *float64 `yaml:"weight_decay"`
	}
	if err := strict(n, &m, "match", "learning_rate", "weight_decay"); err != nil {
		return err
	}
	match, err := texts(&m.Match)
	if err != nil || len(match) == 0 {
		return errors.New("a group needs match: patterns of names of parameters, such as head.* and *.bias")
	}
	for name, v := range map[string]*float64{"learning_rate": m.LearningRate, "weight_decay": m.WeightDecay} {
		if v != nil && !(*v >= 0) {
			return fmt.Errorf("%s of a group is %v, want 0 or more", name, *v)
		}
	}
	*g = Group{match, m.LearningRate, m.WeightDecay}
	return nil
}

// Scale says that time grows with the epochs.
func (f *FineTune) Scale() (time, size float64) { return float64(f.Epochs), 1 }

// Validate checks what belongs together.
func (f *FineTune) Validate() error {
	return errors.Join(
		stages.Rule(f.LoRA != nil && f.Train != "lora", "lora is for train: lora, and train is %s", f.Train),
		stages.Rule(f.Train == "head" && f.Distill != nil, "distill keeps features near those of the start, and train: head changes none"),
	)
}

// Draws says when the seed matters.
func (f *FineTune) Draws() bool { return f.Shuffle || f.Augment != "none" || f.Train == "lora" }
