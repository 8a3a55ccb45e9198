package specs

import (
	"reflect"
	"strings"

	"regft/specs/expr"
	"regft/stages"

	"github.com/google/cel-go/cel"
	"gopkg.in/yaml.v3"
)

// readWith compiles the parameters of s.
func (p *program) readWith(s *Stage) {
	if s.with == nil {
		s.with = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	}
	if !p.wantMapping(s.with, "with", "{PARAMETER: VALUE, …}") {
		s.bad, s.with = true, nil
		return
	}
	for i := 0; i+1 < len(s.with.Content); i += 2 {
		key, node := s.with.Content[i], s.with.Content[i+1]
		f, known := s.Type.Field(key.Value)
		pr := &param{field: f, key: key, node: node}
		switch {
		case !known:
			pr.bad = true // Decode reports it
			pr.field.Name = key.Value
		case p.faulty(node):
			pr.bad = true
		case f.Kinds != nil:
			p.readArtifacts(pr)
		case f.CEL != "" && node.Kind == yaml.ScalarNode && node.Tag != "!!null":
			p.readCEL(pr)
		default:
			pr.plain = p.template(node, scope{what: "a parameter", axes: len(p.spec.Axes)})
			pr.bad = pr.plain == nil
		}
		if known && f.Axes != "" && !pr.bad {
			p.readPool(s, pr)
		}
		s.params = append(s.params, pr)
	}
}

// readArtifacts compiles a parameter that takes artifacts.
func (p *program) readArtifacts(pr *param) {
	n := pr.node
	switch {
	case n.Tag == "!!null":
		d := p.tree.At(n, "%s: null is no value of it", pr.field.Name)
		d.Expected = pr.field.TypeName() + ", or nothing at all"
		p.report(d)
		pr.bad = true
	case pr.field.Map && n.Kind == yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			p.readSlot(pr, n.Content[i].Value, n.Content[i+1])
		}
	case pr.field.Map, n.Kind == yaml.MappingNode, n.Kind == yaml.SequenceNode && !pr.field.List():
		d := p.tree.At(n, "%s takes %s, this is %s", pr.field.Name, pr.field.TypeName(), nodeWord(n))
		d.Expected = "stages.NAME"
		if pr.field.Map {
			d.Expected = "{NAME: stages.NAME, …}"
		}
		p.report(d)
		pr.bad = true
	case n.Kind == yaml.SequenceNode:
		pr.list = true
		for _, c := range n.Content {
			p.readSlot(pr, "", c)
		}
	default:
		p.readSlot(pr, "", n)
	}
}

func (p *program) readSlot(pr *param, key string, n *yaml.Node) {
	sl := &slot{key: key, node: n}
	sc := scope{what: "a parameter that takes artifacts", axes: len(p.spec.Axes), artifacts: true}
	switch {
	case n.Kind != yaml.ScalarNode || n.Tag == "!!null":
		d := p.tree.At(n, "%s takes %s here, this is %s", pr.field.Name, kindWords(pr.field), nodeWord(n))
		d.Expected = "stages.NAME"
		p.report(d)
	case pr.field.Path && strings.HasPrefix(n.Value, "stages."):
		d := p.tree.At(n, "%s takes a path here, and %s is plain text", pr.field.Name, n.Value)
		d.Expected = `"${` + n.Value + `}"`
		d.Note = "an artifact stands in ${} where plain text is a path; ./" + n.Value + " is a file of that name"
		p.report(d)
	case pr.field.Path && !strings.Contains(n.Value, "${"):
		sl.path = p.template(n, sc)
	default:
		text, offset := bare(n)
		spans, _ := splitCEL(n)
		if whole := len(spans) == 1 && spans[0].code; pr.field.Path && !whole {
			sl.path = p.template(n, scope{what: "a path", axes: len(p.spec.Axes)})
			break
		}
		if sl.code = p.compile(n, offset, text, sc); sl.code != nil && !p.wantArtifact(pr, sl) {
			sl.code = nil
		}
	}
	if sl.code == nil && sl.path == nil {
		pr.bad = true
		return
	}
	pr.slots = append(pr.slots, sl)
}

func nodeWord(n *yaml.Node) string {
	switch n.Kind {
	case yaml.SequenceNode:
		return "a list"
	case yaml.MappingNode:
		return "a mapping"
	}
	return n.Value
}

// kindWords is what one place of f takes.
func kindWords(f stages.Field) string {
	f.Map = false
	if f.List() {
		f.Type = reflect.TypeFor[stages.Input]()
	}
	if f.Path {
		return "a path, or " + f.TypeName() + " in ${}"
	}
	return f.TypeName()
}

