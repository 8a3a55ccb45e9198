package main

import (
	"errors"
	"fmt"
	"slices"

	"regft/engine"
	"regft/specs"
	"regft/stages"
)

// onlyFilter reads --only: what of e a run is for. nil is everything.
func onlyFilter(text string, e *specs.Expansion, last *engine.Past) (func(*specs.Instance) bool, error) {
	switch text {
	case "":
		return nil, nil
	case "failed":
		return failedIn(last)
	}
	stage, coords, err := specs.ParseAddress(text)
	if err != nil {
		return nil, fmt.Errorf("--only: %w", err)
	}
	matches := func(i *specs.Instance) bool { return i.Stage.Name == stage && covers(i.Coords, coords) }
	if !slices.ContainsFunc(e.Instances, matches) {
		return nil, fmt.Errorf("--only %s: the spec has no such instance", text)
	}
	return matches, nil
}

// covers tells whether coordinates have all those that are wanted.
func covers(have, want []stages.Coord) bool {
	return !slices.ContainsFunc(want, func(w stages.Coord) bool {
		return !slices.ContainsFunc(have, func(h stages.Coord) bool { return h.Axis == w.Axis && h.Key == w.Key })
	})
}

// failedIn picks the instances that failed in a run.
func failedIn(last *engine.Past) (func(*specs.Instance) bool, error) {
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
