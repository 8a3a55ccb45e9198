package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"regft/cache"
	"regft/engine"
	"regft/report"

	"github.com/spf13/cobra"
)

func (a *app) showCommand() *cobra.Command {
	var format string
	c := &cobra.Command{
		Use: "show [RUN [STAGE[axis=key,…].PART]]", Short: "Show the results of a run, or of one instance",
		Long: `Show the tables that the spec of a run asks for, or where it asks for none, one for each stage that answers its
question: of the latest run where none is named. RUN is latest, NAME, NAME/RUN_ID or the path of its folder.
With an instance, show its metrics, what its key holds, and what computed it; with .PART, of one of its data sets.`,
		Example: `  regft show
  regft show shapes --format=markdown
  regft show shapes 'tuned[draw=0]'
  regft show shapes --format=jsonl | jq .metrics`,
		Args:              cobra.MaximumNArgs(2),
		ValidArgsFunction: completeInstance,
		RunE: func(cmd *cobra.Command, args []string) error {
			draw, ok := formats[format]
			if !ok {
				return usageError(cmd, fmt.Errorf("--format=%s: want text, markdown, csv or jsonl", format))
			}
			past, err := openRun(args)
			if err != nil {
				return err
			}
			if len(args) == 2 {
				return a.showInstances(cmd.Context(), past, args[1])
			}
			if format == "jsonl" {
				return a.copyResults(past)
			}
			return a.showRun(cmd, past, draw)
		},
	}
	c.Flags().StringVar(&format, "format", "text", "text, markdown, csv, or jsonl (the lines of results.jsonl)")
	completeFlag(c, "format", cobra.FixedCompletions(slices.Sorted(maps.Keys(formats)), cobra.ShellCompDirectiveNoFileComp))
	return c
}

// formats draw a table.
var formats = map[string]func(a *app, t report.Table) string{
	"text":     func(a *app, t report.Table) string { return t.Text(a.colour) },
	"markdown": func(_ *app, t report.Table) string { return t.Markdown() },
	"csv":      func(_ *app, t report.Table) string { return t.CSV() },
	"jsonl":    nil,
}

func (a *app) copyResults(past *engine.Past) error {
	f, err := os.Open(filepath.Join(past.Dir, "results.jsonl"))
	if err != nil {
		return exitError{exitFailed, err}
	}
	defer f.Close()
	_, err = io.Copy(a.out, f)
	return err
}

// showRun prints the tables that the spec of a run asks for; without any, and where they cannot be built any more, those
// that answer its question.
func (a *app) showRun(cmd *cobra.Command, past *engine.Past, draw func(*app, report.Table) string) error {
	built, err := a.tablesOf(cmd, past)
	if err != nil || len(built) == 0 {
		return a.drawTables(past, draw)
	}
	for _, t := range built {
		if _, err := fmt.Fprintf(a.out, "%s\n%s\n", heading(t), draw(a, t)); err != nil {
			return err
		}
	}
	return nil
}

// tablesOf builds the tables that the spec of a run asks for, none where it asks for none.
func (a *app) tablesOf(cmd *cobra.Command, past *engine.Past) ([]report.Table, error) {
	spec, found := past.Spec()
	if found.HasErrors() || len(spec.Tables)+len(spec.Studies) == 0 {
		return nil, nil
	}
	e, found := spec.Expand(cmd.Context())
	if found.HasErrors() {
		return nil, nil
	}
	return a.tabulate(cmd, e, past)
}

// showTables prints the tables that answer the run's question.
func (a *app) showTables(past *engine.Past) error { return a.drawTables(past, formats["text"]) }

func (a *app) drawTables(past *engine.Past, draw func(*app, report.Table) string) error {
	r, err := readRun(past)
	if err != nil {
		return exitError{exitFailed, err}
	}
	axes := r.axes()
	for _, g := range r.groups() {
		if g.Minor {
			continue
		}
		t := report.NewTable(g, axes, "")
		if _, err := fmt.Fprintf(a.out, "%s\n%s\n", heading(t), draw(a, t)); err != nil {
			return err
		}
	}
	return nil
}

// heading names a table and what it measures.
func heading(t report.Table) string {
	if m := t.Measure(); m != "" {
		return t.Title + ": " + m
	}
	return t.Title
}

// showInstances tells all about the instances that an address names.
func (a *app) showInstances(ctx context.Context, past *engine.Past, address string) error {
	found, err := past.Find(address)
	if err != nil {
		return exitError{exitUsage, err}
	}
	store, err := openStore()
	if err != nil {
		return err
	}
	plan, err := past.Plan()
	if err != nil {
		return err
	}
	lines, _ := past.Results() // of a run that was killed there are none
	line := map[string]*engine.Line{}
	for k, l := range lines {
		line[engine.PointKey(l.Stage, l.Point)] = &lines[k]
	}
	told := map[int]bool{}
	for _, i := range found {
		for _, k := range i.Nodes {
			if !told[k] {
				told[k] = true
				a.showNode(ctx, past, store, plan.Nodes[k], i, line[engine.PointKey(i.Stage, i.Point)])
			}
		}
	}
	return nil
}

