package builtin

import (
	"errors"
	"strings"

	"regft/stages"

	"gopkg.in/yaml.v3"
)

var _ = stages.Register[ZeroShot](stages.Type{
	Name: "zeroshot", Version: 1, Out: stages.Classifier,
	Doc: "Makes a classifier from class names: CLIP's image tower under a head of text embeddings (arXiv 2103.00020, §3.1).",
})

// ZeroShot is CLIP's zero-shot classifier.
type ZeroShot struct {
	Checkpoint stages.Input      `yaml:"checkpoint" in:"classifier" path:"true" doc:"a CLIP folder in the transformers layout, or a classifier: its image tower and its source's text tower"`
	Classes    stages.ListOrFile `yaml:"classes" optional:"true" doc:"class names"`
	Styles     stages.Path       `yaml:"styles" optional:"true" doc:"a prompt_styles.json, in place of classes; with dataset"`
	Dataset    string            `yaml:"dataset" default:"" key:"-" doc:"the entry of styles"`
	Templates  Templates         `yaml:"templates" optional:"true" doc:"a list of templates with {}, or the name of a set: openai_imagenet, simple, or a dataset's own"`
	Prompts    stages.Path       `yaml:"prompts" optional:"true" doc:"a GPT prompt file: class name → sentences"`
}

// Validate wants classes and one way of describing them.
func (z *ZeroShot) Validate() error {
	switch {
	case z.Classes.IsZero() == (z.Styles == ""):
		return errors.New("say what the classes are in one way: classes, or styles with dataset")
	case (z.Styles != "") != (z.Dataset != ""):
		return errors.New("styles and dataset belong together: dataset names the entry of the file")
	case z.Templates != nil && z.Prompts != "":
		return errors.New("give templates or prompts, not both")
	case z.Templates == nil && z.Prompts == "" && z.Styles == "":
		return errors.New("describe the classes: give templates or prompts")
	}
	for _, t := range z.Templates {
		if len(z.Templates) > 1 || strings.Contains(t, " ") {
			if err := checkTemplate(t); err != nil {
				return err
			}
		}
	}
	return nil
}

// Templates is a list of templates, or one name of a set of them.
type Templates []string

// TypeName is what errors call it.
func (Templates) TypeName() string { return "a list of templates with {}, or the name of a set" }

// UnmarshalYAML reads a list or one text.
func (t *Templates) UnmarshalYAML(n *yaml.Node) error {
	list, err := texts(n)
	*t = list
	return err
}

// hasSlot reports whether a template has a place for the class name.
func hasSlot(t string) bool { return strings.Contains(t, "{}") }
