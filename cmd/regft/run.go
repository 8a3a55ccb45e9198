package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"regft/cache"
	"regft/compute"
	"regft/engine"
	"regft/report"
	"regft/specs"
	"regft/tables"

	"github.com/spf13/cobra"
)

// runOptions are the flags of run.
type runOptions struct {
	specFlags
	remoteFlags
	jobs     int
	only     string
	failFast bool
	force    []string
}

func (a *app) runCommand() *cobra.Command {
	var o runOptions
	c := &cobra.Command{
		Use: "run SPEC", Short: "Do what a spec asks for and the cache does not hold yet",
		Long: `Run a spec: as many nodes side by side as cores and memory allow. A node that fails does not stop what does not
need it. After an interruption, a failure or a change, the same command goes on from what is done: there is nothing else
to resume.

A run leaves runs/NAME/RUN_ID with report.html, results.jsonl, results.csv, logs and provenance; runs/NAME/latest is the
newest.

With a remote, results that others share there are not computed again: only the content that something uses is fetched.
What is computed is shared as soon as it is done, unless --remote-mode=read.

Exit codes: 0 done; 1 a stage failed; 2 the spec or the command line is wrong; 5 no cache or remote; 130 interrupted.`,
		Example: `  regft run spec.yaml
  regft run spec.yaml --set vars.epochs=20 -j 1
  regft run spec.yaml --only 'tuned[draw=0]'
  regft run spec.yaml --only 'sweep.draw == 0 && sweep.method.key != "both"'
  regft run spec.yaml --only failed
  regft run spec.yaml --force pictures
  regft run spec.yaml --remote s3://lab/regft`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeSpec,
		RunE:              func(cmd *cobra.Command, args []string) error { return a.run(cmd, args[0], o) },
	}
	f := c.Flags()
	f.IntVarP(&o.jobs, "jobs", "j", 0, "nodes side by side (as many as the machine has room for)")
	f.StringVar(&o.only, "only", "", "do only this and what it takes: STAGE, STAGE[axis=key,…] or STAGE[…].PART, CEL (a condition on points), failed (in the latest run), or missing (what is not in the cache, less what failed)")
	f.BoolVar(&o.failFast, "fail-fast", false, "stop at the first failure")
	f.StringArrayVar(&o.force, "force", nil, "run the nodes of this stage although their results are there; may be given several times")
	f.BoolVar(&o.asJSON, "json", false, "print events, or the mistakes of the spec, as JSON lines")
	o.specFlags.add(c)
	o.remoteFlags.add(c)
	completeFlag(c, "only", completeOnly)
	completeFlag(c, "force", completeStage)
	return c
}

func (a *app) run(cmd *cobra.Command, path string, o runOptions) error {
	if o.jobs < 0 {
		return usageError(cmd, fmt.Errorf("-j %d: want 1 or more", o.jobs))
	}
	if err := compute.Check(""); err != nil {
		return exitError{exitUsage, err}
	}
	w, err := a.witness(path, o)
	if err != nil {
		return err
	}
	if done, err := w.recall(); done {
		return err
	}
	return w.run(cmd, path, o)
}

// run expands, plans, executes and records the spec at path.
func (w *witness) run(cmd *cobra.Command, path string, o runOptions) (err error) {
	e, err := w.expand(cmd, path, o.specFlags)
	if err != nil {
		return err
	}
	store, err := w.openShared(cmd, o.remoteFlags)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	p, err := planOf(cmd, store.Dir, e, o.force, o.only)
	if found, ok := errors.AsType[specs.Diagnostics](err); ok {
		return w.diagnose(found, o.asJSON)
	}
	if err != nil {
		return err
	}
	if err := p.Runnable(); err != nil {
		return exitError{exitUsage, err}
	}
	last, err := latestOf(p.Expansion.Spec.Name)
	if err != nil {
		return err
	}
	if !p.Repeats(last) || !hasReport(last) {
		warned := w.warned.String()
		past, err := w.execute(cmd.Context(), p, store, o)
		if err == nil {
			w.rememberRun(cmd.Context(), p, past, warned)
		}
		return err
	}
	if err := w.nothingToDo(p, last, o.asJSON); err != nil {
		return err
	}
	w.remember(cmd.Context(), p, last)
	return nil
}

// hasReport says that a run's page was drawn: it may have been killed before that.
func hasReport(past *engine.Past) bool {
	_, err := os.Stat(filepath.Join(past.Dir, reportFile))
	return err == nil
}

// nothingToDo shows what the last run left: nothing is written there.
func (a *app) nothingToDo(p *engine.Plan, last *engine.Past, asJSON bool) error {
	if err := engine.PointLatest(runsFolder, last.Dir); err != nil {
		return exitError{exitUnavailable, err}
	}
	if asJSON {
		a.endAtOnce(p.Counts().Total().Hit)
		return nil
	}
	built := tables.Build(p.Expansion, p.Measure)
	if err := a.showResults(last, built); err != nil {
		return err
	}
	fmt.Fprintf(a.out, "nothing to do: every result of %s is in the cache\n", last.Name)
	a.pointTo(last, built)
	return nil
}

