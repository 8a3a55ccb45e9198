package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"regft/engine"
	"regft/specs"
)

// A picker tells what a run is for. nil is everything.
type picker = func(*specs.Instance) bool

// onlyFilter reads --only. Mistakes in a condition are specs.Diagnostics.
func onlyFilter(ctx context.Context, text string, e *specs.Expansion, last *engine.Past) (picker, error) {
	switch {
	case text == "":
		return nil, nil
	case text == "failed":
		return failedIn(last)
	case text == "missing":
		return missingFrom(e, last)
	case !isAddress(text, e.Spec):
		holds, found := e.Where(ctx, "--only", text)
		return holds, found.Err()
	}
	named, err := specs.ParseAddress(text)
	if err != nil {
		return nil, fmt.Errorf("--only: %w", err)
	}
	if named.Part != "" {
		return nil, fmt.Errorf("--only %s: what stands in the cache of %s is not done again: leave out .%s", text, named.Stage, named.Part)
	}
	matches := func(i *specs.Instance) bool { return named.Covers(i.Stage.Name, i.Coords) }
	if !slices.ContainsFunc(e.Instances, matches) {
		return nil, fmt.Errorf("--only %s: the spec has no such instance", text)
	}
	return matches, nil
}

// isAddress tells STAGE, STAGE[axis=key,…] and STAGE.PART from a condition: by the stage, where the spec has it, else by
// a form that no condition has.
func isAddress(text string, s *specs.Spec) bool {
	name, rest := text, ""
	if at := strings.IndexAny(text, "[."); at >= 0 {
		name, rest = text[:at], text[at:]
	}
	if slices.ContainsFunc(s.Stages, func(stage *specs.Stage) bool { return stage.Name == name }) {
		return true
	}
	_, err := specs.ParseAddress(text)
	return err == nil && !strings.HasPrefix(rest, ".")
}

// failedIn picks the instances that failed in a run.
func failedIn(last *engine.Past) (picker, error) {
	if last == nil {
		return nil, errors.New("--only failed: this spec has not run yet")
	}
	plan, err := last.Plan()
	if err != nil {
		return nil, err
	}
	failed := map[string]bool{}
	for _, i := range plan.Instances {
		failed[i.Address] = i.Error != "" || slices.ContainsFunc(i.Nodes, func(n int) bool { return plan.Nodes[n].State == engine.Failed })
	}
	return func(i *specs.Instance) bool { return failed[i.Address()] }, nil
}

// missingFrom picks all that does not need what failed in the latest run. What others take is left for them to ask for,
// so that content that gc removed is made again only where something runs from it.
func missingFrom(e *specs.Expansion, last *engine.Past) (picker, error) {
	if last == nil {
		return nil, nil
	}
	failed, err := failedIn(last)
	if err != nil {
		return nil, err
	}
	spared, taken := map[*specs.Instance]bool{}, map[*specs.Instance]bool{}
	for _, i := range e.Instances {
		needs := i.Needs()
		spared[i] = failed(i) || slices.ContainsFunc(needs, func(n *specs.Instance) bool { return spared[n] })
		for _, n := range needs {
			taken[n] = taken[n] || i.Needed && !spared[i]
		}
	}
	return func(i *specs.Instance) bool { return i.Needed && !spared[i] && (!taken[i] || inTable(i, e.Spec)) }, nil
}

// inTable reports whether a table or a study shows i's stage.
func inTable(i *specs.Instance, s *specs.Spec) bool {
	return slices.ContainsFunc(s.Tables, func(t *specs.Table) bool { return t.Of == i.Stage.Name }) ||
		slices.ContainsFunc(s.Studies, func(t *specs.Study) bool { return t.Of == i.Stage.Name })
}
