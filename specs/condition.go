package specs

import (
	"slices"
	"strings"

	"regft/specs/expr"

	"gopkg.in/yaml.v3"
)

// What a condition may be, over all that is not bound yet.
const (
	mayBeFalse = 1 << iota
	mayBeTrue
	mayFail
)

// maxTable is how many combinations of values a condition is evaluated for beforehand.
const maxTable = 1 << 17

// A filter is where, or one conjunct of it, or one of exclude: a condition on points of the product.
type filter struct {
	code    *code
	exclude bool
	node    *yaml.Node
	last    int // the axis at which all that it mentions is bound

	// For few combinations there are tables: levels[k] says what the filter may be when the first k of dims are bound,
	// so that whole branches of the product need no look.
	quick  *quick // where there are too many, and the filter is of numbers and texts
	dims   []dimension
	levels [][]uint8
	at     []int // index into each level, while points are enumerated

	proven bool // of an exclude: it removes a point that where keeps
}

// A dimension of a filter's table is an axis, by its values or by whether it differs from the baseline.
type dimension struct {
	axis int
	bit  bool
	size int
}

// readWhere reads sweep.where. Its conjuncts are judged one by one, each as soon as its axes are bound.
func (p *program) readWhere(n *yaml.Node) {
	if n.Kind != yaml.ScalarNode {
		d := p.tree.At(n, "where is one condition")
		d.Expected = "CEL; conditions that must all hold are joined with &&"
		p.report(d)
		return
	}
	p.where = n
	text, offset, s, ok := p.filled(n, p.pointScope())
	if !ok {
		p.whereBad = true
		return
	}
	for _, c := range conjuncts(text) {
		code := p.condition(n, offset+c.start, c.text, s)
		if code == nil {
			p.whereBad = true
			continue
		}
		p.filters = append(p.filters, &filter{code: code, node: n})
	}
	p.tie(p.filters)
}

// readExclude reads sweep.exclude.
func (p *program) readExclude(n *yaml.Node) {
	items := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		items = n.Content
	}
	for _, item := range items {
		if item.Kind != yaml.ScalarNode {
			d := p.tree.At(item, "exclude takes conditions")
			d.Expected = `CEL, as in sweep.style.key == "sketch" && sweep.guidance == 1`
			p.report(d)
			p.whereBad = true
			continue
		}
		text, offset, s, ok := p.filled(item, p.pointScope())
		if !ok {
			p.whereBad = true
			continue
		}
		if code := p.condition(item, offset, text, s); code != nil {
			f := &filter{code: code, exclude: true, node: item}
			p.filters = append(p.filters, f)
			p.tie([]*filter{f})
		} else {
			p.whereBad = true
		}
	}
}

// tie notes axes that a condition mentions together.
func (p *program) tie(filters []*filter) {
	var axes axisSet
	for _, f := range filters {
		axes |= f.code.axes
	}
	p.ties = append(p.ties, axes)
}

// pointScope is what a condition on points may mention.
func (p *program) pointScope() scope {
	return scope{what: "a condition on points", axes: len(p.spec.Axes)}
}

// condition compiles CEL that must give true or false.
func (p *program) condition(n *yaml.Node, offset int, text string, s scope) *code {
	c := p.compile(n, offset, text, s)
	if c == nil || !p.wantBool(c) {
		return nil
	}
	return c
}

func (p *program) wantBool(c *code) bool {
	word := expr.TypeWord(c.program.Type)
	if word == "true or false" || word == "a value" {
		return true
	}
	d := p.tree.Within(c.node, c.offset, c.offset+len([]rune(c.program.Text)), "a condition gives true or false, this gives %s", word)
	d.Expected = "a comparison, as in X > 0.5 or X == \"y\""
	p.report(d)
	return false
}

// splitCEL is splitText of a scalar that is CEL by nature, where white space around ${} around the whole means nothing.
func splitCEL(n *yaml.Node) (spans []textSpan, unclosed int) {
	spans, unclosed = splitText(n.Value)
	if unclosed >= 0 {
		return spans, unclosed
	}
	said := slices.DeleteFunc(slices.Clone(spans), func(s textSpan) bool { return !s.code && strings.TrimSpace(s.text) == "" })
	if len(said) == 1 && said[0].code {
		return said, -1
	}
	return spans, -1
}

// bare is the CEL of a scalar that is CEL by nature: with or without ${} around the whole.
func bare(n *yaml.Node) (text string, offset int) {
	spans, unclosed := splitCEL(n)
	if unclosed < 0 && len(spans) == 1 && spans[0].code {
		return spans[0].text, spans[0].start
	}
	return n.Value, 0
}

// putIn is what ${…} inside the text of a condition is called.
const putIn = "what is put into a condition"

