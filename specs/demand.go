package specs

import (
	"slices"

	"regft/stages"
)

// finish counts tables' cells, and says what is needed and what saw its own test data.
func (x *expansion) finish(e *Expansion) {
	d := &demand{}
	for _, s := range x.spec.Stages {
		if !s.taken && !s.bad {
			for _, i := range s.instances {
				d.need(i)
			}
		}
	}
	e.Cells = map[string][]Cell{}
	for _, t := range x.spec.Tables {
		cells := x.cells(t)
		e.Cells[t.Name] = cells
		for _, c := range cells {
			d.needAll(c.Instances)
		}
	}
	e.Contrasts = map[string][]Contrast{}
	for _, s := range x.spec.Studies {
		contrasts := x.contrasts(s)
		e.Contrasts[s.Name] = contrasts
		for _, c := range contrasts {
			for _, p := range c.Pairs {
				d.needAll(p.Reference.Instances)
				d.needAll(p.Changed.Instances)
			}
		}
	}
	x.findOracles(e.Instances)
	x.checkNoise(e)
}

// demand marks what is needed, and what that needs.
type demand struct{ open []*Instance }

func (d *demand) needAll(instances []*Instance) {
	for _, i := range instances {
		d.need(i)
	}
}

func (d *demand) need(i *Instance) {
	d.mark(i)
	for len(d.open) > 0 {
		next := d.open[len(d.open)-1]
		d.open = d.open[:len(d.open)-1]
		for _, r := range taken(next) {
			if r.Instance != nil {
				d.mark(r.Instance)
			}
		}
		if next.When != nil {
			for _, r := range next.When.Refs {
				d.mark(r)
			}
		}
	}
}

func (d *demand) mark(i *Instance) {
	if !i.Needed {
		i.Needed = true
		d.open = append(d.open, i)
	}
}

// taken is what i takes: only its parent, where its output would equal that.
func taken(i *Instance) []Ref {
	copier, ok := i.Runner.(stages.Copier)
	if !ok || copier.CopyOf() == "" {
		return i.Refs
	}
	var out []Ref
	for _, r := range i.Refs {
		if r.field.Name == copier.CopyOf() {
			out = append(out, r)
		}
	}
	return out
}

// findOracles marks results whose select saw the very data that they report. Producers come first.
func (x *expansion) findOracles(instances []*Instance) {
	for _, i := range instances {
		for _, r := range i.Refs {
			switch {
			case r.Instance == nil:
			case r.scores(i.Stage):
				i.see(r.Instance.Data())
				i.Oracle = true // its metrics are those that it chose by
			case !r.field.Each:
				i.see(r.Instance.seen)
			}
		}
		i.Oracle = i.Oracle || i.seen != nil && slices.ContainsFunc(i.Data(), i.saw)
	}
}

// see notes data that i was chosen by.
func (i *Instance) see(seen []*Instance) {
	for _, d := range seen {
		if !slices.Contains(i.seen, d) {
			i.seen = append(slices.Clip(i.seen), d)
		}
	}
}

// saw reports whether d, or the same data under another name, is among what i was chosen by.
func (i *Instance) saw(d *Instance) bool {
	return slices.ContainsFunc(i.seen, func(s *Instance) bool {
		return s == d || s.Refs == nil && d.Refs == nil && s.identity() == d.identity()
	})
}

// identity tells instances that take nothing apart, by what they are and not by what they are called.
func (i *Instance) identity() string {
	if i.same == "" {
		i.same = i.Stage.Type.Name + stages.CanonicalJSON(i.Stage.Type.Params(i.Runner))
	}
	return i.same
}

// Seen is the data that i was chosen by, or what it was made from.
func (i *Instance) Seen() []*Instance { return i.seen }

// Data are the data that i reports its results on.
func (i *Instance) Data() []*Instance {
	var out []*Instance
	for _, r := range i.Refs {
		if r.field.Each && r.Instance != nil {
			out = append(out, r.Instance)
		}
	}
	return out
}
