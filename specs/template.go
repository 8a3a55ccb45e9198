package specs

import (
	"strconv"
	"strings"

	"regft/specs/expr"

	"gopkg.in/yaml.v3"
)

// A template is a YAML node whose ${…} are compiled.
type template struct {
	p     *program
	node  *yaml.Node
	parts []part      // of a scalar that holds ${…}
	kids  []*template // elements, or values of a mapping
	axes  axisSet     // mentioned
	fixed bool        // nothing below is to be evaluated
	same  *yaml.Node  // its value, once made, where no axis is mentioned
}

// A part of a scalar is text or ${code}.
type part struct {
	text string
	code *code
}

// template compiles n; nil goes with a report.
func (p *program) template(n *yaml.Node, s scope) *template {
	t := &template{p: p, node: n, fixed: true}
	ok := true
	switch n.Kind {
	case yaml.ScalarNode:
		t.parts, ok = p.parts(n, s)
		t.fixed = t.parts == nil
		for _, part := range t.parts {
			if part.code != nil {
				t.axes |= part.code.axes
			}
		}
	case yaml.SequenceNode:
		for _, c := range n.Content {
			ok = t.add(p.template(c, s)) && ok
		}
	case yaml.MappingNode:
		for i := 1; i < len(n.Content); i += 2 {
			ok = t.add(p.template(n.Content[i], s)) && ok
		}
	}
	if !ok {
		return nil
	}
	return t
}

func (t *template) add(kid *template) bool {
	if kid == nil {
		return false
	}
	t.kids = append(t.kids, kid)
	t.axes |= kid.axes
	t.fixed = t.fixed && kid.fixed
	return true
}

// codes calls f for every expression in t.
func (t *template) codes(f func(*code)) {
	for _, part := range t.parts {
		if part.code != nil {
			f(part.code)
		}
	}
	for _, k := range t.kids {
		k.codes(f)
	}
}

// whole is the expression that is all of t, nil where there is none.
func (t *template) whole() *code {
	if len(t.parts) == 1 {
		return t.parts[0].code
	}
	return nil
}

// parts splits a scalar at its ${…} and compiles them. Without any it is nil.
func (p *program) parts(n *yaml.Node, s scope) (parts []part, ok bool) {
	if !strings.Contains(n.Value, "${") {
		return nil, true
	}
	text := n.Value
	if n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 { // the line end of a block is not part of what it says
		text = strings.TrimRight(text, "\n")
	}
	spans, unclosed := splitText(text)
	if unclosed >= 0 {
		d := p.tree.Within(n, unclosed, unclosed+2, "${ has no }")
		inside := string([]rune(text)[unclosed+2:])
		if at := expr.OpenQuote(inside); at >= 0 {
			at += unclosed + 2
			d = p.tree.Within(n, at, at+1, "this %c has no other that ends its text", []rune(text)[at])
		}
		if n.LineComment != "" {
			d.Note = "YAML reads a # after a space as the start of a comment: quote the text"
		}
		p.sure(d)
		return nil, false
	}
	ok = true
	for _, span := range spans {
		if !span.code {
			parts = append(parts, part{text: span.text})
			continue
		}
		c := p.compile(n, span.start, span.text, s)
		ok = ok && c != nil
		parts = append(parts, part{code: c})
	}
	return parts, ok
}

// A textSpan is plain text or the inside of ${…}.
type textSpan struct {
	text  string
	code  bool
	start int // character of the scalar's value
}

// splitText splits text at ${…}; $${ is a plain ${. unclosed is the character of a ${ without }, -1 for none.
func splitText(text string) (spans []textSpan, unclosed int) {
	runes := []rune(text)
	var plain strings.Builder
	flush := func() {
		if plain.Len() > 0 {
			spans = append(spans, textSpan{text: plain.String()})
			plain.Reset()
		}
	}
	for i := 0; i < len(runes); i++ {
		rest := runes[i:]
		switch {
		case len(rest) > 2 && rest[0] == '$' && rest[1] == '$' && rest[2] == '{':
			plain.WriteString("${")
			i += 2
		case len(rest) > 1 && rest[0] == '$' && rest[1] == '{':
			end := closing(runes, i+2)
			if end < 0 {
				return nil, i
			}
			flush()
			spans = append(spans, textSpan{string(runes[i+2 : end]), true, i + 2})
			i = end
		default:
			plain.WriteRune(rest[0])
		}
	}
	flush()
	if len(spans) == 0 {
		spans = []textSpan{{}}
	}
	return spans, -1
}

