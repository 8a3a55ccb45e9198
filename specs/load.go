package specs

import (
	"context"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"regft/specs/expr"
	"regft/specs/source"
	"regft/stages"

	"gopkg.in/yaml.v3"
)

// Load reads the spec at path with what it includes, applies sets (PATH=YAML each), and checks all that can be checked
// without the points. Where it finds errors it looks for those that only an expansion shows as well, so that all come
// in one go; the spec is nil then.
func Load(path string, sets []string) (*Spec, Diagnostics) {
	tree, problems := source.Load(path, sets)
	return check(tree, path, problems)
}

// check makes a spec of a tree.
func check(tree *source.Tree, path string, problems Diagnostics) (*Spec, Diagnostics) {
	if tree == nil {
		return nil, problems
	}
	p, err := newProgram(tree)
	if err != nil {
		return nil, Diagnostics{{Severity: Error, File: path, Summary: err.Error()}}
	}
	p.out = problems
	p.read()
	out := p.out.Sorted()
	if !out.HasErrors() && !tree.Part {
		return p.spec, out
	}
	ctx, cancel := context.WithTimeout(context.Background(), glanceTime)
	defer cancel()
	p.expand(ctx)
	return nil, p.out.Sorted()
}

// glanceTime is how long a spec with mistakes is searched for those that only an expansion shows.
const glanceTime = 5 * time.Second

// A program is a spec while it is checked and expanded.
type program struct {
	tree *source.Tree
	env  *expr.Env
	spec *Spec
	out  Diagnostics
	said map[Diagnostic]bool
	told map[place]int // evaluations that failed, by place

	kinds map[likeness]*alikes

	vars      *yaml.Node
	varValues map[*yaml.Node]*varValue
	varPath   []string // vars that are being evaluated
	files     map[string]*readFile

	seed        *yaml.Node // nil where there is none
	axesNode    *yaml.Node
	limit       int // of points
	baseline    axisSet
	hasBaseline bool
	baselineBad bool // a mistake in it was reported
	included    [][]choice
	where       *yaml.Node
	filters     []*filter
	whereBad    bool
	ties        []axisSet // axes that a condition, an included point or a computed axis mentions together
	comparisons []comparison
	blamed      map[*yaml.Node]bool // conditions with such a comparison: what they keep or remove follows from it
	late        []lateField
	expressions int                           // compiled so far
	madeBytes   int                           // by expressions so far
	origins     map[*yaml.Node]*yaml.Node     // where nodes that are the same at all points come from
	decoded     map[*yaml.Node]*reflect.Value // what they are decoded to

	evaluating sync.Mutex // conditions take turns: an evaluation uses their frame

	named     map[string]bool // stages that stages[E] named in the evaluation at hand
	outcomeOf func(stage string, kind string, path []string) (any, error)
	expansion *Expansion
}

type place struct {
	node   *yaml.Node
	offset int
}

func newProgram(tree *source.Tree) (*program, error) {
	p := &program{tree: tree, limit: usualPoints, told: map[place]int{}, kinds: map[likeness]*alikes{}, said: map[Diagnostic]bool{}, blamed: map[*yaml.Node]bool{}, varValues: map[*yaml.Node]*varValue{}, files: map[string]*readFile{}, origins: map[*yaml.Node]*yaml.Node{}, decoded: map[*yaml.Node]*reflect.Value{}, vars: &yaml.Node{Kind: yaml.MappingNode}}
	name := strings.TrimSuffix(filepath.Base(tree.Name), filepath.Ext(tree.Name))
	p.spec = &Spec{Path: tree.Name, Dir: tree.Dir, Name: name, program: p}
	var err error
	p.env, err = expr.NewEnv(expr.Functions{File: p.file, Stage: p.stageNamed, Outcome: p.outcomeNamed})
	return p, err
}

// report adds a diagnostic, once: what is wrong at one point is often wrong at all. Where something of the spec could not
// be read, it may follow from that, and is dropped.
func (p *program) report(d Diagnostic) {
	if !p.tree.Part {
		p.sure(d)
	}
}

// sure adds a diagnostic, once, of what is wrong whatever else the spec says.
func (p *program) sure(d Diagnostic) {
	if !p.said[d] {
		p.said[d] = true
		p.out = append(p.out, d)
	}
}

func (p *program) errorAt(n *yaml.Node, format string, args ...any) {
	p.report(p.tree.At(n, format, args...))
}

