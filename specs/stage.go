package specs

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"regft/specs/expr"
	"regft/stages"

	"github.com/dustin/go-humanize"
	"github.com/google/cel-go/cel"
	"gopkg.in/yaml.v3"
)

// A param is one parameter of a stage as the spec writes it.
type param struct {
	field stages.Field
	key   *yaml.Node
	node  *yaml.Node
	bad   bool      // reported: what it would be is not known
	plain *template // of an ordinary parameter
	list  bool      // artifacts are written as a list
	slots []*slot   // artifacts
	cel   *celParam
}

// A slot is one place for artifacts: in a list or mapping, or alone.
type slot struct {
	key  string // in a mapping
	node *yaml.Node
	code *code     // CEL that gives an artifact, a list of them, or null; or
	path *template // a path in place of an artifact
}

// readStages reads stages:.
func (p *program) readStages(n *yaml.Node) {
	if !p.wantMapping(n, "stages", "{NAME: {uses: TYPE, with: {…}}, …}") {
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		s := &Stage{Name: key.Value, Place: p.tree.Place(key), key: key, node: n.Content[i+1]}
		p.spec.Stages = append(p.spec.Stages, s)
		if !p.checkName(key, "a stage") || !p.wantMapping(s.node, "stage "+s.Name, "{uses: TYPE, with: {…}}") {
			s.bad = true
		}
	}
	for _, s := range p.spec.Stages {
		if !s.bad {
			p.readType(s)
		}
	}
	for _, s := range p.spec.Stages {
		if s.node.Kind == yaml.MappingNode {
			p.readStage(s)
		}
	}
	for _, s := range p.spec.Stages {
		p.checkKinds(s)
	}
}

// readType finds the type of s.
func (p *program) readType(s *Stage) {
	uses := lookup(s.node, "uses")
	switch {
	case uses == nil: // reported with the stage's keys
	case uses.Kind != yaml.ScalarNode || strings.Contains(uses.Value, "${"):
		d := p.tree.At(uses, "uses is the name of a stage type, nothing that is evaluated")
		d.Expected = listNames(stages.Names())
		p.sure(d)
	default:
		if t, known := stages.Lookup(uses.Value); known {
			s.Type = t
			return
		}
		d := p.tree.At(uses, "there is no stage type %q", uses.Value)
		d.Nearest, d.Expected = expr.Nearest(uses.Value, stages.Names()), listNames(stages.Names())
		p.sure(d)
	}
	s.bad = true
}

func (p *program) readStage(s *Stage) {
	meant := p.sections(s.node, "a stage", []section{
		{"uses", func(*yaml.Node) {}},
		{"with", func(n *yaml.Node) { s.with = n }},
		{"gather", func(n *yaml.Node) { p.readGather(s, n) }},
		{"when", func(n *yaml.Node) {
			s.when = p.dynamic(n, scope{what: "when", axes: len(p.spec.Axes), outcomes: true})
			s.bad = s.bad || s.when == nil
		}},
		{"assert", func(n *yaml.Node) {
			if !s.bad {
				s.assert = p.dynamic(n, scope{what: "assert", axes: len(p.spec.Axes), own: s, chosen: s.chooses()})
				s.bad = s.assert == nil
			}
		}},
		{"resources", func(n *yaml.Node) { p.readResources(s, n) }},
		{"timeout", func(n *yaml.Node) { p.readTimeout(s, n) }},
		{"retry", func(n *yaml.Node) { p.readRetry(s, n) }},
	})
	if lookup(s.node, "uses") == nil && !stands(meant, "uses") {
		d := p.tree.At(s.key, "stage %s does not say which type it uses", s.Name)
		d.Expected = "uses: TYPE, " + listNames(stages.Names())
		p.report(d)
	}
	switch {
	case s.Type.Name == "":
		p.readUnknown(s)
	case s.with == nil && stands(meant, "with"):
		s.bad = true
	default:
		p.readWith(s)
	}
}

// readUnknown looks for mistakes in what stands in ${} of a stage whose type is not known: nothing else in it can be judged.
func (p *program) readUnknown(s *Stage) {
	if s.with != nil && s.with.Kind == yaml.MappingNode {
		p.template(s.with, scope{what: "a parameter", axes: len(p.spec.Axes), artifacts: true})
	}
}

// dynamic compiles a condition on finished results.
func (p *program) dynamic(n *yaml.Node, sc scope) *code {
	if n.Kind != yaml.ScalarNode {
		d := p.tree.At(n, "%s is one condition", sc.what)
		d.Expected = "CEL"
		p.report(d)
		return nil
	}
	text, offset, sc, ok := p.filled(n, sc)
	if !ok {
		return nil
	}
	c := p.compile(n, offset, text, sc)
	if c == nil || !p.wantBool(c) {
		return nil
	}
	return c
}

func (p *program) readGather(s *Stage, n *yaml.Node) {
	items := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		items = n.Content
	}
	for _, item := range items {
		a := p.axis(item.Value)
		switch {
		case item.Kind != yaml.ScalarNode || a == nil:
			p.noAxis(item)
			s.bad = true
		case slices.Contains(s.Gather, a.Name):
			p.errorAt(item, "axis %s is gathered twice", a.Name)
		default:
			s.Gather = append(s.Gather, a.Name)
			s.gatherNodes = append(s.gatherNodes, item)
			s.gather |= setOf(a.index)
		}
	}
}