// closing is the index of the } that closes what began before i, -1 where there is none. Braces of maps and in texts
// do not count.
func closing(text []rune, i int) int {
	depth := 0
	var quote rune
	for ; i < len(text); i++ {
		c := text[i]
		switch {
		case quote != 0 && c == '\\':
			i++
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '{':
			depth++
		case c == '}' && depth == 0:
			return i
		case c == '}':
			depth--
		}
	}
	return -1
}

// value is t's value at f. given is false where a ${…} that is all of it gives null; ok is false after a report.
func (t *template) value(f *frame) (v any, given, ok bool) {
	if t.fixed && t.node.Kind != yaml.ScalarNode || t.node.Kind == yaml.ScalarNode && t.parts == nil {
		return t.p.literal(t.node), true, true
	}
	switch t.node.Kind {
	case yaml.SequenceNode:
		return t.listValue(f)
	case yaml.MappingNode:
		return t.mapValue(f)
	}
	if c := t.whole(); c != nil {
		v, ok = c.eval(f)
		return v, v != nil, ok
	}
	text, ok := t.text(f)
	return text, true, ok
}

func (t *template) listValue(f *frame) (any, bool, bool) {
	out, all := []any{}, true
	for _, k := range t.kids {
		v, given, ok := k.value(f)
		all = all && ok
		if given {
			out = append(out, v)
		}
	}
	return out, true, all
}

func (t *template) mapValue(f *frame) (any, bool, bool) {
	out, all := expr.NewMap(), true
	for i, k := range t.kids {
		v, _, ok := k.value(f) // null stays: the field is there
		all = all && ok
		if ok {
			out.Set(t.node.Content[2*i].Value, v)
		}
	}
	return out, true, all
}

// text is a scalar with its ${…} put in as text.
func (t *template) text(f *frame) (string, bool) {
	var b strings.Builder
	for _, part := range t.parts {
		if part.code == nil {
			b.WriteString(part.text)
			continue
		}
		v, ok := part.code.eval(f)
		if !ok {
			return "", false
		}
		if v == nil {
			t.p.once(t.node, part.code.offset, func() {
				d := t.p.tree.Within(t.node, part.code.offset, part.code.offset+len([]rune(part.code.program.Text)), "null inside a longer text")
				d.Note = "a ${…} that is null leaves a parameter out only where it is all of it"
				t.p.report(d)
			})
			return "", false
		}
		if values, bytes := expr.Size(v); values > expr.MaxValues || bytes > expr.MaxText {
			t.p.longText(t.node)
			return "", false
		}
		if b.WriteString(expr.Format(v)); b.Len() > expr.MaxText {
			t.p.longText(t.node)
			return "", false
		}
	}
	return b.String(), true
}

// literal is the value of a node without ${…}.
func (p *program) literal(n *yaml.Node) any {
	switch n.Kind {
	case yaml.SequenceNode:
		out := make([]any, 0, len(n.Content))
		for _, c := range n.Content {
			out = append(out, p.literal(c))
		}
		return out
	case yaml.MappingNode:
		out := expr.NewMap()
		for i := 0; i+1 < len(n.Content); i += 2 {
			out.Set(n.Content[i].Value, p.literal(n.Content[i+1]))
		}
		return out
	}
	return scalar(n)
}

// scalar is the value of a single node, without its ${…}.
func scalar(n *yaml.Node) any {
	switch n.Tag {
	case "!!null":
		return nil
	case "!!bool":
		return strings.EqualFold(n.Value, "true")
	case "!!int":
		if i, err := strconv.ParseInt(strings.ReplaceAll(n.Value, "_", ""), 0, 64); err == nil {
			return i
		}
		fallthrough
	case "!!float":
		var x float64
		if n.Decode(&x) == nil {
			return expr.Number(x)
		}
	}
	return n.Value
}
