package engine

import (
	"time"

	"regft/cache"
)

// An EventKind says what happened.
type EventKind string

// The kinds of event. One stream of them feeds the terminal, events.jsonl and whatever else shows a run.
const (
	RunStarted    EventKind = "run"       // Counts
	NodeStarted   EventKind = "start"     // Reason, Log
	NodeElsewhere EventKind = "elsewhere" // Text: another process runs it, and which
	NodeProgress  EventKind = "progress"  // Done, Total, Unit
	NodeSeries    EventKind = "series"    // Step, Values
	NodeHit       EventKind = "hit"       // found while running: early cutoff, or another process made it
	NodeDone      EventKind = "done"      // Seconds, Reused, Action, Outputs, Environment
	NodeFailed    EventKind = "failed"    // Error; of an instance whose assert does not hold, Node is -1
	NodeSkipped   EventKind = "skipped"
	NodeBlocked   EventKind = "blocked"
	NodeIdle      EventKind = "idle"    // not run: a condition left out what would have taken it
	NodeRetry     EventKind = "retry"   // Error: of the attempt that failed
	NodeNote      EventKind = "note"    // Text
	NodeWarning   EventKind = "warning" // Text: of the stage, which goes on
	RunEnded      EventKind = "end"     // Summary
)

// An Event is something that happened in a run.
type Event struct {
	Time        time.Time               `json:"time"`
	Kind        EventKind               `json:"event"`
	Node        int                     `json:"node"` // Node.Index; -1 where it is about no node
	Name        string                  `json:"name,omitempty"`
	Stage       string                  `json:"stage,omitempty"`
	Reason      string                  `json:"reason,omitempty"`
	Done        int                     `json:"done,omitempty"`
	Total       int                     `json:"total,omitempty"`
	Unit        string                  `json:"unit,omitempty"`
	Step        int                     `json:"step,omitempty"`
	Values      map[string]any          `json:"values,omitempty"` // numbers; those that JSON lacks are texts
	Seconds     float64                 `json:"seconds,omitempty"`
	Reused      float64                 `json:"reused,omitempty"` // the part of the work that Seconds are not of: it was there
	Action      cache.ActionID          `json:"action,omitzero"`
	Outputs     map[string]cache.Digest `json:"outputs,omitempty"`
	Environment map[string]string       `json:"environment,omitempty"` // of its result
	Log         string                  `json:"log,omitempty"`         // its file below the run's folder
	Error       string                  `json:"error,omitempty"`
	Text        string                  `json:"text,omitempty"`
	Counts      *Counts                 `json:"counts,omitempty"`
	Summary     *Summary                `json:"summary,omitempty"`
}

// A Summary is how a run ended.
type Summary struct {
	Hits        int     `json:"hits"`     // found before the run
	Spared      int     `json:"spared"`   // found while running
	Executed    int     `json:"executed"` // ran to a result
	Failed      int     `json:"failed"`
	Blocked     int     `json:"blocked"`
	Skipped     int     `json:"skipped"`
	Unfinished  int     `json:"unfinished"` // left over when the run was interrupted
	Interrupted bool    `json:"interrupted"`
	Seconds     float64 `json:"seconds"`
}