// problem reports a mistake in CEL that begins at character offset of n's value.
func (p *program) problem(n *yaml.Node, offset int, problem *expr.Problem) {
	if n.Value == "" && p.faulty(n) { // a tag took the place of the text
		return
	}
	d := p.tree.Within(n, offset+problem.Start, offset+problem.End, "%s", problem.Summary)
	d.Expected, d.Nearest, d.Note = problem.Expected, problem.Nearest, problem.Note
	switch {
	case strings.HasPrefix(d.Summary, noCEL):
		p.sure(d)
	case problem.Unknown:
		p.misnamed(d)
	default:
		p.report(d)
	}
}

// misnamed reports a name that nothing has: once, with all the places where it stands.
func (p *program) misnamed(d Diagnostic) {
	key := likeness{nil, d.Summary}
	all := p.kinds[key]
	switch {
	case p.said[d] || p.tree.Part:
	case all == nil:
		p.kinds[key] = &alikes{at: len(p.out), note: d.Note}
		p.report(d)
	default:
		p.said[d] = true
		p.found(all, "also at ", d.Place().String())
	}
}

// noCEL is how diagnostics of CEL's syntax begin.
const noCEL = "this is no CEL"

// once reports what fails at a place, the first time only: it would fail at every point.
func (p *program) once(n *yaml.Node, offset int, report func()) { p.some(1, n, offset, report) }

// some reports what fails at a place, the first times only.
func (p *program) some(times int, n *yaml.Node, offset int, report func()) {
	if at := (place{n, offset}); p.told[at] < times {
		p.told[at]++
		report()
	}
}

// A likeness is a mistake in values that differ from point to point.
type likeness struct {
	node *yaml.Node
	kind string
}

// alikes is a diagnostic that stands for all of a likeness.
type alikes struct {
	at     int      // in program.out
	note   string   // of the diagnostic, before points were added
	points []string // at which it was found
}

// mostNamed is how many points a diagnostic names.
const mostNamed = 3

// alike reports d, which is wrong with n at a point. Where the same kind of mistake was reported there before, with
// another value at another point, that diagnostic names this point too.
func (p *program) alike(n *yaml.Node, kind, point string, d Diagnostic) {
	key := likeness{n, kind}
	all := p.kinds[key]
	if all == nil && p.said[d] || p.tree.Part {
		return
	}
	if all == nil {
		all = &alikes{at: len(p.out), note: d.Note}
		p.kinds[key] = all
		p.report(d)
	}
	p.found(all, "", point)
}

// found says in the diagnostic of all that the mistake was found at one more point, or place.
func (p *program) found(all *alikes, what, point string) {
	if point == "" || len(all.points) == maxFailures || slices.Contains(all.points, point) {
		return
	}
	all.points = append(all.points, point)
	text := what + strings.Join(all.points[:min(mostNamed, len(all.points))], ", ")
	if more := len(all.points) - mostNamed; more > 0 {
		text += fmt.Sprintf(", and at %d more", more)
	}
	if len(all.points) == maxFailures {
		text += " or above"
	}
	p.out[all.at].Note = strings.TrimPrefix(all.note+"; "+text, "; ")
}

// faulty reports whether a mistake in n itself was reported.
func (p *program) faulty(n *yaml.Node) bool {
	at := p.tree.Place(n)
	return slices.ContainsFunc(p.out, func(d Diagnostic) bool { return d.Severity == Error && d.Place() == at })
}

// A section is a key of the spec, or of a part of it, and what reads it.
type section struct {
	name string
	read func(*yaml.Node)
}

// sections reads the keys of mapping n by the readers, in the readers' order. It gives the keys that misspelt ones were
// probably meant to be: that they are missing is no further mistake. What stands under a misspelt key is read as it was
// meant, so that what mentions it is none either.
func (p *program) sections(n *yaml.Node, what string, readers []section) (meant []string) {
	var known []string
	for _, s := range readers {
		known = append(known, s.name)
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if key := n.Content[i]; !slices.Contains(known, key.Value) && !p.faulty(key) {
			d := p.tree.At(key, "%s has no key %q", what, key.Value)
			d.Nearest, d.Expected = expr.Nearest(key.Value, known), listNames(known)
			p.sure(d)
			meant = append(meant, d.Nearest)
			if d.Nearest != "" && lookup(n, d.Nearest) == nil {
				key.Value = d.Nearest
			}
		}
	}
	for _, s := range readers {
		if v := lookup(n, s.name); v != nil && v.Tag != "!!null" {
			s.read(v)
		}
	}
	return meant
}

// stands reports whether a key may have been meant by one that is not known: by its name, or for want of any near name.
func stands(meant []string, key string) bool {
	return slices.Contains(meant, key) || slices.Contains(meant, "")
}

