package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"regft/engine"
	"regft/specs"
	"regft/specs/expr"
	"regft/stages"
)

// A picker tells what a run is for. nil is everything.
type picker = func(*specs.Instance) bool

// onlyFilter reads --only, into o. Mistakes in a condition are specs.Diagnostics.
func onlyFilter(ctx context.Context, text string, e *specs.Expansion, o *engine.Options) (err error) {
	switch {
	case text == "":
	case text == "failed":
		o.Only, err = failedIn(o.Last)
	case text == "missing":
		o.Only, err = missingFrom(e, o.Last)
	case !isAddress(text, e.Spec):
		holds, found := e.Where(ctx, "--only", text)
		o.Only, err = holds, found.Err()
	default:
		o.Only, o.Part, err = addressed(text, e)
	}
	return err
}

// addressed picks the instances that an address names, and of them its part.
func addressed(text string, e *specs.Expansion) (pick picker, part string, err error) {
	named, err := specs.ParseAddress(text)
	if err != nil {
		return nil, "", fmt.Errorf("--only: %w", err)
	}
	var parts []string
	whole := false
	for _, i := range e.Instances {
		if named.Covers(i.Stage.Name, i.Coords) {
			parts = addressable(i)
			whole = whole || named.Part == "" || slices.Contains(parts, named.Part)
		}
	}
	if err := namesSome(e, named); err != nil {
		return nil, "", fmt.Errorf("--only %s: %w", text, err)
	}
	switch {
	case !whole && len(parts) == 0:
		return nil, "", fmt.Errorf("--only %s: %s has no parts", text, named.Stage)
	case !whole:
		return nil, "", fmt.Errorf("--only %s: %s has no part %q: the parts are %s", text, named.Stage, named.Part, strings.Join(parts, ", "))
	}
	return func(i *specs.Instance) bool {
		return named.Covers(i.Stage.Name, i.Coords) && (named.Part == "" || slices.Contains(addressable(i), named.Part))
	}, named.Part, nil
}

// addressable are the parts that an address of i may name: its nodes, by the data that it is measured on, or its outputs.
func addressable(i *specs.Instance) []string {
	var names []string
	if slices.ContainsFunc(i.Stage.Type.Fields(), func(f stages.Field) bool { return f.Each }) {
		names = slices.Clone(i.Parts)
	}
	for _, o := range i.Stage.Type.Outputs(i.Runner) {
		if o.Name != "" {
			names = append(names, o.Name)
		}
	}
	return names
}

// namesSome says what there is instead where an address names no instance of e.
func namesSome(e *specs.Expansion, named specs.Selector) error {
	covered := func(i *specs.Instance) bool { return named.Covers(i.Stage.Name, i.Coords) }
	if slices.ContainsFunc(e.Instances, covered) {
		return nil
	}
	var stages []string
	for _, s := range e.Spec.Stages {
		stages = append(stages, s.Name)
	}
	if !slices.Contains(stages, named.Stage) {
		if near := expr.Nearest(named.Stage, stages); near != "" {
			return fmt.Errorf("the spec has no stage %s: did you mean %s?", named.Stage, near)
		}
		return fmt.Errorf("the spec has no stage %s; it has %s", named.Stage, some(stages))
	}
	var axes []string
	keys := map[string][]string{}
	for _, i := range e.Instances {
		for _, c := range i.Coords {
			if i.Stage.Name != named.Stage {
				continue
			}
			if keys[c.Axis] == nil {
				axes = append(axes, c.Axis)
			}
			if !slices.Contains(keys[c.Axis], c.Key) {
				keys[c.Axis] = append(keys[c.Axis], c.Key)
			}
		}
	}
	if axes == nil {
		return fmt.Errorf("%s has one instance and no axes", named.Stage)
	}
	for k, axis := range axes {
		axes[k] = axis + " (" + some(keys[axis]) + ")"
	}
	return fmt.Errorf("%s has no such instance; its axes are %s", named.Stage, strings.Join(axes, ", "))
}

// some lists names, of many the first.
func some(names []string) string {
	const most = 12
	if len(names) > most {
		names = append(slices.Clone(names[:most]), "…")
	}
	return strings.Join(names, ", ")
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

// failedIn picks the instances that failed when they were last tried, up to a run.
func failedIn(last *engine.Past) (picker, error) {
	if last == nil {
		return nil, errors.New("--only failed: this spec has not run yet")
	}
	plan, err := last.Plan()
	if err != nil {
		return nil, err
	}
	failed, nodes := map[string]bool{}, last.Failures()
	for _, i := range plan.Instances {
		failed[i.Address] = i.Error != "" || slices.ContainsFunc(i.Nodes, func(n int) bool { _, is := nodes[plan.Nodes[n].Name]; return is })
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
