package builtin

import (
	"fmt"
	"strings"

	"regft/models/sd"
	"regft/stages"
)

// describer returns what gives a picture's text: its prompt, seed and parameters in the form of AUTOMATIC1111's webui, which other
// people's tools read. Only what the key covers is in it.
func (g *Generate) describer(pipeline *sd.Pipeline, env *stages.Env) (func(image) string, error) {
	s := g.settings()
	width, height := pipeline.Size(s)
	checkpoint, err := env.Source("checkpoint")
	if err != nil {
		return nil, err
	}
	after := fmt.Sprintf("Size: %dx%d, Model hash: %s", width, height, short(checkpoint))
	if g.Init != nil {
		after += fmt.Sprintf(", Denoising strength: %g", s.Strength)
	}
	added, err := g.adapters(env)
	if err != nil {
		return nil, err
	}
	for i, a := range added {
		after += fmt.Sprintf(", Lora hash: %s, Lora scale: %g", short(a), g.LoRAScale.of(i))
	}
	return func(im image) string {
		lines := []string{im.Prompt}
		if g.NegativePrompt != "" {
			lines = append(lines, "Negative prompt: "+g.NegativePrompt)
		}
		return strings.Join(append(lines, fmt.Sprintf("Steps: %d, Sampler: %s, CFG scale: %g, Seed: %d, %s, RNG: %s",
			g.Steps, pipeline.SchedulerName(s), g.GuidanceScale, im.Seed, after, g.RNG)), "\n")
	}, nil
}

// short is the beginning of an artifact's digest, as webuis show a checkpoint's.
func short(a stages.Artifact) string {
	_, hex, _ := strings.Cut(a.Digest.String(), ":")
	return hex[:10]
}
