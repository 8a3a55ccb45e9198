// Package report draws tables, charts and pages from what a run recorded.
//
// It takes plain values and gives texts: a run's own report.html and the report stage are drawn by the same code,
// which knows neither engine nor spec. A page is one file that loads nothing.
package report

import "time"

// A Page is everything that one report shows. Empty parts are left out.
type Page struct {
	Title   string
	Summary string   // one sentence under the title
	Remarks []string // what its stages warned of, and failures
	Axes    []Axis   // in the order of their declaration; axes that only points name follow
	Tables  []Table  // those that a spec asks for
	Groups  []Group
	Samples []Sample

	Assessments []Assessment

	Stages     []Stage
	Provenance []Field
	Spec       string // the resolved spec, as text
}

// An Axis is one dimension of a sweep.
type Axis struct {
	Name       string
	Replicates bool // folded into mean ± sample deviation
}

// A Group is results that belong in one table.
type Group struct {
	Title   string
	Minor   bool     // folded away on the page
	Columns []string // the order of its datasets; those that it does not name follow
	Entries []Entry
}

// An Entry is one result: the metrics of one stage instance.
type Entry struct {
	Label   string            // heads its row where labels differ
	Point   map[string]string // key of its value on each axis that it depends on
	ID      string            // equal for instances that share one result; "" is a result of its own
	Metrics map[string]any    // numbers, or a mapping of such per dataset
	Chosen  map[string]string // what a select before it chose, by axis
	Oracle  bool              // its choice was made on the very data that it reports
	Failed  bool              // it has no result
}

// A Sample is one picture of a stage.
type Sample struct {
	Group  string // heads its row: the stage and what varies
	Class  string // heads its column
	Detail string // prompt and seed
	// Read gives the picture as PNG, JPEG or WebP. A page reads only those that it shows.
	Read func() ([]byte, error)
}

// A Stage says what became of the nodes of one stage.
type Stage struct {
	Name, Type string
	Over       []string // the axes that it depends on
	Ran        int      // executed in this run
	Cached     int      // found in the cache
	Failed     int
	Skipped    int
	Took       time.Duration // of the nodes that ran here, added up
	Saved      time.Duration // recorded for the nodes that were found
}

// A Field is a name and a value for people.
type Field struct{ Name, Value string }
