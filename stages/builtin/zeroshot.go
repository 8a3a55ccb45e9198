package builtin

import (
	"errors"
	"fmt"
	"strings"

	"regft/datasets/prompts"
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
	return errors.Join(
		stages.Rule(z.Classes.IsZero() == (z.Styles == ""), "say what the classes are in one way: classes, or styles with dataset"),
		stages.Rule(z.Styles != "" && z.Dataset == "", "styles and dataset belong together: dataset names the entry of the file"),
		stages.Rule(z.Styles == "" && z.Dataset != "", "dataset and styles belong together: dataset names the entry of the file"),
		stages.Rule(z.Templates != nil && z.Prompts != "", "templates and prompts both describe the classes: give one of them"),
		stages.Rule(z.Templates == nil && z.Prompts == "" && z.Styles == "", "describe the classes: give templates or prompts"),
		checkClasses(z.Classes),
		z.Templates.check(),
	)
}

// Templates is a list of templates, or one name of a set of them.
type Templates []string

// texts are the templates themselves.
func (t Templates) texts() ([]string, error) {
	if len(t) == 1 && prompts.CheckTemplate(t[0]) != nil && !strings.Contains(t[0], " ") {
		return prompts.Set(t[0])
	}
	return t, nil
}

// check wants templates with a place for the name, or the name of a set. Its errors are Problems.
func (t Templates) check() error {
	texts, err := t.texts()
	if err != nil {
		return stages.Problem{Param: "templates", Text: fmt.Sprintf("templates: no set of templates is called %q", t[0]), Want: "a list of templates with {}, or one of " + strings.Join(prompts.Sets(), ", "),
			Got: t[0], Names: prompts.Sets()}
	}
	if t != nil && len(texts) == 0 {
		return stages.Problem{Param: "templates", Text: "templates is an empty list", Want: "one template or more"}
	}
	var wrong []error
	for i, text := range texts {
		if err := prompts.CheckTemplate(text); err != nil {
			wrong = append(wrong, stages.Problem{Param: fmt.Sprintf("templates.%d", i), Text: "templates: " + err.Error(), Want: "a text such as: a photo of a {}."})
		}
	}
	return errors.Join(wrong...)
}

// TypeName is what errors call it.
func (Templates) TypeName() string { return "a list of templates with {}, or the name of a set" }

// UnmarshalYAML reads a list or one text.
func (t *Templates) UnmarshalYAML(n *yaml.Node) error {
	list, err := texts(n)
	*t = list
	return err
}
