package main

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"regft/cache"
	"regft/engine"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"
)

func (a *app) verifyCommand() *cobra.Command {
	var sample string
	var tolerance float64
	c := &cobra.Command{
		Use: "verify [RUN|SPEC]", Short: "Check that all that the cache holds is what it should be",
		Long: `Read all of the cache: every blob against its SHA-256, every record against its checksum and the content that it
names, and every file of the user's whose size and times say that it is unchanged. What is damaged is set aside and
named, and made again by the next run that needs it. Exit code 4 says that something was wrong.

With --rerun, run a random sample of the nodes of a run (the latest where none is named) or of a spec once more instead,
beside the cache, and compare with what it holds: every byte, where the same class of machine computed both (backend and
instruction set, as records name it), else metrics within --tolerance. Exit code 3 says that something differs.`,
		Example: `  regft verify
  regft verify --rerun 2%
  regft verify --rerun 10 shapes`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeRun,
		RunE: func(cmd *cobra.Command, args []string) error {
			if sample != "" {
				return a.rerun(cmd, args, sample, tolerance)
			}
			if len(args) > 0 {
				return usageError(cmd, errors.New("verify reads the whole cache; a run or spec goes with --rerun"))
			}
			return a.verifyStore(cmd)
		},
	}
	c.Flags().StringVar(&sample, "rerun", "", "run so many of the nodes once more, such as 2% or 10")
	c.Flags().Float64Var(&tolerance, "tolerance", 1e-3, "relative difference that metrics of another class of machine may have")
	return c
}

func (a *app) verifyStore(cmd *cobra.Command) error {
	store, err := openStore()
	if err != nil {
		return err
	}
	audit, err := store.Audit(cmd.Context())
	if err != nil {
		return exitError{exitFailed, err}
	}
	for _, f := range audit.Findings {
		fmt.Fprintf(a.out, "%s: %s\n", f.Entry, f.Problem)
	}
	fmt.Fprintf(a.out, "checked %s, %s, %s and %s: %s\n", plural(audit.Blobs, "blob"), plural(audit.Results, "result"), plural(audit.Recipes, "recipe"),
		plural(audit.Links, "linked file"), humanize.IBytes(uint64(audit.Bytes)))
	if n := len(audit.Findings); n > 0 {
		return exitError{exitIntegrity, fmt.Errorf("%s wrong in %s", plural(n, "thing"), store.Root())}
	}
	return nil
}

// rerun runs a sample of nodes once more, and compares.
func (a *app) rerun(cmd *cobra.Command, args []string, sample string, tolerance float64) error {
	e, _, err := a.reported(cmd, args, specFlags{})
	if err != nil {
		return err
	}
	store, err := openStore()
	if err != nil {
		return err
	}
	p, err := planOf(cmd, store, e, nil, "")
	if err != nil {
		return err
	}
	nodes, err := sampleOf(p.Finished(), sample)
	if err != nil {
		return usageError(cmd, err)
	}
	differ := 0
	err = withScratch(store, func(scratch *cache.Dir, x engine.Executor) error {
		for _, n := range nodes {
			r, err := p.Rerun(cmd.Context(), x, scratch, n, tolerance)
			if err != nil {
				return err
			}
			a.showRerun(r)
			if !r.Agrees() {
				differ++
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(a.out, "ran %s of %d once more\n", plural(len(nodes), "node"), len(p.Finished()))
	if differ > 0 {
		return exitError{exitPending, fmt.Errorf("%s not as recorded", plural(differ, "node"))}
	}
	return nil
}

// sampleOf draws from nodes: "10", or "2%", at least one. They keep their order.
func sampleOf(nodes []*engine.Node, sample string) ([]*engine.Node, error) {
	digits, percent := strings.CutSuffix(sample, "%")
	n, err := strconv.ParseFloat(digits, 64)
	if err != nil || n <= 0 || percent && n > 100 || !percent && n != math.Trunc(n) {
		return nil, fmt.Errorf("--rerun %s: want a part such as 2%%, or a number such as 10", sample)
	}
	if percent {
		n = math.Ceil(n / 100 * float64(len(nodes)))
	}
	drawn := rand.Perm(len(nodes))[:min(int(n), len(nodes))]
	slices.Sort(drawn)
	out := make([]*engine.Node, len(drawn))
	for k, i := range drawn {
		out[k] = nodes[i]
	}
	return out, nil
}

// withScratch gives a store beside the cache, with an executor, that ends with use.
func withScratch(beside *cache.Dir, use func(*cache.Dir, engine.Executor) error) error {
	dir, err := os.MkdirTemp(beside.Root(), "rerun-")
	if err != nil {
		return exitError{exitUnavailable, fmt.Errorf("making a folder to run in: %w", err)}
	}
	defer os.RemoveAll(dir)
	scratch, err := cache.OpenDir(dir)
	if err != nil {
		return exitError{exitUnavailable, err}
	}
	x, err := engine.NewLocal(scratch, engine.ThisMachine().Memory/4, version())
	if err != nil {
		return exitError{exitUnavailable, err}
	}
	defer x.Close()
	return use(scratch, x)
}

// showRerun says what came of a node that ran once more.
func (a *app) showRerun(r engine.Rerun) {
	switch {
	case r.Err != nil:
		fmt.Fprintf(a.out, "%s: it failed: %v\n", r.Node.Name(), r.Err)
	case r.SameBytes():
		fmt.Fprintf(a.out, "%s: same bytes, in %s\n", r.Node.Name(), time.Duration(r.Now.Seconds*float64(time.Second)).Round(time.Millisecond))
	case r.SameClass():
		fmt.Fprintf(a.out, "%s: OTHER BYTES on the same class of machine (%s)\n", r.Node.Name(), className(r.Now.Numerics))
	case len(r.Metrics) == 0:
		fmt.Fprintf(a.out, "%s: other bytes, metrics within the tolerance (%s; recorded by %s)\n", r.Node.Name(), className(r.Now.Numerics), className(r.Was.Numerics))
	default:
		fmt.Fprintf(a.out, "%s: OTHER METRICS (%s; recorded by %s)\n", r.Node.Name(), className(r.Now.Numerics), className(r.Was.Numerics))
	}
	for _, c := range r.Metrics {
		fmt.Fprintf(a.out, "  metric %s: %s\n", c.Field, changeText(c))
	}
}

// className is how a record names a class of machine; a stage that computes nothing has none.
func className(numerics string) string {
	if numerics == "" {
		return "any"
	}
	return numerics
}
