package builtin

import (
	"errors"

	"regft/datasets/prompts"
	"regft/models/sd"
	"regft/stages"
)

var _ = stages.Register[Generate](stages.Type{
	Name: "generate", Version: 2, Out: stages.Images,
	Doc: "Draws pictures from class names or prompts with Stable Diffusion (arXiv 2112.10752).",
})

// Generate draws a set of pictures. Picture i is of class i mod classes and starts from noise seeded seed + i.
type Generate struct {
	Checkpoint     stages.Path       `yaml:"checkpoint" doc:"a Stable Diffusion 1.x or 2.x folder in the diffusers layout"`
	Classes        stages.ListOrFile `yaml:"classes" optional:"true" doc:"class names; with prompt"`
	Prompt         string            `yaml:"prompt" default:"" doc:"a template with {} for the class name"`
	Styles         stages.Path       `yaml:"styles" optional:"true" doc:"a prompt_styles.json; with dataset"`
	Dataset        string            `yaml:"dataset" default:"" key:"-" doc:"the entry of styles"`
	Templates      Templates         `yaml:"templates" optional:"true" doc:"in place of prompt: a list of templates with {}, or the name of a set; round r of a class is drawn from template r mod their number"`
	Attributes     Attributes        `yaml:"attributes" optional:"true" doc:"name → list of texts, for {name} in prompt or templates: each template becomes one for every combination"`
	Sentences      stages.Path       `yaml:"sentences" optional:"true" doc:"in place of prompt: a GPT prompt file, class name → sentences, drawn from in turn"`
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
	Init           *stages.Input     `yaml:"init" in:"images" doc:"pictures to start from (SDEdit, arXiv 2108.01073): those of the picture's class in turn, of a set without labels picture i from picture i; scaled to cover what is drawn, and cropped"`
	Strength       *float64          `yaml:"strength" min:"0" max:"1" doc:"share of the steps taken from init on, 0.8 where left out: 1 keeps hardly anything of it"`
	LoRA           []stages.Input    `yaml:"lora" in:"files" path:"true" optional:"true" doc:"a LoRA (arXiv 2106.09685) for U-Net and text encoder, in the names of kohya, peft, diffusers or the original code: a file, a folder with one, or files of a stage; of a list, all are added"`
	LoRAScale      Scales            `yaml:"lora_scale" default:"1" doc:"weight of the LoRA; of several, one for all or a list"`
	RNG            string            `yaml:"rng" default:"torch_cpu" enum:"torch_cpu,torch_cuda,philox" doc:"whose noise: torch_cpu, picture i of PyTorch's CPU generator seeded seed + i; philox, of its CUDA generator seeded so (and of webuis' NV); torch_cuda, of one CUDA generator seeded seed that draws rng_batch pictures at a time, as published runs do"`
	RNGBatch       int               `yaml:"rng_batch" default:"16" min:"1" unit:"pictures" doc:"torch_cuda: drawn at a time"`
	RNGThreads     int               `yaml:"rng_threads" default:"270336" min:"256" unit:"threads" doc:"torch_cuda: that the GPU runs at once, 2048 for each of its multiprocessors (H100 270336, A100 221184, V100 163840); 1536 on an RTX 30 or 40 (4090 196608)"`
	DType          string            `yaml:"dtype" default:"float32" enum:"float32,float16,bfloat16" doc:"that weights are kept in: float16 and bfloat16 take half the memory; activations and sums are of float32 in any case"`
	Seed           stages.Seed       `yaml:"seed" doc:"of picture 0; the spec's where left out"`
}

// MetricNames says that the stage counts its pictures.
func (*Generate) MetricNames() []string { return []string{"images"} }

// Validate wants one way of saying what to draw, and what belongs together.
func (g *Generate) Validate() error {
	descriptions := count(g.Prompt != "", g.Templates != nil, g.Sentences != "")
	classes, styles, listed := !g.Classes.IsZero(), g.Styles != "", g.Prompts != nil
	return errors.Join(
		stages.Rule(count(classes, styles, listed) != 1, "say what to draw in one way: classes with prompt, styles with dataset, or prompts"),
		stages.Rule(listed && len(g.Prompts) == 0, "prompts is an empty list: there is nothing to draw"),
		stages.Rule(listed && descriptions+len(g.Attributes) > 0, "prompts are whole texts, and prompt, templates, attributes and sentences are for classes or styles: leave those out"),
		stages.Rule(!listed && descriptions > 1, "describe the classes in one way: prompt, templates or sentences"),
		stages.Rule(classes && descriptions == 0, "classes need a prompt, a template such as \"a photo of a {}.\""),
		stages.Rule(styles && g.Dataset == "", "styles needs dataset: the entry of the file"),
		stages.Rule(!styles && g.Dataset != "", "dataset names an entry of styles: give that file, or leave dataset out"),
		stages.Rule(!listed && g.Attributes != nil && g.Sentences != "", "attributes fill templates: leave them out where sentences are given"),
		stages.Rule(g.Strength != nil && g.Init == nil, "strength needs pictures to start from: give them as init"),
		stages.Rule(g.Strength != nil && *g.Strength == 0, "strength is 0, which keeps init as it is: want above 0, up to 1"),
		stages.Rule(g.LoRA == nil && !g.LoRAScale.plain(), "lora_scale is for a lora: give one"),
		checkClasses(g.Classes),
		g.checkTemplates(),
	)
}

// ValidateInputs wants a weight for every LoRA.
func (g *Generate) ValidateInputs() error {
	n := len(g.LoRAScale)
	return stages.Rule(g.LoRA != nil && n != 1 && n != len(g.LoRA), "lora_scale has %d numbers, and lora %d adapters: want one for all, or one each", n, len(g.LoRA))
}

func (g *Generate) checkTemplates() error {
	if g.Prompt == "" {
		return g.Templates.check()
	}
	if err := prompts.CheckTemplate(g.Prompt); err != nil {
		return stages.Problem{Param: "prompt", Text: "prompt: " + err.Error(), Want: "a text such as: a photo of a {}."}
	}
	return nil
}

func count(given ...bool) int {
	n := 0
	for _, is := range given {
		if is {
			n++
		}
	}
	return n
}

// Noise says that picture i takes seed + i, or all one generator. Where the classes cannot be read yet, nothing is known.
func (g *Generate) Noise() (first, count uint64) {
	if g.RNG == sd.TorchCUDA {
		return uint64(g.Seed), 1
	}
	if g.Prompts != nil {
		return uint64(g.Seed), uint64(len(g.Prompts))
	}
	v, err := readVocabulary(g.Classes, g.Styles, g.Dataset)
	if err != nil {
		return uint64(g.Seed), 0
	}
	return uint64(g.Seed), uint64(g.ImagesPerClass * len(v.Classes))
}

// Scale says that each step of each picture takes its time, twice that where it is guided.
func (g *Generate) Scale() (time, size float64) {
	pictures := float64(len(g.Prompts))
	if g.Prompts == nil {
		pictures = float64(g.ImagesPerClass)
		if v, err := readVocabulary(g.Classes, g.Styles, g.Dataset); err == nil {
			pictures *= float64(len(v.Classes))
		}
	}
	time = pictures * float64(g.Steps)
	if g.GuidanceScale > 1 {
		time *= 2
	}
	return time, pictures
}
