package specs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"regft/specs/expr"

	"gopkg.in/yaml.v3"
)

// The limits of a sweep.
const (
	usualPoints = 200_000 // where the spec says no other
	mostPoints  = 10_000_000
	maxLooks    = 100_000_000 // at combinations that are not ruled out early …
	judging     = 10          // … as which an evaluation counts
)

// A product enumerates the product of the axes, and keeps what the filters let through.
type product struct {
	*program
	ctx      context.Context
	frame    *frame
	byAxis   [][]*filter // judged when the axis is bound
	unproven int         // excludes that have removed nothing yet
	removing []*filter   // excludes that remove what is being looked at
	failed   []*filter   // filters that could not be judged here
	computed []map[string][]int32
	out      []int32 // points, one after the other
	looks    int
	pause    int // when to see whether the work is still wanted
	err      error
	broken   bool // a computed axis has mistakes
	failures int  // points at which a filter could not be judged; the first one is …
	failing  *filter
	at       frame // … this
	where    bool  // where kept something
}

// errFailed ends an enumeration after a report.
var errFailed = errors.New("reported")

// points enumerates all points, by the ids of their values.
func (p *program) points(ctx context.Context) ([][]int32, error) {
	e := &product{program: p, ctx: ctx, frame: p.newFrame(), byAxis: make([][]*filter, len(p.spec.Axes)), computed: make([]map[string][]int32, len(p.spec.Axes))}
	for _, f := range p.filters {
		f.prepare(p)
		if f.exclude {
			e.unproven++
		}
		if f.last >= 0 && f.dims == nil {
			e.byAxis[f.last] = append(e.byAxis[f.last], f)
		}
		for _, d := range f.dims {
			e.byAxis[d.axis] = append(e.byAxis[d.axis], f)
		}
	}
	if e.constants() {
		e.bind(0)
	}
	if e.failures > 0 {
		e.explain()
		return nil, errFailed
	}
	if e.broken {
		return nil, errFailed
	}
	if e.err != nil {
		return nil, e.err
	}
	if !e.where && p.where != nil {
		if !p.blamed[p.where] {
			p.report(p.keepsNothing())
		}
		return nil, errFailed
	}
	points := e.split()
	more, err := e.includedPoints(points)
	return append(points, more...), err
}

// keepsNothing is the mistake of a where that no combination of values meets: it names a part that none does.
func (p *program) keepsNothing() Diagnostic {
	d := p.tree.At(p.where, "where keeps no point")
	d.Note = "no combination of the axes' values makes it true"
	for _, f := range p.filters {
		if text := strings.TrimSpace(f.code.program.Text); !f.exclude && f.dims != nil && f.levels[0][0]&mayBeTrue == 0 && len(p.filters) > 1 {
			d.Note = "never true: " + text
			break
		}
	}
	return d
}

// constants judges filters that mention no axis; false: they keep nothing.
func (e *product) constants() bool {
	keep := true
	for _, f := range e.filters {
		if f.last >= 0 {
			continue
		}
		v, ok := f.code.eval(e.frame)
		if !ok {
			e.err = errFailed
			return false
		}
		if f.exclude && v == true {
			e.removing = append(e.removing, f)
		}
		keep = keep && (f.exclude || v == true)
	}
	return keep
}

// bind gives axis i each of its values in turn.
func (e *product) bind(i int) {
	if i == len(e.spec.Axes) {
		e.point()
		return
	}
	ids, ok := e.values(i)
	if !ok { // reported; other points may have other mistakes
		e.broken = true
		return
	}
	for _, id := range ids {
		if e.looks++; e.looks >= e.pause && e.interrupted() {
			return
		}
		removing, failed := len(e.removing), len(e.failed)
		e.frame.ids[i] = id
		if e.judge(i) && !(len(e.removing) > 0 && e.unproven == 0) {
			e.bind(i + 1)
		}
		e.removing, e.failed = e.removing[:removing], e.failed[:failed]
		if e.err != nil {
			return
		}
	}
	e.frame.ids[i] = noValue
}

