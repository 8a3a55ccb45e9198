package main

import (
	"encoding/json"
	"fmt"
	"os"
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
Instances are compared by their addresses; two of them, whatever theirs are.`,
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

func (a *app) showDifferences(found []engine.Difference, args []string) {
	if len(found) == 0 {
		fmt.Fprintln(a.out, "no difference")
	}
	for _, d := range found {
		switch d.Only {
		case "a":
			fmt.Fprintf(a.out, "%s: only in %s\n", d.Address, args[0])
			continue
		case "b":
			fmt.Fprintf(a.out, "%s: only in %s\n", d.Address, args[1])
			continue
		}
		fmt.Fprintf(a.out, "%s\n", d.Address)
		for _, c := range d.Fields {
			if strings.HasPrefix(c.Field, "input ") && c.Was != "" && c.Now != "" {
				fmt.Fprintf(a.out, "  %s: other content\n", c.Field)
				continue
			}
			fmt.Fprintf(a.out, "  %s: %s\n", c.Field, changeText(c))
		}
		for _, c := range d.Metrics {
			fmt.Fprintf(a.out, "  metric %s: %s\n", c.Field, changeText(c))
		}
	}
}
