// Package standin registers light types with the names and parameters of the built-in ones, so that tests of the
// language need no models: they plan, and do not run.
package standin

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"regft/stages"

	"gopkg.in/yaml.v3"
)

type planned struct{}

// Run implements stages.Runner.
func (planned) Run(context.Context, *stages.Env) error {
	return errors.New("a stand-in does not run")
}

// Dataset stands for dataset.
type Dataset struct {
	planned
	Format string      `yaml:"format" enum:"imagefolder,imagenet,imagenet_v2,imagenet_r,imagenet_a,imagenet_sketch,objectnet,caltech101,dtd,eurosat,fgvcaircraft,food101,flowers102,oxfordpets,stanfordcars,sun397,ucf101" doc:"layout"`
	Path   stages.Path `yaml:"path" doc:"folder"`
	Split  string      `yaml:"split" default:"" enum:",train,val,test" doc:"part"`
	Skip   int         `yaml:"skip" default:"0" min:"0" doc:"leaves out the first"`
	Shots  *int        `yaml:"shots" min:"1" doc:"takes so many"`
	Seed   stages.Seed `yaml:"seed" doc:"of shots"`
}

// Draws implements stages.Drawer.
func (d *Dataset) Draws() bool { return d.Shots != nil }

// MetricNames implements stages.Measurer.
func (*Dataset) MetricNames() []string { return []string{"images"} }

// Generate stands for generate.
type Generate struct {
	planned
	Checkpoint     stages.Path       `yaml:"checkpoint" doc:"folder"`
	Classes        stages.ListOrFile `yaml:"classes" optional:"true" doc:"names"`
	Prompt         string            `yaml:"prompt" default:"" doc:"template"`
	Styles         stages.Path       `yaml:"styles" optional:"true" doc:"file"`
	Dataset        string            `yaml:"dataset" default:"" doc:"entry of styles"`
	ImagesPerClass int               `yaml:"images_per_class" default:"64" min:"1" doc:"count"`
	Steps          int               `yaml:"steps" default:"50" min:"1" max:"1000" unit:"denoising steps" doc:"steps"`
	GuidanceScale  float64           `yaml:"guidance_scale" default:"5.0" min:"0" doc:"guidance"`
	Scheduler      string            `yaml:"scheduler" default:"" enum:",pndm,ddim,euler" doc:"sampler"`
	Size           *int              `yaml:"size" default:"224" min:"1" null:"keeps the drawn size" doc:"saved size"`
	Seed           stages.Seed       `yaml:"seed" doc:"of picture 0"`
}

// MetricNames implements stages.Measurer.
func (*Generate) MetricNames() []string { return []string{"images"} }

// Filter stands for filter.
type Filter struct {
	planned
	Data       stages.Input  `yaml:"data" in:"images" doc:"pictures"`
	By         string        `yaml:"by" default:"" enum:",clip_score,clip_confidence,duplicate" doc:"ranking"`
	Classifier *stages.Input `yaml:"classifier" in:"classifier" doc:"what ranks"`
	Keep       Keep          `yaml:"keep" cel:"image" names:"score,rank,correct,class" doc:"which pictures stay"`
}

// MetricNames implements stages.Measurer.
func (*Filter) MetricNames() []string { return []string{"images"} }

// Keep is {per_class: n} or CEL.
type Keep struct {
	PerClass int
	Cond     stages.Expr
}

// SetExpr implements stages.ExprSetter.
func (k *Keep) SetExpr(e stages.Expr) { k.Cond = e }

// KeyValue is its form in a key.
func (k Keep) KeyValue() any {
	if k.Cond.Text == "" {
		return map[string]any{"per_class": k.PerClass}
	}
	return k.Cond.Text
}

// UnmarshalYAML implements yaml.Unmarshaler.
func (k *Keep) UnmarshalYAML(n *yaml.Node) error {
	var m map[string]int
	if err := n.Decode(&m); err != nil || len(m) != 1 || m["per_class"] < 1 {
		return fmt.Errorf("want {per_class: n}")
	}
	k.PerClass = m["per_class"]
	return nil
}

