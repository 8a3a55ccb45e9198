package specs

import (
	"regft/specs/expr"

	"gopkg.in/yaml.v3"
)

// The limits of what a spec makes of its text: far above any experiment, and below what would fill the memory.
const (
	maxExpressions = 10_000
	maxMade        = 128 << 20 // bytes of all values that expressions make, …
	valueBytes     = 32        // … a value counting so many beside its text
)

// made counts v, which an expression at n made, against the limits. It reports whether v is within them.
func (p *program) made(n *yaml.Node, v any) bool {
	values, bytes := expr.Size(v)
	switch p.madeBytes += values*valueBytes + bytes; {
	case values > expr.MaxValues:
		p.once(n, 0, func() { p.errorAt(n, "this makes more than %d values", expr.MaxValues) })
	case bytes > maxMade:
		p.once(n, 0, func() { p.errorAt(n, "this makes more than %d bytes of text", maxMade) })
	case p.madeBytes > maxMade:
		p.once(p.tree.Root, 0, func() {
			d := p.tree.At(n, "what expressions make here is more than %d MiB, with all that those before made", maxMade>>20)
			d.Note = "a long text or list that differs at every point: let a stage read it from a file"
			p.report(d)
		})
	default:
		return true
	}
	return false
}

// countExpression counts an expression at n against the limit of a spec.
func (p *program) countExpression(n *yaml.Node) bool {
	if p.expressions++; p.expressions <= maxExpressions {
		return true
	}
	p.once(p.tree.Root, 1, func() { p.errorAt(n, "a spec has at most %d expressions", maxExpressions) })
	return false
}

// longText reports a text at n that ${…} made too long.
func (p *program) longText(n *yaml.Node) {
	p.once(n, 0, func() { p.errorAt(n, "with what is put in, this text is longer than %d bytes", expr.MaxText) })
}