func (e *product) interrupted() bool {
	e.pause = e.looks + 0xffff
	switch {
	case e.ctx.Err() != nil:
		e.err = e.ctx.Err()
	case e.looks > maxLooks:
		e.errorAt(e.axesNode, "the product of the axes has too many combinations to look at")
		e.err = errFailed
	}
	return e.err != nil
}

// values are the ids of axis i's values where the axes before it are bound.
func (e *product) values(i int) ([]int32, bool) {
	a := e.spec.Axes[i]
	if a.known {
		return a.own, true
	}
	key := make([]byte, 0, 16)
	for _, r := range a.reads.list() {
		key = fmt.Append(key, e.frame.ids[r], ",")
	}
	if ids, done := e.computed[i][string(key)]; done {
		return ids, true
	}
	ids, ok := e.axisValues(a, e.frame)
	if !ok {
		return nil, false
	}
	if len(ids) == 0 {
		ids = []int32{noValue}
	}
	if e.computed[i] == nil {
		e.computed[i] = map[string][]int32{}
	}
	e.computed[i][string(key)] = ids
	return ids, true
}

// judge asks the filters that axis i concerns; false rules out everything below.
func (e *product) judge(i int) bool {
	for _, f := range e.byAxis[i] {
		state := uint8(0)
		full := true
		if f.dims == nil {
			state = f.judge(e.frame)
			if f.quick == nil {
				e.looks += judging
			}
		} else {
			state, full = f.step(e.program, i, e.frame.ids[i])
		}
		switch {
		case !f.exclude && state == mayBeFalse:
			return false
		case f.exclude && state == mayBeTrue:
			e.removing = append(e.removing, f)
		case full && state&mayFail != 0:
			e.failed = append(e.failed, f)
		}
	}
	return true
}

// step goes down f's tables: what it may be now that axis has value id, and whether all its axes are bound.
func (f *filter) step(p *program, axis int, id int32) (state uint8, full bool) {
	for k, d := range f.dims {
		if d.axis == axis {
			f.at[k+1] = f.at[k]*d.size + d.digit(p, id)
			return f.levels[k+1][f.at[k+1]], k+1 == len(f.dims)
		}
	}
	return mayBeFalse | mayBeTrue, false
}

// point takes the point at which all axes are bound.
func (e *product) point() {
	if len(e.failed) > 0 {
		e.fail()
		return
	}
	e.where = true
	if len(e.removing) > 0 {
		for _, f := range e.removing {
			if !f.proven {
				f.proven = true
				e.unproven--
			}
		}
		return
	}
	e.out = append(e.out, e.frame.ids...)
	e.few(len(e.out))
}

// few ends an enumeration that makes too many points.
func (e *product) few(ids int) {
	if ids > e.limit*max(1, len(e.spec.Axes)) {
		d := e.tree.At(e.axesNode, "the sweep has more than %d points", e.limit)
		if e.limit < mostPoints {
			d.Note = fmt.Sprintf("where that is meant, sweep.limit allows more: up to %d", mostPoints)
		}
		e.report(d)
		e.err = errFailed
	}
}

// readLimit reads sweep.limit.
func (p *program) readLimit(n *yaml.Node) {
	v, err := strconv.Atoi(n.Value)
	if err != nil || n.Tag != "!!int" || v < 1 || v > mostPoints {
		d := p.tree.At(n, "limit is how many points the sweep may have")
		d.Expected = fmt.Sprintf("a whole number from 1 to %d", mostPoints)
		p.report(d)
		return
	}
	p.limit = v
}

// maxFailures is how many points are counted at which a filter could not be judged.
const maxFailures = 1000

