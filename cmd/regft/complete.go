package main

import (
	"path/filepath"
	"slices"
	"strings"

	"regft/engine"
	"regft/specs"
	"regft/stages"

	"github.com/spf13/cobra"
)

// A located is what completion knows of an instance.
type located struct {
	stage  string
	coords []stages.Coord
	parts  []string // names of its nodes, where it has several
}

// completeSpec completes the names of YAML files.
func completeSpec(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return []string{"yaml", "yml"}, cobra.ShellCompDirectiveFilterFileExt
}

// completeRun completes the name of a run.
func completeRun(_ *cobra.Command, args []string, text string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	links, err := filepath.Glob(filepath.Join(runsFolder, "*", "latest"))
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	names := []string{"latest"}
	for _, l := range links {
		names = append(names, filepath.Base(filepath.Dir(l)))
	}
	return matching(names, text), cobra.ShellCompDirectiveNoFileComp
}

// completeInstance completes the name of a run, then an address in it.
func completeInstance(cmd *cobra.Command, args []string, text string) ([]string, cobra.ShellCompDirective) {
	if len(args) != 1 {
		return completeRun(cmd, args, text)
	}
	return completeAddress(instancesOfRun(args[0]), text), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

// completeExplained completes a spec and an address in it, or an address of the latest run.
func completeExplained(cmd *cobra.Command, args []string, text string) ([]string, cobra.ShellCompDirective) {
	switch len(args) {
	case 0:
		found := completeAddress(instancesOfRun("latest"), text)
		if found == nil {
			return completeSpec(cmd, args, text)
		}
		files, _ := filepath.Glob(text + "*.yaml") // a text that is no pattern names no file
		return append(found, files...), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	case 1:
		return completeAddress(instancesOfSpec(cmd, args[0]), text), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}

// completeOnly completes --only: failed, missing, and addresses and axes of the spec that stands before it.
func completeOnly(cmd *cobra.Command, args []string, text string) ([]string, cobra.ShellCompDirective) {
	words := matching([]string{"failed", "missing"}, text)
	if len(args) == 0 {
		return words, cobra.ShellCompDirectiveNoFileComp
	}
	all := instancesOfSpec(cmd, args[0])
	words = append(completeAddress(all, text), words...)
	return append(words, axesOf(all, text)...), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

// axesOf completes the last word of a condition, where it is the beginning of sweep.AXIS.
func axesOf(all []located, text string) []string {
	at := strings.LastIndexAny(text, " (!&|[,{") + 1
	if at == len(text) {
		return nil
	}
	var axes []string
	for _, i := range all {
		for _, c := range i.coords {
			axes = append(axes, text[:at]+"sweep."+c.Axis)
		}
	}
	return matching(axes, text)
}

// completeStage completes the name of a stage in the spec that stands before it.
func completeStage(cmd *cobra.Command, args []string, text string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return stagesOf(instancesOfSpec(cmd, args[0]), text, false), cobra.ShellCompDirectiveNoFileComp
}

// instancesOfRun are those of a run, none where it cannot be read.
func instancesOfRun(ref string) []located {
	past, err := engine.OpenRun(runsFolder, ref)
	if err != nil {
		return nil
	}
	plan, err := past.Plan()
	if err != nil {
		return nil
	}
	var out []located
	for _, i := range plan.Instances {
		out = append(out, located{i.Stage, i.Coords, i.Parts})
	}
	return out
}

// instancesOfSpec are those of a spec, none where it has mistakes.
func instancesOfSpec(cmd *cobra.Command, path string) []located {
	spec, problems := specs.Load(path, nil)
	if problems.HasErrors() {
		return nil
	}
	e, problems := spec.Expand(cmd.Context())
	if problems.HasErrors() {
		return nil
	}
	var out []located
	for _, i := range e.Instances {
		out = append(out, located{i.Stage.Name, i.Coords, partsOf(i)})
	}
	return out
}

// partsOf are the names of i's nodes, where it has several: one for each of the artifacts that it is made from.
func partsOf(i *specs.Instance) []string {
	if len(i.Parts) > 1 && slices.ContainsFunc(i.Stage.Type.Fields(), func(f stages.Field) bool { return f.Each }) {
		return i.Parts
	}
	return nil
}

// completeAddress completes the beginning of STAGE[axis=key,…].PART: stages, then axes that are not named yet, then the
// keys that some instance has beside those before, then parts.
func completeAddress(all []located, text string) []string {
	if found := completePart(all, text); found != nil {
		return found
	}
	cut := lastSeparator(text) + 1
	if cut == 0 {
		return stagesOf(all, text, true)
	}
	head, tail := text[:cut], text[cut:]
	named, err := specs.ParseAddress(finished(head))
	if err != nil {
		return nil
	}
	coords := named.Coords
	axis, _, keyed := strings.Cut(tail, "=")
	var out []string
	for _, i := range all {
		if !named.Covers(i.stage, i.coords) {
			continue
		}
		for _, c := range i.coords {
			switch {
			case slices.ContainsFunc(coords, func(named stages.Coord) bool { return named.Axis == c.Axis }):
			case !keyed:
				out = append(out, head+c.Axis+"=")
			case c.Axis == axis:
				out = append(out, ended(head, c, len(i.coords)-len(coords))...)
			}
		}
	}
	return matching(out, text)
}

// completePart completes the part of an address that is whole, or ends in a dot.
func completePart(all []located, text string) []string {
	named, err := specs.ParseAddress(strings.TrimSuffix(text, "."))
	if err != nil {
		return nil
	}
	whole := strings.TrimSuffix(strings.TrimSuffix(text, named.Part), ".")
	var out []string
	for _, i := range all {
		if !named.Covers(i.stage, i.coords) {
			continue
		}
		for _, part := range i.parts {
			out = append(out, whole+"."+part)
		}
	}
	if text == whole && len(out) > 0 {
		out = append(stagesOf(all, text, true), out...)
	}
	return matching(out, text)
}

// finished makes an address of its beginning, up to a [ or a comma.
func finished(head string) string {
	if before, ok := strings.CutSuffix(head, ","); ok {
		return before + "]"
	}
	return strings.TrimSuffix(head, "[")
}

// ended writes a coordinate with what may follow it, where so many axes were open before.
func ended(head string, c stages.Coord, open int) []string {
	whole := head + strings.TrimPrefix(specs.Address("", []stages.Coord{c}), "[")
	if open == 1 {
		return []string{whole}
	}
	return []string{whole, strings.TrimSuffix(whole, "]") + ","}
}

// lastSeparator is where the last [ or , outside quotes stands, -1 where there is none.
func lastSeparator(text string) int {
	at, quoted := -1, false
	for i, r := range text {
		switch {
		case r == '"' && (i == 0 || text[i-1] != '\\'):
			quoted = !quoted
		case !quoted && (r == '[' || r == ','):
			at = i
		}
	}
	return at
}

// stagesOf are the stages that begin with text, and the beginning of an instance's address where a stage has several.
func stagesOf(all []located, text string, opened bool) []string {
	var out []string
	for _, i := range all {
		out = append(out, i.stage)
		if opened && len(i.coords) > 0 {
			out = append(out, i.stage+"[")
		}
	}
	return matching(out, text)
}

// matching are the distinct texts that begin with prefix, in their order.
func matching(texts []string, prefix string) []string {
	seen := map[string]bool{}
	var out []string
	for _, t := range texts {
		if !seen[t] && strings.HasPrefix(t, prefix) {
			out = append(out, t)
		}
		seen[t] = true
	}
	return out
}

// completeFlag completes the values of a flag that c has.
func completeFlag(c *cobra.Command, name string, complete cobra.CompletionFunc) {
	if err := c.RegisterFlagCompletionFunc(name, complete); err != nil {
		panic(err) // the flag is not there
	}
}
