package main

import (
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"regft/cache"
	"regft/engine"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"
)

// A gcFlags say what gc keeps, and whether it removes the rest.
type gcFlags struct {
	runs   int
	within string
	specs  []string
	yes    bool
}

func (a *app) gcCommand() *cobra.Command {
	var f gcFlags
	c := &cobra.Command{
		Use: "gc", Short: "Remove from the cache what nothing needs any more",
		Long: `Find what the cache holds that nothing needs any more, and with --yes remove it. Kept are the results, with their
content, of pins ('regft cache pin'), of the last runs of each name in any folder, of runs that go on, of the specs given,
and all that is younger than --keep-within, at least a day. Partial work and damaged entries go by that age alone.

It may run beside other commands. Killed at any point, it leaves every result whole or gone.`,
		Example: `  regft gc
  regft gc --keep-runs 3 --keep-within 7d --spec spec.yaml --yes`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.gc(cmd, f) },
	}
	c.Flags().IntVar(&f.runs, "keep-runs", 1, "keep the results of so many runs of each name, the newest")
	c.Flags().StringVar(&f.within, "keep-within", "30d", "keep what was made within that time, such as 36h, 30d or 8w")
	c.Flags().StringArrayVar(&f.specs, "spec", nil, "keep the results that a spec has; may be given several times")
	c.Flags().BoolVar(&f.yes, "yes", false, "remove it, rather than only say what would go")
	return c
}

func (a *app) gc(cmd *cobra.Command, f gcFlags) error {
	age, err := parseAge(f.within)
	if err != nil {
		return usageError(cmd, fmt.Errorf("--keep-within %s: %w", f.within, err))
	}
	if age < 24*time.Hour {
		f.within = "a day, which is the least"
	}
	if f.runs < 0 {
		return usageError(cmd, fmt.Errorf("--keep-runs %d: want 0 or more", f.runs))
	}
	store, err := openStore()
	if err != nil {
		return err
	}
	roots, err := engine.FindRoots(cmd.Context(), store, runsFolder, f.runs)
	if err != nil {
		return exitError{exitFailed, fmt.Errorf("nothing was removed: %w", err)}
	}
	if err := a.addSpecs(cmd, roots, f.specs); err != nil {
		return err
	}
	garbage, err := store.FindGarbage(cmd.Context(), cache.Keep{Actions: roots.Actions, Since: time.Now().Add(-age)})
	if err != nil {
		return exitError{exitFailed, err}
	}
	if err := a.showGarbage(roots, garbage, f); err != nil || !f.yes {
		return err
	}
	freed, err := store.Collect(cmd.Context(), garbage)
	fmt.Fprintf(a.out, "freed %s\n", humanize.IBytes(uint64(freed)))
	if err != nil {
		return exitError{exitFailed, err}
	}
	return nil
}

// addSpecs makes the results of specs roots.
func (a *app) addSpecs(cmd *cobra.Command, roots *engine.Roots, paths []string) error {
	for _, path := range paths {
		p, err := a.newPlan(cmd, path, specFlags{}, nil, "")
		if err != nil {
			return err
		}
		actions, err := p.Actions()
		if err != nil {
			return exitError{exitUsage, err}
		}
		roots.Add(actions)
	}
	return nil
}

func (a *app) showGarbage(roots *engine.Roots, g *cache.Garbage, f gcFlags) error {
	fmt.Fprintf(a.out, "kept: %s, %s, %s, and what was made within %s\n", plural(len(roots.Runs), "run"), plural(len(roots.Pins), "pin"), plural(len(f.specs), "spec"), f.within)
	for _, gone := range roots.Gone {
		a.warn("the run %s is not there any more: only its age keeps its results", gone)
	}
	tw := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(tw, "  results\t%d\t\n  content\t%d\t%s\n", g.KeptResults, g.KeptBlobs, humanize.IBytes(uint64(g.KeptBytes)))
	if err := tw.Flush(); err != nil {
		return err
	}
	if f.yes {
		fmt.Fprintln(a.out, "removing:")
	} else {
		fmt.Fprintln(a.out, "would go:")
	}
	for _, row := range []struct {
		what string
		pile cache.Pile
	}{{"results", g.Results}, {"recipes", g.Recipes}, {"content", g.Blobs}, {"partial work", g.Partial}, {"damaged", g.Quarantine}} {
		fmt.Fprintf(tw, "  %s\t%d\t%s\n", row.what, len(row.pile.Paths), humanize.IBytes(uint64(row.pile.Bytes)))
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	if !f.yes {
		fmt.Fprintf(a.out, "%s would be freed; 'regft gc --yes' removes it\n", humanize.IBytes(uint64(g.Bytes())))
	}
	return nil
}

// parseAge reads a duration; beside Go's units there are d and w.
func parseAge(text string) (time.Duration, error) {
	for unit, length := range map[string]time.Duration{"d": 24 * time.Hour, "w": 7 * 24 * time.Hour} {
		if digits, ok := strings.CutSuffix(text, unit); ok {
			n, err := strconv.ParseUint(digits, 10, 16)
			if err != nil {
				return 0, fmt.Errorf("want a whole number of days or weeks, such as 30d")
			}
			return time.Duration(n) * length, nil
		}
	}
	age, err := time.ParseDuration(text)
	if err != nil || age < 0 {
		return 0, fmt.Errorf("want a time such as 36h, 30d or 8w")
	}
	return age, nil
}