// Mix stands for mix.
type Mix struct {
	planned
	Data     []stages.Input `yaml:"data" in:"images" doc:"sets"`
	Weights  []float64      `yaml:"weights" optional:"true" doc:"shares"`
	PerClass *int           `yaml:"per_class" min:"1" doc:"count"`
}

// ZeroShot stands for zeroshot.
type ZeroShot struct {
	planned
	Checkpoint stages.Input      `yaml:"checkpoint" in:"classifier" path:"true" doc:"folder or classifier"`
	Classes    stages.ListOrFile `yaml:"classes" optional:"true" doc:"names"`
	Styles     stages.Path       `yaml:"styles" optional:"true" doc:"file"`
	Dataset    string            `yaml:"dataset" default:"" doc:"entry of styles"`
	Templates  stages.ListOrFile `yaml:"templates" optional:"true" doc:"templates"`
	Prompts    stages.Path       `yaml:"prompts" optional:"true" doc:"file"`
}

// FineTune stands for finetune.
type FineTune struct {
	planned
	Classifier   stages.Input `yaml:"classifier" in:"classifier" doc:"start"`
	Data         stages.Input `yaml:"data" in:"images" doc:"pictures"`
	Epochs       int          `yaml:"epochs" default:"10" min:"1" doc:"passes"`
	BatchSize    int          `yaml:"batch_size" default:"128" min:"1" doc:"of a step"`
	LearningRate float64      `yaml:"learning_rate" default:"1e-5" min:"0" doc:"largest"`
	WarmupSteps  int          `yaml:"warmup_steps" default:"500" min:"0" doc:"rise"`
	VCReg        VCReg        `yaml:"vc_reg" default:"{variance: 0.16, covariance: 0.02}" doc:"regulariser"`
	Train        string       `yaml:"train" default:"all" enum:"all,head,encoder,lora" doc:"what moves"`
	Shuffle      bool         `yaml:"shuffle" default:"true" doc:"every epoch"`
	Seed         stages.Seed  `yaml:"seed" doc:"of shuffling"`
}

// VCReg weighs the regulariser.
type VCReg struct {
	Variance   float64 `yaml:"variance" default:"0.16" min:"0" doc:"weight"`
	Covariance float64 `yaml:"covariance" default:"0.02" min:"0" doc:"weight"`
}

// Fisher stands for fisher.
type Fisher struct {
	planned
	Classifier stages.Input `yaml:"classifier" in:"classifier" doc:"model"`
	Data       stages.Input `yaml:"data" in:"images" doc:"pictures"`
	Samples    *int         `yaml:"samples" min:"1" doc:"how many"`
}

// Ensemble stands for ensemble.
type Ensemble struct {
	planned
	From       *stages.Input `yaml:"from" in:"classifier" doc:"at alpha 0"`
	To         *stages.Input `yaml:"to" in:"classifier" doc:"at alpha 1"`
	Alpha      *float64      `yaml:"alpha" min:"0" max:"1" doc:"weight of to"`
	FisherFrom *stages.Input `yaml:"fisher_from" in:"fisher" doc:"weighs from"`
	FisherTo   *stages.Input `yaml:"fisher_to" in:"fisher" doc:"weighs to"`
}

// Validate implements stages.Validator.
func (e *Ensemble) Validate() error {
	if e.From == nil || e.To == nil || e.Alpha == nil {
		return errors.New("a linear ensemble needs from, to and alpha")
	}
	return nil
}

// CopyOf implements stages.Copier.
func (e *Ensemble) CopyOf() string {
	switch *e.Alpha {
	case 0:
		return "from"
	case 1:
		return "to"
	}
	return ""
}

// Evaluate stands for evaluate.
type Evaluate struct {
	planned
	Classifier stages.Input   `yaml:"classifier" in:"classifier,adapter" doc:"model"`
	Data       []stages.Input `yaml:"data" in:"images" each:"node" doc:"sets"`
	Metrics    []string       `yaml:"metrics" default:"[top1, top5, mean_per_class, nll, ece]" enum:"top1,top5,mean_per_class,nll,ece" doc:"which"`
}

// MetricNames implements stages.Measurer.
func (e *Evaluate) MetricNames() []string { return e.Metrics }

