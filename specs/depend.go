package specs

import (
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// An edge is a stage that another takes, and where it says so.
type edge struct {
	to     *Stage
	node   *yaml.Node
	offset int
	start  int
	end    int
	reads  bool // it reads a result (when), it takes no artifact
}

// edges lists what s takes or reads.
func (x *expansion) edges(s *Stage) []edge {
	var out []edge
	add := func(c *code, reads bool) {
		for _, m := range c.stages {
			if to := x.stage(m.stage); to != nil {
				out = append(out, edge{to, c.node, c.offset, m.Start, m.End, reads})
			}
		}
		if c.computed {
			for _, name := range x.chosenBy(c) {
				out = append(out, edge{x.stage(name), c.node, c.offset, 0, len([]rune(c.program.Text)), reads})
			}
		}
	}
	s.codes(func(c *code) { add(c, false) })
	if s.when != nil {
		add(s.when, true)
	}
	return out
}

// chosenBy lists the stages that stages[E] in c names at some point. A name that is no stage is reported.
func (x *expansion) chosenBy(c *code) []string {
	if out, done := x.chosen[c]; done {
		return out
	}
	x.named = map[string]bool{}
	points := x.layout(c.axes).first
	if len(x.ids) == 0 && c.axes == 0 { // it names the same stage at all points, though there are none
		points = []int32{noValue}
	}
	f := x.newFrame()
	for _, i := range points {
		if i != noValue {
			f.ids = x.ids[i]
		}
		x.named[""] = false
		if _, err := c.try(f); err != nil && x.named[""] {
			c.eval(f) // reports
		}
	}
	var out []string
	for _, s := range x.spec.Stages {
		if x.named[s.Name] {
			out = append(out, s.Name)
		}
	}
	x.chosen[c] = out
	return out
}

// order sorts the stages so that producers come first, else as in the file, and reports cycles.
func (x *expansion) order() []*Stage {
	const (
		unseen = iota
		open
		done
	)
	state := map[*Stage]int{}
	var out, path []*Stage
	var visit func(s *Stage)
	visit = func(s *Stage) {
		state[s] = open
		path = append(path, s)
		for _, e := range x.edges(s) {
			switch state[e.to] {
			case open:
				x.cycle(path[slices.Index(path, e.to):], e)
			case unseen:
				visit(e.to)
			}
			if !slices.Contains(s.inputs, e.to) {
				s.inputs = append(s.inputs, e.to)
			}
			e.to.taken = e.to.taken || !e.reads
		}
		path = path[:len(path)-1]
		state[s] = done
		out = append(out, s)
	}
	for _, s := range x.spec.Stages {
		if state[s] == unseen {
			visit(s)
		}
	}
	return out
}

// cycle reports stages that need each other; e closes the cycle.
func (x *expansion) cycle(path []*Stage, e edge) {
	var names []string
	for _, s := range path {
		names = append(names, s.Name)
		s.bad = true
	}
	d := x.tree.Within(e.node, e.offset+e.start, e.offset+e.end, "stages need each other: %s", strings.Join(append(names, path[0].Name), " → "))
	d.Note = "an arrow points to what a stage takes"
	if !x.cycles[d.Summary] {
		x.cycles[d.Summary] = true
		x.report(d)
	}
}

// depend says which axes s depends on: those that it mentions, those of what it takes, and those tied to what it
// gathers; less what it gathers. The stages that s takes have theirs.
func (x *expansion) depend(s *Stage) {
	mentioned := axisSet(0)
	s.codes(func(c *code) { mentioned |= c.axes })
	if s.when != nil {
		mentioned |= s.when.axes
	}
	inherited := axisSet(0)
	for _, e := range x.edges(s) {
		inherited |= e.to.over
		if s.gather&e.to.over != 0 && e.reads {
			x.report(x.tree.Within(e.node, e.offset+e.start, e.offset+e.end, "stage %s has a result for every value of axis %s, which is gathered here", e.to.Name, x.axesText(s.gather&e.to.over)))
			s.bad = true
		}
		s.bad = s.bad || e.to.bad
	}
	x.checkMentions(s, mentioned)
	s.inherited = inherited
	s.over = mentioned | inherited
	for _, tie := range x.ties {
		if tie&s.gather != 0 {
			s.over |= tie
		}
	}
	s.over &^= s.gather
	s.Over = []string{}
	for _, a := range s.over.list() {
		s.Over = append(s.Over, x.spec.Axes[a].Name)
		s.bad = s.bad || x.spec.Axes[a].bad
	}
}

// checkMentions reports gathered axes that the stage itself mentions.
func (x *expansion) checkMentions(s *Stage, mentioned axisSet) {
	for _, name := range s.Gather {
		if a := x.axis(name); mentioned.has(a.index) {
			s.bad = true
			x.mentionOfGathered(s, a)
		}
	}
}

// checkAxes reports axes that s is written to depend on, or to gather, and does not. A mistake may have hidden one: then
// nothing is said.
func (x *expansion) checkAxes(s *Stage) {
	if s.bad || slices.ContainsFunc(s.params, func(pr *param) bool { return pr.bad }) {
		return
	}
	for i, name := range s.Gather {
		if a := x.axis(name); !s.inherited.has(a.index) && !a.bad {
			d := x.tree.At(s.gatherNodes[i], "nothing that stage %s takes depends on axis %s", s.Name, name)
			if names := x.axisList(s.inherited); len(names) > 0 {
				d.Expected = listNames(names)
			}
			x.report(d)
			s.bad = true
		}
	}
	for _, a := range (s.pool &^ s.inherited).list() {
		x.report(x.tree.At(s.key, "nothing that stage %s takes depends on axis %s, which it pools", s.Name, x.spec.Axes[a].Name))
		s.bad = true
	}
	if !s.bad && s.assert != nil && s.assert.axes&^s.over != 0 {
		d := x.tree.Within(s.assert.node, s.assert.offset, s.assert.offset+len([]rune(s.assert.program.Text)),
			"stage %s does not depend on axis %s, so its assert cannot mention it", s.Name, x.axesText(s.assert.axes&^s.over))
		d.Expected = listNames(s.Over)
		d.Note = "the stage is the same at all values of that axis: its result has no one of them"
		x.report(d)
		s.bad = true
	}
}

func (x *expansion) mentionOfGathered(s *Stage, a *Axis) {
	report := func(c *code) {
		if !c.axes.has(a.index) {
			return
		}
		d := x.tree.Within(c.node, c.offset, c.offset+len([]rune(c.program.Text)), "axis %s is gathered by stage %s: here it has all its values at once", a.Name, s.Name)
		d.Note = "a stage that gathers an axis has one instance for all its values"
		x.report(d)
	}
	s.codes(report)
	if s.when != nil {
		report(s.when)
	}
}

func (x *expansion) axisList(axes axisSet) []string {
	var names []string
	for _, a := range axes.list() {
		names = append(names, x.spec.Axes[a].Name)
	}
	return names
}

func (x *expansion) axesText(axes axisSet) string {
	return fmt.Sprint(strings.Join(x.axisList(axes), ", "))
}
