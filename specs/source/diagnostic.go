// Package source reads the files of a spec: YAML with the place of every node, files merged into the one that includes
// them, values set on the command line; and it holds the diagnostics that point into them.
package source

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A Severity says whether a diagnostic stops the work.
type Severity string

// The severities.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
)

// A Diagnostic is one problem of a spec, as data: where, what, and what would be right. How it is drawn is decided
// elsewhere (Render, JSON, GitHub).
type Diagnostic struct {
	Severity Severity `json:"severity"`
	File     string   `json:"file"` // as people would type it; "--set PATH=YAML" for a flag
	Start    Position `json:"start"`
	End      Position `json:"end"` // after the last character
	Summary  string   `json:"summary"`
	Expected string   `json:"expected,omitempty"`
	Nearest  string   `json:"nearest,omitempty"` // the valid name that comes nearest to the one given
	Note     string   `json:"note,omitempty"`    // what helps to understand it
	Source   string   `json:"source,omitempty"`  // the line of File at Start; in JSON what stands around it, where it is long
}

// A Position is a place in a file.
type Position struct {
	Line   int `json:"line"`   // from 1
	Column int `json:"column"` // from 1, in characters
}

// Diagnostics are the problems of a spec. As an error it is their plain text.
type Diagnostics []Diagnostic

// HasErrors reports whether any of ds is more than a warning.
func (ds Diagnostics) HasErrors() bool {
	return slices.ContainsFunc(ds, func(d Diagnostic) bool { return d.Severity == Error })
}

// Err is ds where it has errors, else nil.
func (ds Diagnostics) Err() error {
	if ds.HasErrors() {
		return ds
	}
	return nil
}

// Error is one line for each problem.
func (ds Diagnostics) Error() string {
	var lines []string
	for _, d := range ds {
		lines = append(lines, fmt.Sprintf("%s: %s", d.Place(), d.Summary))
	}
	return strings.Join(lines, "\n")
}

// A Place is a position in a spec file.
type Place struct {
	File         string // as people would type it
	Line, Column int    // from 1; Column counts characters
}

// Place is where the problem starts.
func (d Diagnostic) Place() Place {
	return Place{File: d.File, Line: d.Start.Line, Column: d.Start.Column}
}

// String is p as compilers write it.
func (p Place) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// Sorted is ds by place, each once, less warnings of what an error is about.
func (ds Diagnostics) Sorted() Diagnostics {
	wrong := map[Place]bool{}
	for _, d := range ds {
		if d.Severity == Error {
			wrong[d.Place()] = true
		}
	}
	out := slices.DeleteFunc(slices.Clone(ds), func(d Diagnostic) bool { return d.Severity == Warning && wrong[d.Place()] })
	slices.SortStableFunc(out, func(a, b Diagnostic) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Start.Line, b.Start.Line), cmp.Compare(a.Start.Column, b.Start.Column), cmp.Compare(a.Summary, b.Summary))
	})
	return slices.Compact(out)
}
