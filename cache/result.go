package cache

import (
	"encoding/json"
	"fmt"
	"time"
)

// Result is what an action gave, and what it cost.
type Result struct {
	// Action is NewActionID(Key).
	Action ActionID `json:"action"`
	// Key is the text that Action is the digest of: explain is a diff of these.
	Key string `json:"key"`
	// Outputs has the digest of a manifest for each output; the name "" is a
	// stage's single output.
	Outputs map[string]Digest `json:"outputs,omitempty"`
	// Kinds has the kind of artifact for each output.
	Kinds map[string]string `json:"kinds,omitempty"`
	// Metrics are numbers, strings, and lists and objects of them. In memory
	// non-finite numbers are float64; in JSON they are the strings NaN,
	// Infinity and -Infinity. What Store.Result returns is in JSON's types:
	// float64, string, bool, nil, []any, map[string]any.
	Metrics map[string]any `json:"metrics,omitempty"`
	// Chosen is the index that a select stage chose.
	Chosen *int `json:"chosen,omitempty"`
	// Seconds is the wall-clock time that the action took, without what it
	// waited for others that did the same work.
	Seconds float64 `json:"seconds"`
	// Reused is the part of its work, from 0 to 1, that was there already:
	// Seconds are of the rest.
	Reused float64 `json:"reused,omitempty"`
	// Log is the digest of the log's text; zero where there was none.
	Log Digest `json:"log,omitzero"`
	// Numerics names what computed the result: backend, instruction set, GPU.
	Numerics string `json:"numerics,omitempty"`
	// Environment has, for each variable of the process's environment that the
	// action was given and that is not in its key, a fingerprint of its value:
	// "" where it was not set.
	Environment map[string]string `json:"environment,omitempty"`
	// Version is regft's.
	Version string    `json:"version,omitempty"`
	Created time.Time `json:"created,omitzero"`
	// Remote is where the record was found: its content may still be only there.
	// Empty where the store itself was given the content.
	Remote string `json:"remote,omitempty"`
}

// plainResult is a Result whose metrics encoding/json takes as they are.
type plainResult Result

// MarshalJSON writes non-finite metrics as strings.
func (r Result) MarshalJSON() ([]byte, error) {
	r.Metrics = EncodeMetrics(r.Metrics)
	return json.Marshal(plainResult(r))
}

// UnmarshalJSON reads what MarshalJSON wrote; non-finite metrics are numbers again.
func (r *Result) UnmarshalJSON(text []byte) error {
	if err := json.Unmarshal(text, (*plainResult)(r)); err != nil {
		return err
	}
	DecodeMetrics(r.Metrics)
	return nil
}

// validate checks that the result is of the action that it names.
func (r *Result) validate() error {
	if want := NewActionID(r.Key); r.Action != want {
		return fmt.Errorf("result of %s: its key text is of %s", r.Action, want)
	}
	return nil
}
