// Package prompts reads what people write prompts in: templates, prompt_styles.json, and files of sentences by GPT.
package prompts

import (
	_ "embed" // templates.json
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"regft/datasets"
)

// slot is where a template takes a class's name.
const slot = "{}"

// Spoken is a class's name as it reads in a sentence: `_` is a space.
func Spoken(name string) string { return strings.ReplaceAll(name, "_", " ") }

// CheckTemplate wants a template to have a place for the class's name.
func CheckTemplate(template string) error {
	if !strings.Contains(template, slot) {
		return fmt.Errorf("the template %q has no {} for the class's name", template)
	}
	return nil
}

// Fill puts a class's name into a template.
func Fill(template, name string) string { return strings.ReplaceAll(template, slot, Spoken(name)) }

// FillAll returns every template filled with every class's name: [class][template].
func FillAll(templates []string, classes []datasets.Class) [][]string {
	out := make([][]string, len(classes))
	for i, c := range classes {
		for _, t := range templates {
			out[i] = append(out[i], Fill(t, c.Name))
		}
	}
	return out
}

//go:embed templates.json
var templatesJSON []byte

// sets are the published sets of templates by name. Where each comes from is written in templates.json. A dataset's own set is
// Tip-Adapter's, which is CoOp's but for ImageNet, where CoOp has one template and Tip-Adapter the seven that CLIP's authors chose;
// ImageNet's variants have CoOp's.
var sets = sync.OnceValue(func() map[string][]string {
	var file struct {
		CoOp   map[string]string   `json:"coop"`
		Tip    map[string][]string `json:"tip_adapter"`
		OpenAI []string            `json:"openai_imagenet"`
		Simple []string            `json:"simple"`
	}
	if err := json.Unmarshal(templatesJSON, &file); err != nil {
		panic(fmt.Sprintf("prompts: embedded templates.json: %v", err))
	}
	all := map[string][]string{"openai_imagenet": file.OpenAI, "simple": file.Simple}
	for _, names := range [][]string{{"caltech101", "caltech101", "caltech-101"}, {"dtd", "dtd"}, {"eurosat", "eurosat"}, {"fgvc", "fgvcaircraft", "fgvc_aircraft"},
		{"food101", "food101", "food-101"}, {"oxford_flowers", "flowers102", "oxford_flowers"}, {"oxford_pets", "oxfordpets", "oxford_pets"},
		{"stanford_cars", "stanfordcars", "stanford_cars"}, {"sun397", "sun397"}, {"ucf101", "ucf101"}, {"imagenet", "imagenet"}} {
		for _, ours := range names[1:] {
			all[ours] = file.Tip[names[0]]
		}
	}
	for name, theirs := range map[string]string{"imagenet_v2": "ImageNetV2", "imagenet_r": "ImageNetR", "imagenet_a": "ImageNetA", "imagenet_sketch": "ImageNetSketch"} {
		all[name] = []string{file.CoOp[theirs]}
	}
	return all
})

// Set returns a published set of templates: openai_imagenet (80), simple (WiSE-FT's, one), or a dataset's own, by the name of its format or
// of its entry in prompt_styles.json.
func Set(name string) ([]string, error) {
	if templates, ok := sets()[name]; ok {
		return slices.Clone(templates), nil
	}
	known := Sets()
	return nil, fmt.Errorf("no set of templates is called %q: did you mean %q? The sets are %s", name, nearest(name, known), strings.Join(known, ", "))
}

// Sets are the names of the published sets of templates, sorted.
func Sets() []string { return slices.Sorted(maps.Keys(sets())) }