// Select stands for select.
type Select struct {
	planned
	From     []stages.Input `yaml:"from" in:"any" doc:"candidates"`
	Scores   []stages.Input `yaml:"scores" in:"scores" pool:"pool" doc:"scores"`
	Maximize *stages.Expr   `yaml:"maximize" cel:"metrics" doc:"goal"`
	Minimize *stages.Expr   `yaml:"minimize" cel:"metrics" doc:"goal"`
	Pool     []string       `yaml:"pool" optional:"true" axes:"replicates" key:"-" doc:"replicates"`
}

// Validate implements stages.Validator.
func (s *Select) Validate() error {
	if (s.Maximize == nil) == (s.Minimize == nil) {
		return errors.New("select needs one goal: maximize or minimize")
	}
	return nil
}

// Exec stands for exec.
type Exec struct {
	planned
	Command []string              `yaml:"command" doc:"program and arguments"`
	Reads   []stages.Input        `yaml:"inputs" in:"any" shape:"map" path:"true" optional:"true" doc:"what it reads"`
	Writes  map[string]ExecOutput `yaml:"outputs" optional:"true" doc:"what it writes"`
	Metrics string                `yaml:"metrics" default:"" doc:"a JSON file"`
}

// ExecOutput is a path, or {path, kind}.
type ExecOutput struct {
	Path string
	Kind stages.Kind
}

// UnmarshalYAML implements yaml.Unmarshaler.
func (o *ExecOutput) UnmarshalYAML(n *yaml.Node) error {
	o.Path, o.Kind = n.Value, stages.Files
	if n.Kind == yaml.ScalarNode {
		return nil
	}
	var m map[string]string
	if err := n.Decode(&m); err != nil {
		return fmt.Errorf("want a path, or {path, kind}")
	}
	o.Path, o.Kind = m["path"], stages.Kind(m["kind"])
	return nil
}

// KeyValue is its form in a key.
func (o ExecOutput) KeyValue() any { return map[string]any{"path": o.Path, "kind": string(o.Kind)} }

// Outputs implements stages.Outputter.
func (e *Exec) Outputs() []stages.Output {
	var out []stages.Output
	for name, o := range e.Writes {
		out = append(out, stages.Output{Name: name, Kind: o.Kind})
	}
	if out == nil {
		return []stages.Output{{Kind: stages.Files}}
	}
	slices.SortFunc(out, func(a, b stages.Output) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return out
}

// Report stands for report.
type Report struct {
	planned
	Scores []stages.Input `yaml:"scores" in:"scores" shape:"map" doc:"labels and scores"`
}

var (
	_ = stages.Register[Dataset](stages.Type{Name: "dataset", Doc: "Pictures.", Version: 1, Out: stages.Images})
	_ = stages.Register[Generate](stages.Type{Name: "generate", Doc: "Draws.", Version: 1, Out: stages.Images})
	_ = stages.Register[Filter](stages.Type{Name: "filter", Doc: "Keeps.", Version: 1, Out: stages.Images})
	_ = stages.Register[Mix](stages.Type{Name: "mix", Doc: "Mixes.", Version: 1, Out: stages.Images})
	_ = stages.Register[ZeroShot](stages.Type{Name: "zeroshot", Doc: "Heads.", Version: 1, Out: stages.Classifier})
	_ = stages.Register[FineTune](stages.Type{Name: "finetune", Doc: "Trains.", Version: 1, Out: stages.Classifier})
	_ = stages.Register[Fisher](stages.Type{Name: "fisher", Doc: "Weighs.", Version: 1, Out: stages.Fisher})
	_ = stages.Register[Ensemble](stages.Type{Name: "ensemble", Doc: "Merges.", Version: 1, Out: stages.Classifier})
	_ = stages.Register[Evaluate](stages.Type{Name: "evaluate", Doc: "Scores.", Version: 1, Out: stages.Scores})
	_ = stages.Register[Select](stages.Type{Name: "select", Doc: "Chooses.", Version: 1, OutAs: "from"})
	_ = stages.Register[Exec](stages.Type{Name: "exec", Doc: "Runs.", Version: 1, Out: stages.Files})
	_ = stages.Register[Report](stages.Type{Name: "report", Doc: "Shows.", Version: 1, Out: stages.Files})
)
