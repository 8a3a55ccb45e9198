package builtin

import (
	"regft/stages"
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
	Augment         string        `yaml:"augment" default:"random_resized_crop" enum:"random_resized_crop,none" doc:"by (seed, epoch, sample) alone"`
	Shuffle         bool          `yaml:"shuffle" default:"true" doc:"every epoch, as torch.randperm; false takes the data's order"`
	Train           string        `yaml:"train" default:"all" enum:"all,head,encoder,lora" doc:"which parameters move"`
	LoRA            *LoRA         `yaml:"lora" doc:"of train: lora"`
	CheckpointEvery int           `yaml:"checkpoint_every" default:"100" min:"1" unit:"steps" key:"-" doc:"a killed stage goes on from the last one, bit for bit"`
	Validation      *stages.Input `yaml:"validate" in:"images" doc:"accuracy on these after every epoch"`
	Seed            stages.Seed   `yaml:"seed" doc:"of shuffling and augmentation; the spec's where left out"`
}

// VCReg weighs the two parts of the regulariser.
type VCReg struct {
	Variance   float64 `yaml:"variance" default:"0.16" min:"0" doc:"of the hinge that keeps each feature's deviation at 1"`
	Covariance float64 `yaml:"covariance" default:"0.02" min:"0" doc:"of the squared covariances between features"`
}

// LoRA is the size of low-rank updates (arXiv 2106.09685).
type LoRA struct {
	Rank  int     `yaml:"rank" default:"4" min:"1" doc:"of the updates"`
	Alpha float64 `yaml:"alpha" default:"4" min:"0" doc:"scale is alpha / rank"`
}

// NotBuilt names the ways of training that plan only.
func (f *FineTune) NotBuilt() string {
	if f.Train == "lora" {
		return "train: lora"
	}
	return ""
}

// Draws says when the seed matters.
func (f *FineTune) Draws() bool { return f.Shuffle || f.Augment != "none" }