// read reads the whole spec.
func (p *program) read() {
	root := p.tree.Root
	meant := p.sections(root, "a spec", []section{
		{"version", p.readVersion},
		{"include", func(*yaml.Node) {}}, // merged when the files were read; here so that a misspelt one finds its name
		{"name", p.readName},
		{"seed", p.readSeed},
		{"vars", func(n *yaml.Node) { p.vars = n; p.checkVars() }},
		{"sweep", p.readSweep},
		{"stages", p.readStages},
		{"tables", p.readTables},
		{"ablate", p.readStudies},
	})
	if s := lookup(root, "stages"); s == nil && !stands(meant, "stages") || s != nil && (len(s.Content) == 0 && s.Kind == yaml.MappingNode || s.Tag == "!!null") {
		at := root
		if s != nil {
			at = s
		}
		d := p.tree.At(at, "the spec has no stages")
		d.Expected = "stages: {NAME: {uses: TYPE, with: {…}}, …}"
		p.report(d)
	}
	p.checkComparisons(true)
	p.listFiles()
	p.spec.Resolved, _ = yaml.Marshal(p.tree.Root) // a tree that was parsed can be written
}

// listFiles notes what was read.
func (p *program) listFiles() {
	p.spec.Files = slices.Clone(p.tree.Files)
	for _, f := range p.files {
		p.spec.Files = append(p.spec.Files, f.path)
	}
	slices.Sort(p.spec.Files)
}

func (p *program) readVersion(n *yaml.Node) {
	if n.Value != "1" {
		d := p.tree.At(n, "version %s of the spec language is not known", n.Value)
		d.Expected = "version: 1"
		p.sure(d)
	}
}

func (p *program) readName(n *yaml.Node) {
	d := p.tree.At(n, "name must do for a folder")
	d.Expected = "a text without / that does not begin with a dot"
	problem := unfit(n.Value, "")
	switch {
	case n.Kind == yaml.ScalarNode && problem != "":
		d.Summary = "name " + problem
		p.sure(d)
	case n.Kind != yaml.ScalarNode || n.Value == "" || strings.ContainsAny(n.Value, "/\\") || strings.HasPrefix(n.Value, ".") || strings.Contains(n.Value, "${"):
		p.sure(d)
	default:
		p.spec.Name = n.Value
	}
}

func (p *program) readSeed(n *yaml.Node) {
	v, err := strconv.ParseUint(n.Value, 10, 64)
	if err != nil || n.Tag != "!!int" {
		d := p.tree.At(n, "seed is a whole number, not negative")
		d.Expected = "seed: 0, or a number below 2^64"
		p.report(d)
		return
	}
	p.seed, p.spec.Seed = n, stages.Seed(v)
}

func (p *program) readSweep(n *yaml.Node) {
	if !p.wantMapping(n, "sweep", "{axes: {…}, where: CEL, …}") {
		return
	}
	p.axesNode = n
	p.sections(n, "sweep", []section{
		{"limit", p.readLimit},
		{"axes", func(n *yaml.Node) { p.axesNode = n; p.readAxes(n) }},
		{"include", p.readIncluded},
		{"baseline", p.readBaseline},
		{"where", p.readWhere},
		{"exclude", p.readExclude},
	})
	for _, a := range p.spec.Axes {
		if a.reads != 0 {
			p.ties = append(p.ties, a.reads|setOf(a.index))
		}
	}
	for _, choices := range p.included {
		var axes axisSet
		for _, c := range choices {
			axes |= setOf(c.axis.index)
		}
		p.ties = append(p.ties, axes)
	}
}

// wantMapping reports whether n is a mapping, and if not, that it should be.
func (p *program) wantMapping(n *yaml.Node, what, form string) bool {
	if n.Kind == yaml.MappingNode {
		return true
	}
	d := p.tree.At(n, "%s is a mapping", what)
	d.Expected = form
	if n.Tag == "!!null" {
		p.report(d)
	} else {
		p.sure(d)
	}
	return false
}

// checkName reports whether n may name something.
func (p *program) checkName(n *yaml.Node, what string) bool {
	switch {
	case isName(n.Value):
		return true
	case n.Kind != yaml.ScalarNode: // reported where the file was read
		return false
	}
	d := p.tree.At(n, "%q cannot name %s", n.Value, what)
	d.Expected = "letters, digits, _ and -, beginning with a letter or _"
	p.sure(d)
	return false
}

// lookup is the value of key in mapping n, nil where there is none.
func lookup(n *yaml.Node, key string) *yaml.Node {
	if n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// keys are the keys of mapping n.
func keys(n *yaml.Node) []string {
	var out []string
	if n.Kind == yaml.MappingNode {
		for i := 0; i < len(n.Content); i += 2 {
			out = append(out, n.Content[i].Value)
		}
	}
	return out
}