// fail counts the point at hand, at which a filter could not be judged.
func (e *product) fail() {
	if e.failures++; e.failures == 1 {
		e.failing, e.at = e.failed[0], frame{p: e.program, ids: slices.Clone(e.frame.ids)}
	}
	if e.failures == maxFailures {
		e.err = errFailed
	}
}

// explain reports why a filter gives neither true nor false, and where.
func (e *product) explain() {
	code := e.failing.code
	note := e.at.describe(code.axes)
	switch more := e.failures - 1; {
	case e.failures == maxFailures:
		note += fmt.Sprintf(", and at %d more points or above", more)
	case more > 1:
		note += fmt.Sprintf(", and at %d more points", more)
	case more == 1:
		note += ", and at one more point"
	}
	v, err := code.try(&e.at)
	found, is := errors.AsType[*expr.Problem](err)
	if !is {
		found = &expr.Problem{Span: expr.Span{End: len([]rune(code.program.Text))}, Summary: "a condition gives true or false, this gives " + expr.Format(v)}
	}
	problem := *found
	if problem.Note != "" {
		note = problem.Note + "; " + note
	}
	problem.Note = note
	e.problem(code.node, code.offset, &problem)
}

// checkExcludes reports excludes that remove nothing, or all that there is.
func (p *program) checkExcludes(points int) {
	if points == 0 {
		n := lookup(lookup(p.tree.Root, "sweep"), "exclude")
		d := p.tree.At(n, "exclude leaves no point")
		d.Note = "every point that where keeps is excluded"
		p.report(d)
	}
	for _, f := range p.filters {
		if !f.exclude || f.proven || p.blamed[f.node] {
			continue
		}
		d := p.tree.At(f.node, "this excludes no point")
		d.Note = "no point that where keeps is removed by it: a name or number in it is probably not what you mean"
		for _, axis := range f.code.axes.list() {
			a := p.spec.Axes[axis]
			if a.Computed || p.tree.Touched("sweep", "axes", a.Name) {
				d.Severity = Warning
			}
		}
		if p.tree.Touched("sweep", "exclude") {
			d.Severity = Warning
		}
		p.report(d)
	}
}

// split cuts the ids of all points into points.
func (e *product) split() [][]int32 {
	n := len(e.spec.Axes)
	if n == 0 {
		if e.where {
			return [][]int32{{}}
		}
		return nil
	}
	points := make([][]int32, 0, len(e.out)/n)
	for i := 0; i < len(e.out); i += n {
		points = append(points, e.out[i:i+n:i+n])
	}
	return points
}

// includedPoints are the points beside the product, less those that points has.
func (e *product) includedPoints(points [][]int32) ([][]int32, error) {
	if len(e.included) == 0 {
		return nil, nil
	}
	seen := map[string]bool{}
	for _, p := range points {
		seen[string(fmt.Append(nil, p))] = true
	}
	var out [][]int32
	for _, choices := range e.included {
		fixed := map[int]int32{}
		for _, c := range choices {
			id, ok := e.pick(c)
			if !ok {
				return nil, errFailed
			}
			fixed[c.axis.index] = id
		}
		for _, p := range e.around(fixed, 0, nil) {
			if key := string(fmt.Append(nil, p)); !seen[key] {
				seen[key] = true
				out = append(out, p)
			}
		}
		if e.err != nil {
			return nil, e.err
		}
	}
	return out, nil
}

// around gives the axes that an included point leaves out all their values.
func (e *product) around(fixed map[int]int32, i int, out [][]int32) [][]int32 {
	if i == len(e.spec.Axes) {
		e.few(len(out) * i)
		return append(out, append([]int32{}, e.frame.ids...))
	}
	ids := []int32{fixed[i]}
	if _, given := fixed[i]; !given {
		all, ok := e.values(i)
		if !ok {
			e.err = errFailed
		}
		ids = all
	}
	for _, id := range ids {
		e.frame.ids[i] = id
		if out = e.around(fixed, i+1, out); e.err != nil {
			break
		}
	}
	e.frame.ids[i] = noValue
	return out
}
