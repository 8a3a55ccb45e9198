package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strings"

	"regft/engine"

	"github.com/spf13/cobra"
)

func (a *app) diffCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "diff A B", Short: "Compare two runs, two instances, two specs or revisions",
		Long: `Say which parameters, inputs and metrics differ between A and B. Each is a run (latest, NAME, NAME/RUN_ID or the path of
its folder), instances of the latest run (STAGE[axis=key,…]), or a spec file, compared by what its plan would do; SPEC@REV is the file in a revision of its git repository.
Instances are compared by their addresses; two of them, whatever theirs are. What differs alike in several nodes of a
stage is said once; --json has each.`,
		Example: `  regft diff shapes/20260104T091500.000Z-1a2b latest
  regft diff 'tuned[draw=0]' 'tuned[draw=1]'
  regft diff old.yaml spec.yaml
  regft diff spec.yaml@HEAD~1 spec.yaml`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			var sides [2]*engine.Snapshot
			for k, arg := range args {
				s, err := a.snapshot(cmd, arg)
				if err != nil {
					return err
				}
				sides[k] = s
			}
			found := engine.Diff(sides[0], sides[1])
			if asJSON {
				return json.NewEncoder(a.out).Encode(append([]engine.Difference{}, found...))
			}
			a.showDifferences(found, args)
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print the differences as JSON")
	return c
}

// snapshot is what arg names: a spec, a run, or instances of the latest run.
func (a *app) snapshot(cmd *cobra.Command, arg string) (*engine.Snapshot, error) {
	if isSpecAt(arg) {
		return a.specSnapshot(cmd, arg)
	}
	past, address, err := runAndAddress([]string{arg})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, exitError{exitUsage, fmt.Errorf("there is no run %q, no such stage in the latest run, and no such spec: want a run, STAGE[axis=key,…], SPEC or SPEC@REV", arg)}
	}
	if err != nil {
		return nil, err
	}
	store, err := openStore()
	if err != nil {
		return nil, err
	}
	s, err := past.Snapshot(cmd.Context(), store, address)
	if err != nil {
		return nil, exitError{exitUsage, err}
	}
	return s, nil
}

func (a *app) specSnapshot(cmd *cobra.Command, arg string) (*engine.Snapshot, error) {
	store, err := openStore()
	if err != nil {
		return nil, err
	}
	scratch, err := os.MkdirTemp("", "regft-")
	if err != nil {
		return nil, exitError{exitFailed, fmt.Errorf("making a folder for revisions: %w", err)}
	}
	defer os.RemoveAll(scratch)
	p, err := a.planAt(cmd, store, arg, scratch, specFlags{})
	if err != nil {
		return nil, err
	}
	return p.Snapshot(), nil
}

// showDifferences prints found, what differs alike in several nodes of a stage once.
func (a *app) showDifferences(found []engine.Difference, args []string) {
	if len(found) == 0 {
		fmt.Fprintln(a.out, "no difference")
	}
	type kind struct{ stage, text string }
	addresses := map[kind][]string{}
	var order []kind
	for _, d := range found {
		k := kind{d.Address[:strings.IndexAny(d.Address+"[", "[.")], differenceText(d, args)}
		if addresses[k] == nil {
			order = append(order, k)
		}
		addresses[k] = append(addresses[k], d.Address)
	}
	for _, k := range order {
		same := addresses[k]
		name := same[0]
		if len(same) > 1 {
			name = fmt.Sprintf("%s and %d more", same[0], len(same)-1)
		}
		fmt.Fprintf(a.out, "%s%s\n", name, k.text)
	}
}

// differenceText is what follows the address of d.
func differenceText(d engine.Difference, args []string) string {
	switch d.Only {
	case "a":
		return ": only in " + args[0]
	case "b":
		return ": only in " + args[1]
	}
	var b strings.Builder
	for _, list := range otherContent(d.Fields) {
		of := ""
		if len(list) > 1 {
			of = fmt.Sprintf(" and %d more", len(list)-1)
		}
		fmt.Fprintf(&b, "\n  %s%s: %s", list[0].Field, of, otherText(list))
	}
	for _, c := range d.Fields {
		if !isOtherContent(c) {
			fmt.Fprintf(&b, "\n  %s: %s", c.Field, changeText(c))
		}
	}
	for _, name := range d.Environment {
		fmt.Fprintf(&b, "\n  env %s: another value, which is not in the key", name)
	}
	for _, c := range d.Metrics {
		fmt.Fprintf(&b, "\n  metric %s: %s", c.Field, changeText(c))
	}
	return b.String()
}

// otherText says how inputs differ whose content, or what makes it, does.
func otherText(list []engine.Change) string {
	unknown := func(text string) bool { return strings.HasPrefix(text, engine.RecipePrefix) }
	text := "other content"
	for _, c := range list {
		switch {
		case unknown(c.Was) && unknown(c.Now):
			text = "made in another way"
		case unknown(c.Was) || unknown(c.Now):
			return "not known on both sides before what it comes from has run"
		}
	}
	return text
}

// isOtherContent says whether c is an input whose digest, which tells a reader nothing, changed.
func isOtherContent(c engine.Change) bool {
	return inputField.MatchString(c.Field) && c.Was != "" && c.Now != ""
}

// inputField is the field of a key that holds an input's digest: after the part whose key it is, its name without an index.
var inputField = regexp.MustCompile(`^(?:.*\.)?(input [^\[]*)`)

// otherContent are the inputs among fields with other content, those of one list or of several parts together.
func otherContent(fields []engine.Change) [][]engine.Change {
	var order []string
	lists := map[string][]engine.Change{}
	for _, c := range fields {
		if !isOtherContent(c) {
			continue
		}
		name := inputField.FindStringSubmatch(c.Field)[1]
		if lists[name] == nil {
			order = append(order, name)
		}
		lists[name] = append(lists[name], c)
	}
	found := make([][]engine.Change, len(order))
	for k, name := range order {
		found[k] = lists[name]
	}
	return found
}
