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
	Files    []string // absolute: every spec and file() that was read
}

// An Axis is one dimension of the sweep.
type Axis struct {
	Name       string
	Replicates bool // tables fold it
	Computed   bool
	Place      Place
}

// A Stage is one entry of stages:.
type Stage struct {
	Name      string
	Type      stages.Type
	Over      []string // the axes it depends on, in the order of their declaration
	Gather    []string
	Resources stages.Resources // zero where not given
	Timeout   time.Duration    // 0: none
	Retry     int              // further attempts
	Place     Place
}

// An Expansion is everything that the spec asks for.
type Expansion struct {
	Spec      *Spec
	Points    []Point
	Instances []*Instance // producers first; in plan order: stage by stage as in the file where that allows, each in point order
	Warnings  Diagnostics
}

// A Point is one value for every axis, in the order of Spec.Axes; nil is an axis without a value there.
type Point []*Value

// A Value is one value of an axis.
type Value struct {
	Key  string
	JSON any // as in results.jsonl: a number, the key of a named value, an object
}

// An Instance is a stage and one value for each axis that it depends on.
type Instance struct {
	Stage  *Stage
	Coords []stages.Coord // of Stage.Over
	Point  map[string]any // the same, as results.jsonl has it
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
}

// A Ref is where an input comes from: an instance, or a path (Instance is nil).
type Ref struct {
	Instance *Instance
	Output   string // "" for the only one
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
