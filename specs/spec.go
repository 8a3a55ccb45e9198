// Package specs reads experiment specs (docs/spec.md): YAML and CEL in, checked stage instances out.
//
//	Load    file → Spec            every mistake of the text, with its place
//	Expand  Spec → Expansion       points, then one Instance for each stage and distinct value of the axes it depends on
//
// It knows no keys, no store and no results: those are the engine's.
package specs

import (
	"time"

	"regft/specs/source"
	"regft/stages"

	"gopkg.in/yaml.v3"
)

// A Spec is a checked spec file.
type Spec struct {
	Path     string // as named on the command line
	Dir      string // absolute; where relative paths start
	Name     string
	Seed     stages.Seed
	Axes     []*Axis
	Stages   []*Stage // in the order of the file
	Tables   []*Table
	Studies  []*Study
	Resolved []byte   // the merged spec as YAML, for the record of a run
	Files    []string // absolute: every spec and file() that was read, and optional ones that are not there

	program *program
}

// An Axis is one dimension of the sweep.
type Axis struct {
	Name       string
	Replicates bool // tables fold it
	Computed   bool // given by one ${…}
	Place      Place

	index    int
	node     *yaml.Node // its definition
	template *template
	values   []*Value // all that it has anywhere, included points too
	ids      map[string]int32
	own      []int32 // its values in the product, where they are the same at all points:
	known    bool
	reads    axisSet // axes that it is computed from
	base     int32   // the baseline's value …
	baseKey  string  // … and its key, for an axis whose values are not known before the points
	bad      bool    // a mistake in it was reported
}

// A RetryWhen says whether a node that failed runs once more, from the text of its error and how often it has been tried.
// It may be called side by side.
type RetryWhen func(failure string, attempt int) (bool, error)

// A Stage is one entry of stages:.
type Stage struct {
	Name      string
	Type      stages.Type
	Over      []string // the axes it depends on, in the order of their declaration
	Gather    []string
	Resources stages.Resources // zero where not given
	Timeout   time.Duration    // 0: none
	Retry     int              // further attempts …
	RetryWhen RetryWhen        // … or what says whether there is one; nil where that is not given
	Place     Place

	key, node   *yaml.Node
	with        *yaml.Node
	params      []*param
	gather      axisSet
	gatherNodes []*yaml.Node
	pool        axisSet // axes that its scores are gathered over too
	when        *code
	assert      *code
	over        axisSet
	inherited   axisSet  // axes that what it takes depends on
	inputs      []*Stage // stages that it takes something of, or reads a result of
	bad         bool     // a mistake in it, or in what it takes, was reported: it has no instances but sketches
	sketched    int      // variants, up to mostSketched
	made        bool     // its instances, or their sketches, are there
	layout      *layout  // of its instances
	instances   []*Instance
	taken       bool // some stage takes it
	expansion   *expansion
}

// An Expansion is everything that the spec asks for.
type Expansion struct {
	Spec      *Spec
	Points    []Point
	Instances []*Instance           // producers first; in plan order: stage by stage as in the file where that allows, each in point order
	Cells     map[string][]Cell     // of each table
	Contrasts map[string][]Contrast // of each study
	Warnings  Diagnostics

	made *expansion
}

// A Point is one value for every axis, in the order of Spec.Axes; nil is an axis without a value there.
type Point []*Value

// A Value is one value of an axis.
type Value struct {
	Key  string
	JSON any // as in results.jsonl: a number, the key of a named value, an object

	val   any
	named bool
}

// An Instance is a stage and one value for each axis that it depends on.
type Instance struct {
	Stage  *Stage
	Index  int            // in Expansion.Instances
	Coords []stages.Coord // of Stage.Over
	Runner stages.Runner  // decoded; its inputs have Key, Coords and Path but no artifacts
	Refs   []Ref          // for each of Stage.Type.Inputs(Runner)
	When   *Condition     // nil: always
	Assert *Condition
	Needed bool // a leaf, a table or a study needs it, directly or through others

	// Metrics are recorded by position and named when they are read: Parts are the names, for stages whose metrics
	// are nested (evaluate: its data stages; select: those of its scores). nil: metrics are flat.
	Parts []string
	// Candidates are, for a stage that chooses, the values of the gathered axes of each candidate.
	Candidates []map[string]any
	// Oracle: a select saw the very data that this reports.
	Oracle bool

	variant *variant
	group   int32       // of the points, in Stage.layout
	kind    stages.Kind // of outputs that do not say theirs
	metrics []string    // the names of its metrics below Parts; nil: any
	seen    []*Instance // the data that it was chosen by, itself or what it was made from
	same    string      // identity, once asked for
	unnamed bool        // for a mistake, the names of its metrics are not known
}

// A Ref is where an input comes from: an instance, or a path (Instance is nil).
type Ref struct {
	Instance *Instance
	Output   string // "" for the only one

	field *stages.Field // the parameter that takes it
}

// A Condition is CEL over finished results.
type Condition struct {
	Text  string
	Place Place
	Refs  []*Instance // whose outcomes it reads
	Eval  func(outcome func(*Instance) Outcome) (bool, error)
}

// An Outcome is what expressions see of a finished instance.
type Outcome struct {
	Metrics map[string]any
	Chosen  map[string]any
	Skipped bool
}

// Address is how an instance is named on the command line and in reports: STAGE[axis=key,…].
func (i *Instance) Address() string { return Address(i.Stage.Name, i.Coords) }

// What a problem of a spec is, and where.
type (
	Place       = source.Place
	Position    = source.Position
	Severity    = source.Severity
	Diagnostic  = source.Diagnostic
	Diagnostics = source.Diagnostics
)

// The severities of a Diagnostic.
const (
	Error   = source.Error
	Warning = source.Warning
)