// execute runs p, records it, and shows what came out. It gives the run that has ended, all of it well, or an error.
func (a *app) execute(ctx context.Context, p *engine.Plan, store *sharedStore, o runOptions) (*engine.Past, error) {
	executor, err := engine.NewLocal(store.Dir, engine.ThisMachine().Memory/4, version())
	if err != nil {
		return nil, exitError{exitUnavailable, err}
	}
	defer executor.Close()
	record, err := engine.Create(runsFolder, p, version(), os.Args)
	if err != nil {
		return nil, exitError{exitUnavailable, err}
	}
	share := store.share(ctx, p)
	summary, failures, runErr := a.follow(ctx, p, executor, record, o, share.event)
	if err := record.Close(summary); err != nil {
		return nil, errors.Join(runErr, exitError{exitUnavailable, err})
	}
	past, err := engine.OpenRun(runsFolder, record.Dir)
	if err != nil {
		return nil, err
	}
	if err := a.conclude(ctx, store.Dir, past, p, o.asJSON); err != nil {
		return nil, errors.Join(runErr, err)
	}
	a.endSharing(share, o.asJSON)
	switch {
	case runErr != nil:
		return nil, runErr
	case summary.Failed > 0:
		a.showFailures(past, failures)
		return nil, exitError{exitFailed, fmt.Errorf("%s failed", plural(summary.Failed, "node"))}
	case summary.Unfinished > 0:
		return nil, exitError{exitFailed, fmt.Errorf("%s left undone, and nothing failed: a fault of regft, please report it with the spec", plural(summary.Unfinished, "node"))}
	}
	return past, nil
}

// follow runs p and shows its events while they come. It gives those of nodes that failed.
func (a *app) follow(ctx context.Context, p *engine.Plan, x engine.Executor, record *engine.Record, o runOptions, share func(engine.Event)) (*engine.Summary, []engine.Event, error) {
	shown, log := a.newDisplay(o.asJSON), a.logger(a.err)
	var failures []engine.Event
	var warnings remarks
	summary, err := engine.Run(ctx, p, x, engine.RunOptions{Jobs: o.jobs, FailFast: o.failFast, LogDir: record.Dir}, func(e engine.Event) {
		record.Event(e)
		share(e)
		shown.event(e)
		logEvent(log, e)
		warnings.add(e)
		if e.Kind == engine.NodeFailed {
			failures = append(failures, e)
		}
	})
	shown.close()
	for _, text := range warnings.texts() {
		a.warn("warning: %s", text)
	}
	return summary, failures, err
}

// conclude writes the run's page, shows its tables, and says where everything is. It is the end of a cancelled run
// too, and so takes no part in its cancellation.
func (a *app) conclude(ctx context.Context, store *cache.Dir, past *engine.Past, p *engine.Plan, asJSON bool) error {
	ctx = context.WithoutCancel(ctx)
	built := tables.Build(p.Expansion, p.Measure)
	if len(built) > 0 {
		if err := writeTables(past, built); err != nil {
			return err
		}
	}
	if err := writeReport(ctx, store, past, built); err != nil {
		return err
	}
	if asJSON {
		return nil
	}
	if err := a.showResults(past, built); err != nil {
		return err
	}
	a.pointTo(past, built)
	return nil
}

// pointTo says where a run's results are, and which command shows them.
func (a *app) pointTo(past *engine.Past, built []report.Table) {
	show := "show"
	if len(built) > 0 {
		show = "report"
	}
	fmt.Fprintf(a.out, "%s\nreport    %s\nresults   %s\nagain     regft %s %s\n", describe(past),
		filepath.Join(relative(past.Dir), reportFile), filepath.Join(relative(past.Dir), "results.jsonl"), show, past.Name)
}

// relative is path as seen from the current folder, where it lies below.
func relative(path string) string {
	here, err := os.Getwd()
	if err != nil {
		return path
	}
	if real, err := filepath.EvalSymlinks(here); err == nil {
		here = real
	}
	if rel, err := filepath.Rel(here, path); err == nil && filepath.IsLocal(rel) {
		return rel
	}
	return path
}

// tailLines is how much of a failed node's log is shown.
const tailLines = 12

// maxFailures is how many failures are shown in full.
const maxFailures = 5

// showFailures tells why nodes failed, with the last lines of their logs.
func (a *app) showFailures(past *engine.Past, failures []engine.Event) {
	all := len(failures)
	told := map[string]bool{} // each cause once
	failures = slices.DeleteFunc(slices.Clone(failures), func(e engine.Event) bool { again := told[e.Error]; told[e.Error] = true; return again })
	shown := failures[:min(len(failures), maxFailures)]
	for _, e := range shown {
		fmt.Fprintf(a.err, "\n%s failed: %s\n", e.Name, e.Error)
		for _, line := range tail(filepath.Join(past.Dir, e.Log), tailLines) {
			if !strings.Contains(line, e.Error) && !strings.Contains(e.Error, lastWords(line)) { // told already
				fmt.Fprintf(a.err, "  | %s\n", line)
			}
		}
	}
	if n := all - len(shown); n > 0 {
		fmt.Fprintf(a.err, "\nand %d more: regft status %s\n", n, past.Name)
	}
}

// lastWords is a line of a log as an error may quote it.
func lastWords(line string) string { return strings.TrimSpace(strings.TrimPrefix(line, "failed: ")) }

// tail is the last lines of a file, none where it cannot be read.
func tail(path string, n int) []string {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	lines := slices.Collect(splitLines(content))
	return lines[max(len(lines)-n, 0):]
}
