package specs

import (
	"slices"

	"regft/stages"
)

// finish counts tables' cells, and says what is needed and what saw its own test data.
func (x *expansion) finish(e *Expansion) {
	d := &demand{}
	for _, s := range x.spec.Stages {
		if !s.taken {
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
	for _, s := range x.spec.Studies {
		d.needAll(x.studied(s))
	}
	x.findOracles(e.Instances)
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
	for k, b := range i.Stage.Type.Inputs(i.Runner) {
		if b.Field.Name == copier.CopyOf() {
			out = append(out, i.Refs[k])
		}
	}
	return out
}

// findOracles marks results whose select saw the very data that they report. Producers come first.
func (x *expansion) findOracles(instances []*Instance) {
	for _, i := range instances {
		_, chooses := i.Stage.chooser()
		for k, b := range i.Stage.Type.Inputs(i.Runner) {
			from := i.Refs[k].Instance
			switch {
			case from == nil:
			case chooses && b.Field.Name != i.Stage.Type.OutAs && b.Field.Takes(stages.Scores):
				i.see(data(from))
				i.Oracle = true // its metrics are those that it chose by
			case b.Field.Takes(stages.Classifier) || b.Field.Takes(stages.Adapter) || b.Field.Takes(stages.Any):
				i.see(from.seen)
			}
		}
		i.Oracle = i.Oracle || slices.ContainsFunc(data(i), func(d *Instance) bool { return i.saw(d) })
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
		return s == d || s.Stage.Type.Name == d.Stage.Type.Name && len(s.Refs) == 0 && len(d.Refs) == 0 &&
			stages.CanonicalJSON(s.Stage.Type.Params(s.Runner)) == stages.CanonicalJSON(d.Stage.Type.Params(d.Runner))
	})
}

// data are what i reports its results on.
func data(i *Instance) []*Instance {
	var out []*Instance
	for k, b := range i.Stage.Type.Inputs(i.Runner) {
		if b.Field.Each && i.Refs[k].Instance != nil {
			out = append(out, i.Refs[k].Instance)
		}
	}
	return out
}
