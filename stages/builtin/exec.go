package builtin

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"regft/stages"

	"gopkg.in/yaml.v3"
)

var _ = stages.Register[Exec](stages.Type{
	Name: "exec", Version: 1, Out: stages.Files,
	Doc: "Runs a program of yours in a private folder that holds what it declares.",
})

// Exec runs a command; what it reads and writes is declared, so that it is cached like every other stage.
type Exec struct {
	Command []string            `yaml:"command" doc:"program and arguments; no shell unless you name one"`
	Reads   []stages.Input      `yaml:"inputs" in:"any" shape:"map" path:"true" optional:"true" doc:"name → path, or artifact in ${…}: found at inputs/NAME, read-only"`
	Writes  map[string]ExecFile `yaml:"outputs" optional:"true" doc:"name → path in the folder, or {path, kind}: a file or a folder"`
	Env     []string            `yaml:"env" optional:"true" key:"-" doc:"environment variables passed through; all others but PATH, HOME and LANG are scrubbed"`
	Metrics string              `yaml:"metrics" default:"" doc:"a flat JSON object that the program writes: its metrics"`
}

// ExecFile is one output of a program.
type ExecFile struct {
	Path string      `json:"path"`
	Kind stages.Kind `json:"kind"`
}

// TypeName is what errors call it.
func (ExecFile) TypeName() string { return "a path, or {path, kind}" }

// KeyValue is its form in a key.
func (f ExecFile) KeyValue() any {
	return map[string]any{"path": f.Path, "kind": string(f.Kind)}
}

var execKinds = []stages.Kind{stages.Files, stages.Images, stages.Classifier, stages.Features, stages.Scores}

// UnmarshalYAML reads a path, or a mapping with a kind.
func (f *ExecFile) UnmarshalYAML(n *yaml.Node) error {
	f.Kind = stages.Files
	if n.Kind == yaml.ScalarNode {
		f.Path = n.Value
		return wantInside(n, f.Path)
	}
	m := struct {
		Path yaml.Node   `yaml:"path"`
		Kind stages.Kind `yaml:"kind"`
	}{Kind: stages.Files}
	wrong := stages.Broken(strict(n, &m, "path", "kind"))
	switch {
	case m.Path.Kind == 0 && wrong == nil:
		wrong = append(wrong, errors.New("it lacks a path"))
	case m.Path.Kind != 0:
		f.Path = m.Path.Value
		wrong = append(wrong, wantInside(entry(n, "path"), f.Path))
	}
	if !slices.Contains(execKinds, m.Kind) {
		wrong = append(wrong, unknownKind(n, m.Kind))
	}
	f.Kind = m.Kind
	return errors.Join(wrong...)
}

// wantInside wants a path inside the program's folder, at n.
func wantInside(n *yaml.Node, p string) error {
	if n.Kind == yaml.ScalarNode && filepath.IsLocal(p) && path.Clean(p) != "." && p != "inputs" && !strings.HasPrefix(p, "inputs/") {
		return nil
	}
	return stages.Problem{Node: n, Text: fmt.Sprintf("%q is no path inside the program's folder and outside inputs/", p), Want: "a path such as out/images"}
}

// unknownKind is the mistake of a kind in n that no output has.
func unknownKind(n *yaml.Node, kind stages.Kind) error {
	var names []string
	for _, k := range execKinds {
		names = append(names, string(k))
	}
	return stages.Problem{Node: entry(n, "kind"), Text: fmt.Sprintf("%q is no kind of an output", kind), Want: "one of " + strings.Join(names, ", "), Got: string(kind), Names: names}
}

// Outputs are those declared, by name.
func (e *Exec) Outputs() []stages.Output {
	if len(e.Writes) == 0 {
		return []stages.Output{{Kind: stages.Files}}
	}
	var out []stages.Output
	for _, name := range sortedKeys(e.Writes) {
		out = append(out, stages.Output{Name: name, Kind: e.Writes[name].Kind})
	}
	return out
}

