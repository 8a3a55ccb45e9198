package builtin

import (
	"errors"

	"regft/datasets/prompts"
	"regft/stages"
)

var _ = stages.Register[Generate](stages.Type{
	Name: "generate", Version: 1, Out: stages.Images,
	Doc: "Draws pictures from class names or prompts with Stable Diffusion (arXiv 2112.10752).",
})

// Generate draws a set of pictures. Picture i is of class i mod classes and starts from noise seeded seed + i.
type Generate struct {
	Checkpoint     stages.Path       `yaml:"checkpoint" doc:"a Stable Diffusion 1.x or 2.x folder in the diffusers layout"`
	Classes        stages.ListOrFile `yaml:"classes" optional:"true" doc:"class names; with prompt"`
	Prompt         string            `yaml:"prompt" default:"" doc:"a template with {} for the class name"`
	Styles         stages.Path       `yaml:"styles" optional:"true" doc:"a prompt_styles.json; with dataset"`
	Dataset        string            `yaml:"dataset" default:"" key:"-" doc:"the entry of styles"`
	Prompts        []string          `yaml:"prompts" optional:"true" doc:"picture i from prompt i, without labels"`
	ImagesPerClass int               `yaml:"images_per_class" default:"64" min:"1" unit:"pictures" partial:"-" doc:"of each class"`
	Steps          int               `yaml:"steps" default:"50" min:"1" max:"1000" unit:"denoising steps" doc:"more is slower and finer"`
	GuidanceScale  float64           `yaml:"guidance_scale" default:"5.0" min:"0" doc:"weight of the prompt (classifier-free guidance, arXiv 2207.12598); 1 or less switches it off"`
	NegativePrompt string            `yaml:"negative_prompt" default:"" doc:"what to guide away from"`
	Scheduler      string            `yaml:"scheduler" default:"" enum:",pndm,ddim,euler,euler_ancestral,dpmpp_2m,dpmpp_2m_karras,ddpm,lcm" doc:"the sampler; without it, the checkpoint's own"`
	Width          *int              `yaml:"width" min:"8" unit:"pixels" doc:"of the drawn picture; without it, the checkpoint's own"`
	Height         *int              `yaml:"height" min:"8" unit:"pixels" doc:"of the drawn picture; without it, the checkpoint's own"`
	Size           *int              `yaml:"size" default:"224" min:"1" unit:"pixels" null:"keeps the drawn size" doc:"of the saved picture's shorter edge, resized bicubically with antialias"`
	BatchSize      int               `yaml:"batch_size" default:"16" min:"1" unit:"pictures" key:"-" doc:"drawn at once"`
	DType          string            `yaml:"dtype" default:"float32" enum:"float32,float16,bfloat16" doc:"of weights and activations"`
	Seed           stages.Seed       `yaml:"seed" doc:"of picture 0; the spec's where left out"`
}

// MetricNames says that the stage counts its pictures.
func (*Generate) MetricNames() []string { return []string{"images"} }

// NotBuilt names the types of number that plan only.
func (g *Generate) NotBuilt() string {
	if g.DType != "float32" {
		return "dtype: " + g.DType
	}
	return ""
}

// Validate wants one way of saying what to draw.
func (g *Generate) Validate() error {
	ways := 0
	for _, given := range []bool{!g.Classes.IsZero(), g.Styles != "", g.Prompts != nil} {
		if given {
			ways++
		}
	}
	switch {
	case ways != 1:
		return errors.New("say what to draw in one way: classes with prompt, styles with dataset, or prompts")
	case g.Prompts != nil && len(g.Prompts) == 0:
		return errors.New("prompts is an empty list: there is nothing to draw")
	case g.Prompts != nil && g.Prompt != "":
		return errors.New("prompt is a template for classes or styles: leave it out where prompts are given")
	case !g.Classes.IsZero() && g.Prompt == "":
		return errors.New("classes need a prompt, a template such as \"a photo of a {}.\"")
	case (g.Styles != "") != (g.Dataset != ""):
		return errors.New("styles and dataset belong together: dataset names the entry of the file")
	}
	if g.Prompt != "" {
		return prompts.CheckTemplate(g.Prompt)
	}
	return nil
}

// Noise says that picture i takes seed + i. Where the classes cannot be read yet, nothing is known.
func (g *Generate) Noise() (first, count uint64) {
	if g.Prompts != nil {
		return uint64(g.Seed), uint64(len(g.Prompts))
	}
	v, err := readVocabulary(g.Classes, g.Styles, g.Dataset)
	if err != nil {
		return uint64(g.Seed), 0
	}
	return uint64(g.Seed), uint64(g.ImagesPerClass * len(v.Classes))
}