// filled is the CEL of a scalar that is CEL by nature, as bare gives it; ${…} inside the text is put in as text first, and
// what is put in must be the same at every point: vars, file(), seed. Such text has no places in the file (scope.whole).
func (p *program) filled(n *yaml.Node, s scope) (text string, offset int, _ scope, ok bool) {
	spans, unclosed := splitCEL(n)
	if unclosed < 0 && (len(spans) < 2 || !slices.ContainsFunc(spans, func(s textSpan) bool { return s.code })) {
		text, offset = bare(n)
		return text, offset, s, true
	}
	t := p.template(n, scope{what: putIn})
	if t == nil {
		return "", 0, s, false
	}
	text, ok = t.text(p.newFrame())
	s.whole = true
	return text, 0, s, ok
}

// conjuncts splits text at the && that join the whole.
func conjuncts(text string) []textSpan {
	runes := []rune(text)
	var out []textSpan
	depth, from := 0, 0
	var quote rune
	for i := 0; i < len(runes); i++ {
		c := runes[i]
		twice := i+1 < len(runes) && runes[i+1] == c
		switch {
		case quote != 0 && c == '\\':
			i++
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case slices.Contains([]rune("([{"), c):
			depth++
		case slices.Contains([]rune(")]}"), c):
			depth--
		case depth == 0 && (c == '?' || c == '|' && twice): // binds weaker than &&
			return []textSpan{{text: text}}
		case depth == 0 && c == '&' && twice:
			out = append(out, textSpan{text: string(runes[from:i]), start: from})
			i++
			from = i + 1
		}
	}
	return append(out, textSpan{text: string(runes[from:]), start: from})
}

// prepare says when f is judged, and makes its tables where that is cheap.
func (f *filter) prepare(p *program) {
	f.last = f.code.axes.last()
	size := 1
	for _, axis := range f.code.axes.list() {
		d := f.dimension(p, axis)
		if d.size == 0 || size*d.size > maxTable {
			f.dims = nil
			f.quick = newQuick(p, f.code)
			return
		}
		size *= d.size
		f.dims = append(f.dims, d)
	}
	if len(f.dims) == 0 {
		return
	}
	f.at = make([]int, len(f.dims)+1)
	f.fill(p)
}

// dimension is how axis counts in f. A size of 0 is an axis whose values are not known.
func (f *filter) dimension(p *program, axis int) dimension {
	a := p.spec.Axes[axis]
	mentioned := slices.ContainsFunc(f.code.vars, func(v *variable) bool { return v.fixed == nil && !v.changed && v.axis == axis })
	switch {
	case !mentioned:
		return dimension{axis: axis, bit: true, size: 2}
	case a.known && !slices.Contains(a.own, noValue):
		return dimension{axis: axis, size: len(a.values)}
	}
	return dimension{axis: axis}
}

// fill evaluates f for every combination, then says for every beginning of one what f may be.
func (f *filter) fill(p *program) {
	frame := p.newFrame()
	sizes := []int{1}
	for _, d := range f.dims {
		sizes = append(sizes, sizes[len(sizes)-1]*d.size)
	}
	n := len(f.dims)
	f.levels = make([][]uint8, n+1)
	f.levels[n] = make([]uint8, sizes[n])
	for i := range f.levels[n] {
		for k, rest := n-1, i; k >= 0; k-- {
			d := f.dims[k]
			frame.ids[d.axis] = d.id(p, rest%d.size)
			rest /= d.size
		}
		f.levels[n][i] = f.judge(frame)
	}
	for k := n - 1; k >= 0; k-- {
		f.levels[k] = make([]uint8, sizes[k])
		for i := range f.levels[k+1] {
			f.levels[k][i/f.dims[k].size] |= f.levels[k+1][i]
		}
	}
}

// id is the value that digit stands for.
func (d dimension) id(p *program, digit int) int32 {
	switch {
	case !d.bit:
		return int32(digit)
	case digit == 0:
		return p.spec.Axes[d.axis].base
	}
	return noValue // differs from every baseline
}

// digit is the place of value id in the dimension.
func (d dimension) digit(p *program, id int32) int {
	switch {
	case !d.bit:
		return int(id)
	case id == p.spec.Axes[d.axis].base:
		return 0
	}
	return 1
}

// judge evaluates f at a frame in which its axes are bound.
func (f *filter) judge(frame *frame) uint8 {
	if f.quick != nil {
		if yes, sure := f.quick.holds(frame); sure {
			return map[bool]uint8{true: mayBeTrue, false: mayBeFalse}[yes]
		}
	}
	v, err := f.code.try(frame)
	yes, isBool := v.(bool)
	switch {
	case err != nil || !isBool:
		return mayFail
	case yes:
		return mayBeTrue
	}
	return mayBeFalse
}