// MetricNames says that the program's metrics are its own; without a file there are none.
func (e *Exec) MetricNames() []string {
	if e.Metrics == "" {
		return []string{}
	}
	return nil
}

// Environment are the declared variables. A fingerprint is so short that it does not tell a secret.
func (e *Exec) Environment() map[string]string {
	out := make(map[string]string, len(e.Env))
	for _, name := range e.Env {
		out[name] = ""
		if v, ok := os.LookupEnv(name); ok {
			out[name] = fmt.Sprintf("%x", sha256.Sum256([]byte(name+"="+v)))[:fingerprintLength]
		}
	}
	return out
}

// fingerprintLength is 16 bits, in hexadecimal digits.
const fingerprintLength = 4

// ValidateParams wants a command, and metrics inside its folder.
func (e *Exec) ValidateParams() []stages.Problem {
	var out []stages.Problem
	if len(e.Command) == 0 {
		out = append(out, stages.Problem{Param: "command", Text: "command: want a program and its arguments, got an empty list"})
	}
	if len(e.Command) > 0 {
		if first, _, several := strings.Cut(e.Command[0], " "); several && !strings.Contains(first, "/") {
			out = append(out, stages.Problem{Param: "command.0", Text: fmt.Sprintf("command: %q is several words, and a program is the first of a list", e.Command[0]),
				Want: "[" + strings.Join(strings.Fields(e.Command[0]), ", ") + "]"})
		}
	}
	for i, arg := range e.Command {
		if name := stageWord.FindStringSubmatch(arg); name != nil {
			out = append(out, stages.Problem{Param: fmt.Sprintf("command.%d", i), Text: fmt.Sprintf("command: %s is text here, and no artifact", arg),
				Want: fmt.Sprintf(`inputs: {%s: "${%s}"}, and inputs/%s in the command`, name[1], arg, name[1])})
		}
	}
	for _, name := range sortedKeys(e.Writes) {
		if p := e.Writes[name].Path; stageWord.MatchString(p) {
			out = append(out, stages.Problem{Param: "outputs", Text: fmt.Sprintf("outputs: %s is text here, and no artifact", p), Want: "the path of a file or folder that the program writes"})
		}
	}
	for i, name := range e.Env {
		if name == "" || strings.ContainsAny(name, "= ") {
			out = append(out, stages.Problem{Param: fmt.Sprintf("env.%d", i), Text: fmt.Sprintf("env: %q is no name of a variable", name), Want: "a name, such as CUDA_VISIBLE_DEVICES: its value is that of the environment"})
		}
	}
	if e.Metrics != "" && !filepath.IsLocal(e.Metrics) {
		out = append(out, stages.Problem{Param: "metrics", Text: fmt.Sprintf("metrics: %q must be a path inside the program's folder", e.Metrics)})
	}
	return out
}

// stageWord is how artifacts are written elsewhere.
var stageWord = regexp.MustCompile(`^stages\.([A-Za-z_][A-Za-z0-9_-]*)$`)

// readInput is where a command reads one of its inputs.
var readInput = regexp.MustCompile(`(?:^|[\s="'])inputs/([A-Za-z0-9_][A-Za-z0-9_.-]*)`)

// ValidateInputs wants an input of every name that the command reads.
func (e *Exec) ValidateInputs() error {
	var names []string
	for _, in := range e.Reads {
		if !filepath.IsLocal(in.Key) || strings.ContainsAny(in.Key, `/\`) || in.Key == "." {
			return stages.Problem{Param: "inputs", Text: fmt.Sprintf("inputs: %q is no name of a file", in.Key), Want: "a name without slashes: the command finds it at inputs/NAME"}
		}
		names = append(names, "inputs/"+in.Key)
	}
	for _, arg := range e.Command {
		for _, found := range readInput.FindAllStringSubmatch(arg, -1) {
			if name := "inputs/" + found[1]; !slices.Contains(names, name) {
				return stages.Problem{Param: "command", Text: fmt.Sprintf("command reads %s, and no input has that name", name), Want: strings.Join(names, ", "), Got: name, Names: names}
			}
		}
	}
	return nil
}
