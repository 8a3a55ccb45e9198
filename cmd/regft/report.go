package main

import (
	"fmt"
	"os"
	"strings"

	"regft/engine"
	"regft/report"
	"regft/specs"
	"regft/tables"

	"github.com/spf13/cobra"
)

// reportOptions are the flags of report.
type reportOptions struct {
	specFlags
	format string
	check  string
}

func (a *app) reportCommand() *cobra.Command {
	var o reportOptions
	c := &cobra.Command{
		Use: "report [RUN|SPEC]", Short: "Show the tables and studies of a spec, or check a paper against them",
		Long: `Show the tables and studies that a spec asks for, from what the cache and the runs hold: nothing is computed again.
RUN is latest (also where none is named), NAME, NAME/RUN_ID or the path of its folder; SPEC is a file. Results that were
made of other data, parameters or versions than the spec asks for now are refused.

With --check, compare the numbers of a LaTeX or Markdown file with the results, to as many digits as the file gives. Each
table stands between two comments, as --format=latex and --format=markdown write them:

  % regft:table NAME            <!-- regft:table NAME -->
  …                             …
  % regft:end                   <!-- regft:end -->

A file that --format=csv wrote, such as a run's tables.csv, needs none.

Exit codes: 0 done, or all agree; 2 the spec or the command line is wrong; 3 --check found a difference.`,
		Example: `  regft report
  regft report spec.yaml --format=latex > tables.tex
  regft report shapes --check paper.tex`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeRun,
		RunE:              func(cmd *cobra.Command, args []string) error { return a.report(cmd, args, o) },
	}
	c.Flags().StringVar(&o.format, "format", "text", "text, markdown, csv, latex or html")
	c.Flags().StringVar(&o.check, "check", "", "compare the tables in this file with the results")
	o.add(c)
	return c
}

func (a *app) report(cmd *cobra.Command, args []string, o reportOptions) error {
	draw, ok := tableFormats[o.format]
	if !ok {
		return usageError(cmd, fmt.Errorf("--format=%s: want text, markdown, csv, latex or html", o.format))
	}
	e, past, err := a.reported(cmd, args, o.specFlags)
	if err != nil {
		return err
	}
	built, err := a.tabulate(cmd, e, past)
	if err != nil {
		return err
	}
	if o.check != "" {
		return a.checkPaper(built, o.check)
	}
	text, err := draw(a, built)
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(a.out, text)
	return err
}

// reported expands what the argument names: a spec, or that of a run. The run of a spec is the latest of its name.
func (a *app) reported(cmd *cobra.Command, args []string, f specFlags) (*specs.Expansion, *engine.Past, error) {
	if len(args) > 0 {
		if info, err := os.Stat(args[0]); err == nil && info.Mode().IsRegular() {
			e, err := a.expand(cmd, args[0], f)
			if err != nil {
				return nil, nil, err
			}
			past, err := latestOf(e.Spec.Name)
			return e, past, err
		}
	}
	if len(f.sets) > 0 {
		return nil, nil, usageError(cmd, fmt.Errorf("--set changes a spec, and a run has its own: name the spec's file"))
	}
	past, err := openRun(args)
	if err != nil {
		return nil, nil, err
	}
	spec, found := past.Spec()
	if found.HasErrors() {
		return nil, nil, a.diagnose(found, false)
	}
	e, found := spec.Expand(cmd.Context())
	if found.HasErrors() {
		return nil, nil, a.diagnose(found, false)
	}
	return e, past, nil
}

// tabulate builds the tables of e from the cache, and from what a past run has recorded.
func (a *app) tabulate(cmd *cobra.Command, e *specs.Expansion, past *engine.Past) ([]report.Table, error) {
	if len(e.Spec.Tables)+len(e.Spec.Studies) == 0 {
		return nil, exitError{exitUsage, fmt.Errorf("%s asks for no tables and no studies: regft show shows its results", e.Spec.Path)}
	}
	store, err := openStore()
	if err != nil {
		return nil, err
	}
	p, err := engine.NewPlan(cmd.Context(), e, store, engine.Options{})
	if err != nil {
		return nil, planError(cmd, err)
	}
	ledger, err := engine.NewLedger(p, past)
	if err != nil {
		return nil, exitError{exitFailed, err}
	}
	return tables.Build(e, ledger.Measure), nil
}

// checkPaper compares the tables in a file with the results.
func (a *app) checkPaper(built []report.Table, path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return exitError{exitUsage, fmt.Errorf("--check: %w", err)}
	}
	found, differences, isCSV := report.CheckCSV(built, string(text))
	if !isCSV {
		found, differences = report.Check(built, string(text))
	}
	if len(found) == 0 {
		return exitError{exitUsage, fmt.Errorf(`--check: %s has no table: put it between the comments "regft:table NAME" and "regft:end"`, path)}
	}
	for _, d := range differences {
		fmt.Fprintf(a.out, "%s:%s\n", path, strings.TrimPrefix(d.String(), "line "))
	}
	if len(differences) > 0 {
		return exitError{exitPending, fmt.Errorf("%s and the results disagree in %s", path, plural(len(differences), "place"))}
	}
	fmt.Fprintf(a.out, "%s agrees with the results: %s\n", path, strings.Join(found, ", "))
	return nil
}

// tableFormats draw all tables of a spec.
var tableFormats = map[string]func(*app, []report.Table) (string, error){
	"text": func(a *app, ts []report.Table) (string, error) {
		return drawEach(ts, func(t report.Table) (string, error) { return heading(t) + "\n" + t.Text(a.colour) + "\n", nil })
	},
	"markdown": func(_ *app, ts []report.Table) (string, error) {
		return drawEach(ts, func(t report.Table) (string, error) {
			return "### " + heading(t) + "\n\n" + t.MarkedMarkdown() + "\n", nil
		})
	},
	"latex": func(_ *app, ts []report.Table) (string, error) {
		return drawEach(ts, func(t report.Table) (string, error) { return t.LaTeX() + "\n", nil })
	},
	"html": func(_ *app, ts []report.Table) (string, error) {
		return drawEach(ts, func(t report.Table) (string, error) { return t.HTML() })
	},
	"csv": func(_ *app, ts []report.Table) (string, error) {
		var b strings.Builder
		err := report.WriteCSV(&b, ts)
		return b.String(), err
	},
}

func drawEach(ts []report.Table, draw func(report.Table) (string, error)) (string, error) {
	var b strings.Builder
	for _, t := range ts {
		text, err := draw(t)
		if err != nil {
			return "", err
		}
		b.WriteString(text)
	}
	return b.String(), nil
}

// tablesFile holds the tables of a run, in its folder.
const tablesFile = "tables.csv"

// writeTables writes the tables that a run leaves, whole.
func writeTables(past *engine.Past, built []report.Table) error {
	var b strings.Builder
	if err := report.WriteCSV(&b, built); err != nil {
		return err
	}
	return leave(past, tablesFile, []byte(b.String()))
}

// showResults prints the tables that the spec asks for, else one for each stage that answers the run's question.
func (a *app) showResults(past *engine.Past, built []report.Table) error {
	if len(built) == 0 {
		return a.showTables(past)
	}
	text, err := tableFormats["text"](a, built)
	if err == nil {
		_, err = fmt.Fprint(a.out, text)
	}
	return err
}