// constant is the value of a key that is the same for all instances.
func (p *program) constant(n *yaml.Node, what string) (any, bool) {
	t := p.template(n, scope{what: what})
	if t == nil {
		return nil, false
	}
	v, _, ok := t.value(p.newFrame())
	return v, ok
}

func (p *program) readResources(s *Stage, n *yaml.Node) {
	if !p.wantMapping(n, "resources", "{cores: N, memory: 8 GiB, gpus: N}") {
		return
	}
	number := func(name string, set func(int64)) section {
		return section{name, func(n *yaml.Node) {
			v, ok := p.constant(n, name)
			x, isWhole := v.(int64)
			if text, isText := v.(string); isText && name == "memory" {
				bytes, err := humanize.ParseBytes(text)
				x, isWhole = int64(bytes), err == nil
			}
			if ok && (!isWhole || x < 0) {
				d := p.tree.At(n, "%s is %s", name, expr.Format(v))
				d.Expected = "a whole number, not negative"
				if name == "memory" {
					d.Expected = "bytes, or a size like 8 GiB"
				}
				p.sure(d)
			}
			set(x)
		}}
	}
	p.sections(n, "resources", []section{
		number("cores", func(x int64) { s.Resources.Cores = int(x) }),
		number("memory", func(x int64) { s.Resources.Memory = x }),
		number("gpus", func(x int64) { s.Resources.GPUs = int(x) }),
	})
}

func (p *program) readTimeout(s *Stage, n *yaml.Node) {
	v, ok := p.constant(n, "timeout")
	if !ok {
		return
	}
	var err error
	switch x := v.(type) {
	case int64:
		s.Timeout = time.Duration(x) * time.Second
	case float64:
		s.Timeout = time.Duration(x * float64(time.Second))
	default:
		s.Timeout, err = time.ParseDuration(fmt.Sprint(x))
	}
	if err != nil || s.Timeout <= 0 {
		d := p.tree.At(n, "timeout is %s", expr.Format(v))
		d.Expected = "a time like 90s, 30m or 2h, or seconds"
		if meant := clock(n.Value); meant != "" {
			d.Expected = meant + ", " + d.Expected
			d.Note = "older YAML reads " + n.Value + " as a number to the base of sixty, this one as text: name the units"
		}
		p.sure(d)
	}
}

// clock is a time that text gives with colons, as 1:30 or 1:30:05, with units; "" where it is none.
func clock(text string) string {
	parts := strings.Split(text, ":")
	units := []string{"h", "m", "s"}
	if len(parts) < 2 || len(parts) > len(units) {
		return ""
	}
	out := ""
	for i, unit := range units[len(units)-len(parts):] {
		out += parts[i] + unit
	}
	if _, err := time.ParseDuration(out); err != nil {
		return ""
	}
	return out
}

// oldBooleans are words that YAML 1.1 read as true and false, and YAML 1.2 reads as texts.
var oldBooleans = []string{"yes", "no", "on", "off", "y", "n"}

// readRetry reads a number of attempts, or a condition on the failure.
func (p *program) readRetry(s *Stage, n *yaml.Node) {
	if n.Kind == yaml.ScalarNode && strings.Contains(n.Value, "failure") {
		types := map[string]*cel.Type{"error": cel.StringType, "attempt": cel.DoubleType}
		if c := p.dynamic(n, scope{what: "retry", root: "failure", fields: []string{"error", "attempt"}, types: types}); c != nil {
			s.RetryWhen = p.retryWhen(c)
		}
		return
	}
	v, ok := p.constant(n, "retry")
	x, isWhole := v.(int64)
	if ok && (!isWhole || x < 0 || x > 1000) {
		d := p.tree.At(n, "retry is %s", expr.Format(v))
		d.Expected = "a whole number of further attempts, or CEL such as failure.attempt < 3"
		if _, isBool := v.(bool); isBool || slices.Contains(oldBooleans, strings.ToLower(n.Value)) {
			d.Note = "YAML reads " + n.Value + " as a switch or a text, never as a number: 1 tries once more, 0 does not"
		}
		p.sure(d)
		return
	}
	s.Retry = int(x)
}

// retryWhen evaluates c, which reads failure.error and failure.attempt.
func (p *program) retryWhen(c *code) RetryWhen {
	var evaluating sync.Mutex
	return func(failure string, attempt int) (bool, error) {
		evaluating.Lock()
		defer evaluating.Unlock()
		v, err := c.evalWith(p.newFrame(), func(n *outcomeName) (any, error) {
			fields := map[string]any{"error": failure, "attempt": attempt}
			if len(n.path) == 0 {
				return fields, nil
			}
			return fields[n.path[0]], nil
		})
		if err != nil {
			return false, fmt.Errorf("%s: retry: %w", p.tree.Place(c.node), err)
		}
		again, ok := v.(bool)
		if !ok {
			return false, fmt.Errorf("%s: retry gives %s, want true or false", p.tree.Place(c.node), expr.Format(v))
		}
		return again, nil
	}
}

// stage finds a stage by name.
func (p *program) stage(name string) *Stage {
	for _, s := range p.spec.Stages {
		if s.Name == name {
			return s
		}
	}
	return nil
}

func (p *program) stageNames() []string {
	var out []string
	for _, s := range p.spec.Stages {
		out = append(out, s.Name)
	}
	return out
}
