package specs

import (
	"regft/specs/expr"

	"github.com/google/cel-go/common/types"
)

// quick judges a condition on numbers and texts of axes whose values are known, without CEL's machinery.
type quick struct {
	test  *expr.Test
	slots expr.Slots
	fills []fill
}

// A fill puts a part of an axis' value, by id, into a slot.
type fill struct {
	axis    int
	slot    int
	numbers []float64
	texts   []string
}

// newQuick is c in that form, nil where it has none.
func newQuick(p *program, c *code) *quick {
	q := &quick{test: c.program.Test()}
	if q.test == nil {
		return nil
	}
	q.slots = expr.Slots{Numbers: make([]float64, len(q.test.Numbers)), Texts: make([]string, len(q.test.Texts))}
	for i, name := range q.test.Numbers {
		if !q.fill(p, c, name, i, false) {
			return nil
		}
	}
	for i, name := range q.test.Texts {
		if !q.fill(p, c, name, i, true) {
			return nil
		}
	}
	return q
}

// fill prepares the slot of a variable; false where its values are not known beforehand.
func (q *quick) fill(p *program, c *code, name string, slot int, text bool) bool {
	v := c.variable(name)
	if v.fixed != nil {
		return q.set(slot, v.fixed, text, nil)
	}
	a := p.spec.Axes[v.axis]
	if v.changed || !a.known {
		return false
	}
	f := fill{axis: v.axis, slot: slot}
	for _, value := range a.values {
		if !q.set(slot, v.of(value), text, &f) {
			return false
		}
	}
	q.fills = append(q.fills, f)
	return true
}

// set keeps a value: in the slot, or with those of f.
func (q *quick) set(slot int, value any, text bool, f *fill) bool {
	switch x := value.(type) {
	case types.String:
		if f == nil && text {
			q.slots.Texts[slot] = string(x)
		} else if text {
			f.texts = append(f.texts, string(x))
		}
		return text
	case types.Int:
		return !text && q.number(slot, float64(x), f)
	case types.Double:
		return !text && q.number(slot, float64(x), f)
	}
	return false
}

func (q *quick) number(slot int, x float64, f *fill) bool {
	if f == nil {
		q.slots.Numbers[slot] = x
	} else {
		f.numbers = append(f.numbers, x)
	}
	return true
}

// holds judges at a frame. It is not sure where an axis has no value, or CEL might say more.
func (q *quick) holds(frame *frame) (holds, sure bool) {
	for i := range q.fills {
		f := &q.fills[i]
		id := frame.ids[f.axis]
		switch {
		case id == noValue:
			return false, false
		case f.texts != nil:
			q.slots.Texts[f.slot] = f.texts[id]
		default:
			q.slots.Numbers[f.slot] = f.numbers[id]
		}
	}
	return q.test.Holds(&q.slots)
}
