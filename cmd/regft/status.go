package main

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"regft/engine"

	"github.com/spf13/cobra"
)

func (a *app) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use: "status [RUN]", Short: "Show how far a run is",
		Long: "Show how far a run is, what it is doing, and what failed: of the latest run, or of the one named.",
		Example: `  regft status
  regft status shapes`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeRun,
		RunE: func(_ *cobra.Command, args []string) error {
			past, err := openRun(args)
			if err != nil {
				return err
			}
			return a.status(past)
		},
	}
}

func (a *app) status(past *engine.Past) error {
	plan, err := past.Plan()
	if err != nil {
		return err
	}
	fmt.Fprintln(a.out, describe(past))
	count := map[string]int{}
	for _, n := range plan.Nodes {
		count[stateWord(n.State, past)]++
	}
	for _, s := range []engine.State{engine.Hit, engine.Done, engine.Running, engine.Elsewhere, engine.Work, engine.Maybe, engine.Failed, engine.Blocked, engine.Skipped} {
		if word := stateWord(s, past); count[word] > 0 {
			fmt.Fprintf(a.out, "  %-9s %d\n", word, count[word])
			delete(count, word)
		}
	}
	alive := past.Alive()
	for _, n := range plan.Nodes {
		switch {
		case n.State == engine.Running && n.Total > 0:
			fmt.Fprintf(a.out, "%s: %d of %d %s\n", n.Name, n.Done, n.Total, n.Unit)
		case n.State == engine.Running && alive:
			fmt.Fprintf(a.out, "%s: running\n", n.Name)
		case n.State == engine.Elsewhere && alive:
			fmt.Fprintf(a.out, "%s: running elsewhere, %s\n", n.Name, cmp.Or(n.Owner, "in another process"))
		case n.State == engine.Failed:
			fmt.Fprintf(a.out, "%s failed: %s\n", n.Name, firstLine(n.Error))
		}
	}
	for _, i := range plan.Instances {
		if i.Error != "" {
			fmt.Fprintf(a.out, "%s failed: %s\n", i.Address, firstLine(i.Error))
		}
	}
	return nil
}

// stateWord names a node's state in a run that may be over.
func stateWord(s engine.State, past *engine.Past) string {
	switch over := !past.Alive(); {
	case s == engine.Hit:
		return "cached"
	case over && slices.Contains([]engine.State{engine.Running, engine.Elsewhere, engine.Work, engine.Maybe}, s):
		return "not done"
	case s == engine.Work, s == engine.Maybe:
		return "to do"
	}
	return string(s)
}

// describe says in a sentence how a run went.
func describe(past *engine.Past) string {
	p := past.Provenance
	name := past.Name + "/" + past.ID
	switch {
	case p.Summary == nil && past.Alive():
		return fmt.Sprintf("%s is going on since %s", name, p.Started.Local().Format(time.DateTime))
	case p.Summary == nil:
		return name + " was killed before it ended; run the spec again to go on"
	case p.Summary.Interrupted:
		return fmt.Sprintf("%s was interrupted after %s with %s left; run the spec again to go on", name, seconds(p.Summary.Seconds), plural(p.Summary.Unfinished, "node"))
	}
	s := p.Summary
	text := fmt.Sprintf("%s ended after %s: %s ran, %d came from the cache", name, seconds(s.Seconds), plural(s.Executed, "node"), s.Hits+s.Spared)
	for _, part := range []struct {
		n    int
		word string
	}{{s.Failed, "failed"}, {s.Blocked, "could not run for that"}, {s.Skipped, "skipped"}} {
		if part.n > 0 {
			text += fmt.Sprintf(", %d %s", part.n, part.word)
		}
	}
	return text
}
