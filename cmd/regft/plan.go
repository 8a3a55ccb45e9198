package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"regft/engine"

	"github.com/spf13/cobra"
)

// planOptions are the flags of plan.
type planOptions struct {
	specFlags
	remoteFlags
	points, check bool
	graph         string
}

func (a *app) planCommand() *cobra.Command {
	var o planOptions
	c := &cobra.Command{
		Use: "plan SPEC|A..B", Short: "Show what a run would do, without doing it",
		Long: `Show, for each stage of a spec, how many distinct nodes it has, what would become of them and why, and over which
axes it runs:

  hit       the result is in the cache
  run       it would run
  maybe     it runs unless an unchanged input or a condition spares it
  blocked   something that it needs cannot be had
  unknown   a file that it reads is not on this machine
  skipped   a condition says so
  idle      nothing that can run needs it

A..B prices a change: which nodes B asks for that A does not, how many of them are there already, and what the rest takes.
A and B are spec files, or SPEC@REV, the file in a revision of its git repository; B may be the revision alone.`,
		Example: `  regft plan spec.yaml
  regft plan spec.yaml --set vars.epochs=20
  regft plan spec.yaml --points | head
  regft plan spec.yaml --graph=dot | dot -Tsvg > plan.svg
  regft plan spec.yaml --check || echo "there is work to do"
  regft plan spec.yaml@HEAD..spec.yaml
  regft plan spec.yaml@v1..v2`,
		Args:              planArgs,
		ValidArgsFunction: completeSpec,
		RunE: func(cmd *cobra.Command, args []string) error {
			draw, err := o.drawing(cmd)
			if err != nil {
				return err
			}
			if from, to, ok := cutRange(args[0]); ok {
				return a.planChange(cmd, from, to, o)
			}
			return a.plan(cmd, args[0], o, draw)
		},
	}
	f := c.Flags()
	f.BoolVar(&o.points, "points", false, "list the points of the sweep")
	f.StringVar(&o.graph, "graph", "", "draw the stages as a graph: mermaid, or dot")
	f.Lookup("graph").NoOptDefVal = "mermaid"
	f.BoolVar(&o.asJSON, "json", false, "print the counts, or the mistakes of the spec, as JSON")
	f.BoolVar(&o.check, "check", false, "exit with 3 where a run would have something to do")
	c.MarkFlagsMutuallyExclusive("points", "graph", "json")
	o.specFlags.add(c)
	o.remoteFlags.add(c)
	completeFlag(c, "graph", cobra.FixedCompletions([]string{"mermaid", "dot"}, cobra.ShellCompDirectiveNoFileComp))
	return c
}

// planArgs wants one spec. The form of a graph is an argument of its own where the = is forgotten.
func planArgs(cmd *cobra.Command, args []string) error {
	if at := slices.IndexFunc(args, func(arg string) bool { return arg == "mermaid" || arg == "dot" }); at >= 0 && len(args) == 2 && cmd.Flags().Changed("graph") {
		return fmt.Errorf("the form of a graph follows an =: --graph=%s", args[at])
	}
	return cobra.ExactArgs(1)(cmd, args)
}

func (a *app) plan(cmd *cobra.Command, path string, o planOptions, draw func(io.Writer, *engine.Plan) error) (err error) {
	e, err := a.expand(cmd, path, o.specFlags)
	if err != nil {
		return err
	}
	o.readUnlessTold()
	store, err := a.openShared(cmd, o.remoteFlags)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	p, err := planOf(cmd, store.Dir, e, nil, "")
	if err != nil {
		return err
	}
	return a.showPlan(p, draw, o)
}

// planChange shows what a change from one spec to another asks for, and what it takes.
func (a *app) planChange(cmd *cobra.Command, from, to string, o planOptions) (err error) {
	if o.points || o.graph != "" {
		return usageError(cmd, errors.New("--points and --graph are of one spec, not of a change"))
	}
	o.readUnlessTold()
	store, err := a.openShared(cmd, o.remoteFlags)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	scratch, err := os.MkdirTemp("", "regft-")
	if err != nil {
		return exitError{exitFailed, fmt.Errorf("making a folder for revisions: %w", err)}
	}
	defer os.RemoveAll(scratch)
	before, err := a.planAt(cmd, store.Dir, from, scratch, o.specFlags)
	if err != nil {
		return err
	}
	p, err := a.planAt(cmd, store.Dir, to, scratch, o.specFlags)
	if err != nil {
		return err
	}
	d, err := p.Since(cmd.Context(), before)
	if err != nil {
		return exitError{exitFailed, err}
	}
	if o.asJSON {
		err = json.NewEncoder(a.out).Encode(d)
	} else {
		err = d.WriteTable(a.out)
	}
	if err == nil && o.check && d.Pending() {
		return exitError{exitPending, errors.New("the change asks for work")}
	}
	return err
}

// drawing is how the flags want the plan to be shown.
func (o planOptions) drawing(cmd *cobra.Command) (func(io.Writer, *engine.Plan) error, error) {
	switch {
	case o.points:
		return func(w io.Writer, p *engine.Plan) error { return p.WritePoints(w) }, nil
	case o.asJSON:
		return planJSON, nil
	case o.graph == "mermaid":
		return func(w io.Writer, p *engine.Plan) error { _, err := io.WriteString(w, p.Graph().Mermaid()); return err }, nil
	case o.graph == "dot":
		return func(w io.Writer, p *engine.Plan) error { _, err := io.WriteString(w, p.Graph().DOT()); return err }, nil
	case o.graph != "":
		return nil, usageError(cmd, fmt.Errorf("--graph=%s: want mermaid or dot", o.graph))
	}
	return func(w io.Writer, p *engine.Plan) error {
		fmt.Fprintf(w, "%s: %s\n\n", p.Expansion.Spec.Name, plural(len(p.Expansion.Points), "point"))
		return p.WriteTable(cmd.Context(), w)
	}, nil
}

func planJSON(w io.Writer, p *engine.Plan) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(p.Counts())
}

// maxWarnings is how many missing files a plan names for people.
const maxWarnings = 15

func (a *app) showPlan(p *engine.Plan, draw func(io.Writer, *engine.Plan) error, o planOptions) error {
	shown := p.Warnings
	if !o.asJSON {
		shown = shown[:min(len(shown), maxWarnings)]
	}
	for _, w := range shown {
		a.warn("warning: %s", w)
	}
	if more := len(p.Warnings) - len(shown); more > 0 {
		a.warn("warning: and %s more: plan --json names them all", plural(more, "file"))
	}
	if err := draw(a.out, p); err != nil {
		return err
	}
	if o.check && p.Counts().Pending() {
		return exitError{exitPending, errors.New("there is work to do")}
	}
	return nil
}