// wantArtifact reports CEL that cannot give an artifact.
func (p *program) wantArtifact(pr *param, sl *slot) bool {
	word := expr.TypeWord(sl.code.program.Type)
	switch word {
	case "an artifact", "a value", "a list", "null":
		return true
	case "a text":
		if pr.field.Path {
			return true
		}
	}
	d := p.tree.At(sl.node, "%s takes %s, this is %s", pr.field.Name, pr.field.TypeName(), word)
	d.Expected = "stages.NAME"
	p.report(d)
	return false
}

// readPool reads a parameter that lists axes.
func (p *program) readPool(s *Stage, pr *param) {
	v, _, ok := pr.plain.value(p.newFrame())
	names, isList := v.([]any)
	if !ok || !isList {
		return // Decode reports it
	}
	for i, name := range names {
		at := pr.node
		if i < len(at.Content) {
			at = at.Content[i]
		}
		text, _ := name.(string)
		a := p.axis(text)
		switch {
		case a == nil:
			n := *at
			n.Value = expr.Format(name)
			d := p.tree.At(at, "there is no axis %q", n.Value)
			d.Nearest, d.Expected = expr.Nearest(n.Value, p.axisNames()), listNames(p.axisNames())
			p.misnamed(d)
			pr.bad = true
		case pr.field.Axes == "replicates" && !a.Replicates && !a.bad:
			d := p.tree.At(at, "axis %s has no replicates", a.Name)
			d.Expected = a.Name + ": {replicates: […]}"
			d.Note = "only replicates choose together: other axes are gathered"
			p.report(d)
			pr.bad = true
		case s.gather.has(a.index):
			p.errorAt(at, "axis %s is gathered and pooled", a.Name)
			pr.bad = true
		default:
			s.pool |= setOf(a.index)
		}
	}
}

// codes calls f for every expression of s that is evaluated when the plan is made: those of its parameters.
func (s *Stage) codes(f func(*code)) {
	for _, pr := range s.params {
		pr.codes(f)
	}
}

func (pr *param) codes(f func(*code)) {
	if pr.plain != nil {
		pr.plain.codes(f)
	}
	for _, sl := range pr.slots {
		if sl.code != nil {
			f(sl.code)
		} else {
			sl.path.codes(f)
		}
	}
	if pr.cel != nil {
		pr.cel.codes(f)
	}
}

// A celParam is a parameter that is CEL by nature: expression, or text into which ${…} are put.
type celParam struct {
	code *code     // where nothing is put in
	text *template // where something is
}

func (c *celParam) codes(f func(*code)) {
	if c.code != nil {
		f(c.code)
	} else {
		c.text.codes(f)
	}
}

// readCEL compiles a parameter that is CEL by nature.
func (p *program) readCEL(pr *param) {
	n := pr.node
	spans, unclosed := splitCEL(n)
	inserted := unclosed >= 0 || len(spans) > 1 && strings.Contains(n.Value, "${")
	if inserted {
		text := p.template(n, scope{what: "a parameter", axes: len(p.spec.Axes)})
		if pr.bad = text == nil; !pr.bad {
			pr.cel = &celParam{text: text}
		}
		return
	}
	text, offset := bare(n)
	c := p.compile(n, offset, text, p.celScope(pr.field))
	pr.bad = c == nil || pr.field.CEL == "image" && len(c.outcomes) > 0 && !p.wantBool(c)
	if !pr.bad {
		pr.cel = &celParam{code: c}
	}
}

// celScope is what CEL of parameter f may mention.
func (p *program) celScope(f stages.Field) scope {
	types := map[string]*cel.Type{}
	for name, is := range f.Types {
		types[name] = map[string]*cel.Type{"number": cel.DoubleType, "text": cel.StringType, "bool": cel.BoolType}[is]
	}
	return scope{what: f.Name, axes: len(p.spec.Axes), root: f.CEL, fields: f.Names, types: types}
}

// checkKinds reports artifacts of a wrong kind as far as the types alone say it: also in stages that have no instances.
func (p *program) checkKinds(s *Stage) {
	for _, pr := range s.params {
		for _, sl := range pr.slots {
			if sl.code == nil || len(sl.code.stages) != 1 || sl.code.program.Text != "stages."+sl.code.stages[0].stage {
				continue
			}
			from := p.stage(sl.code.stages[0].stage)
			if from.Type.Name == "" {
				continue
			}
			if kind, fixed := from.Type.FixedOut(); fixed && !pr.field.Takes(kind) {
				p.report(p.wrongKind(sl, pr.field, from, kind))
				s.bad = true
			}
		}
	}
}
