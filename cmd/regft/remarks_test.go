package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"regft/engine"
)

func TestRemarksTellEachTextOnce(t *testing.T) {
	var r remarks
	for _, name := range []string{"tuned[draw=0]", "tuned[draw=1]"} {
		r.add(engine.Event{Kind: engine.NodeWarning, Stage: "tuned", Name: name, Text: "warm-up outlasts training"})
	}
	r.add(engine.Event{Kind: engine.NodeNote, Stage: "tuned", Name: "tuned[draw=1]", Text: "no warning"})
	want := []string{"tuned[draw=0]: warm-up outlasts training (and so 1 more of tuned)"}
	if got := r.texts(); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestCommandTextNamesTheProgramWithoutItsFolder(t *testing.T) {
	if got := commandText([]string{"/tmp/go-build1/b001/exe/regft", "run", "spec.yaml"}); got != "regft run spec.yaml" {
		t.Error(got)
	}
}

func TestLogsAreForPeople(t *testing.T) {
	var out bytes.Buffer
	a := &app{out: &out}
	log := `{"level":"info","step":3,"loss":0.5,"time":"2026-11-25T00:00:00Z","message":"trained"}` + "\nplain text\n{ no JSON"
	if err := a.copyLog(strings.NewReader(log)); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); !strings.Contains(got, "INF trained loss=0.5 step=3\nplain text\n{ no JSON") {
		t.Errorf("%q", got)
	}
}

func TestFailuresTellEachCauseOnce(t *testing.T) {
	var out bytes.Buffer
	a := &app{err: &out}
	failures := []engine.Event{{Name: "a", Error: "bad picture"}, {Name: "b", Error: "other"}, {Name: "c", Error: "bad picture"}}
	a.showFailures(&engine.Past{Name: "t"}, failures)
	if got := out.String(); strings.Count(got, "bad picture") != 1 || !strings.Contains(got, "b failed: other") || !strings.Contains(got, "and 1 more") {
		t.Error(got)
	}
}