// origin says what made a result: an arithmetic only where its stage has one.
func origin(r *cache.Result) string {
	text := seconds(r.Seconds)
	if r.Numerics != "" {
		text += " on " + r.Numerics
	}
	return text + ", by " + strings.TrimSpace("regft "+r.Version) + " at " + r.Created.Format("2006-01-02 15:04:05")
}

// stateOf is a node's state, and why it ran.
func stateOf(n engine.NodeRecord) string {
	if n.Reason == "" {
		return string(n.State)
	}
	return string(n.State) + " (" + n.Reason + ")"
}

// showNode tells about a node of an instance, of which line is the one in the run's results, nil where it has none.
func (a *app) showNode(ctx context.Context, past *engine.Past, store *cache.Dir, n engine.NodeRecord, i engine.InstanceRecord, line *engine.Line) {
	fmt.Fprintf(a.out, "%s\n", n.Name)
	if i.Address != n.Name {
		fmt.Fprintf(a.out, "  asked as  %s\n", i.Address)
	}
	fmt.Fprintf(a.out, "  state     %s\n", stateOf(n))
	if n.Error != "" {
		fmt.Fprintf(a.out, "  error     %s\n", n.Error)
	}
	r, err := past.Result(ctx, store, n)
	if err != nil {
		fmt.Fprintf(a.out, "  result    none: %v\n\n", err)
		return
	}
	fmt.Fprintf(a.out, "  took      %s\n", origin(r))
	metrics := cache.EncodeMetrics(r.Metrics)
	if line != nil && line.Chosen != nil {
		metrics = line.Metrics // the result has them by position, this by name
	}
	if len(metrics) > 0 {
		text, err := json.Marshal(metrics)
		if err == nil {
			fmt.Fprintf(a.out, "  metrics   %s\n", text)
		}
	}
	if line != nil && len(line.Chosen) > 0 {
		fmt.Fprintf(a.out, "  chosen    %s\n", choiceText(line.Chosen))
	}
	if line != nil && line.Oracle {
		fmt.Fprintln(a.out, "  oracle    it was chosen on the very data that it reports")
	}
	for name, d := range r.Outputs {
		fmt.Fprintf(a.out, "  output    %s\n", strings.TrimSpace(name+" "+r.Kinds[name]+" "+d.String()))
	}
	fmt.Fprintf(a.out, "  action    %s\n  key\n", r.Action)
	lines := slices.Collect(splitLines([]byte(r.Key)))
	naturally(lines)
	for _, line := range lines {
		fmt.Fprintf(a.out, "    %s\n", line)
	}
	fmt.Fprintln(a.out)
}

// choiceText is what a selecting instance chose, by the axes that it gathers.
func choiceText(chosen map[string]any) string {
	var parts []string
	for _, axis := range slices.Sorted(maps.Keys(chosen)) {
		parts = append(parts, axis+"="+keyText(chosen[axis]))
	}
	return strings.Join(parts, ", ")
}

// numbered is a line of a key about one of several inputs.
var numbered = regexp.MustCompile(`^(input [^\[]*\[)(\d+)\]`)

// naturally puts the inputs of a list, which stand together in a key, in the order of their numbers: 2 before 10.
func naturally(lines []string) {
	for begin := 0; begin < len(lines); {
		end := begin + 1
		if m := numbered.FindStringSubmatch(lines[begin]); m != nil {
			for end < len(lines) && strings.HasPrefix(lines[end], m[1]) {
				end++
			}
			slices.SortStableFunc(lines[begin:end], func(a, b string) int { return cmp.Compare(numberOf(a), numberOf(b)) })
		}
		begin = end
	}
}

func numberOf(line string) int {
	n := 0
	if m := numbered.FindStringSubmatch(line); m != nil {
		n, _ = strconv.Atoi(m[2])
	}
	return n
}

// readFile is the content of one file of a manifest.
func readFile(ctx context.Context, store *cache.Dir, m cache.Manifest, name string) ([]byte, error) {
	f, ok := m.Lookup(name)
	if !ok {
		return nil, fmt.Errorf("there is no %s", name)
	}
	r, _, err := store.Open(ctx, f.Digest)
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(r)
	return content, errors.Join(err, r.Close())
}

// splitLines gives the lines of a text, without their ends.
func splitLines(content []byte) iter.Seq[string] {
	return func(yield func(string) bool) {
		for line := range bytes.Lines(content) {
			if !yield(strings.TrimRight(string(line), "\r\n")) {
				return
			}
		}
	}
}
