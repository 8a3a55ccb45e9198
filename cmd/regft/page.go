package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"regft/cache"
	"regft/engine"
	"regft/report"
	"regft/specs"
	"regft/stages"

	"gopkg.in/yaml.v3"
)

// A pastRun is a run read back whole, as its report needs it.
type pastRun struct {
	*engine.Past
	plan      engine.PlanRecord
	lines     []engine.Line
	spec      []byte
	instances map[string]engine.InstanceRecord // by engine.PointKey
	chosen    map[int]map[string]string        // what nodes chose, by axis
}

func readRun(past *engine.Past) (*pastRun, error) {
	r := &pastRun{Past: past}
	var err error
	if r.plan, err = past.Plan(); err != nil {
		return nil, err
	}
	if r.lines, err = past.Results(); err != nil {
		return nil, err
	}
	if r.spec, err = os.ReadFile(filepath.Join(past.Dir, "spec.yaml")); err != nil {
		return nil, err
	}
	r.index()
	return r, nil
}

// index finds instances by their points, and what nodes chose.
func (r *pastRun) index() {
	r.instances, r.chosen = map[string]engine.InstanceRecord{}, map[int]map[string]string{}
	for _, i := range r.plan.Instances {
		r.instances[engine.PointKey(i.Stage, i.Point)] = i
	}
	for _, l := range r.lines {
		if l.Chosen == nil {
			continue
		}
		for _, k := range r.instances[engine.PointKey(l.Stage, l.Point)].Nodes {
			r.chosen[k] = keys(l.Chosen)
		}
	}
}

// writeReport draws the run's report.html, with the tables that its spec asks for.
func writeReport(ctx context.Context, store *cache.Dir, past *engine.Past, built []report.Table) error {
	r, err := readRun(past)
	if err != nil {
		return err
	}
	page := r.page()
	page.Tables = built
	if page.Remarks, err = r.remarks(); err != nil {
		return err
	}
	if page.Samples, err = r.samples(ctx, store); err != nil {
		return err
	}
	page.Assessments = r.assessments(ctx, store)
	var b bytes.Buffer
	if err := page.WriteHTML(&b); err != nil {
		return err
	}
	return leave(past, reportFile, b.Bytes())
}

// reportFile is a run's page, in its folder.
const reportFile = "report.html"

// leave writes a file in a run's folder whole: readers see the old one or the new one.
func leave(past *engine.Past, name string, content []byte) error {
	path := filepath.Join(past.Dir, name)
	err := os.WriteFile(path+".new", content, 0o666)
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		_ = os.Remove(path + ".new") // half of it, on a full disk
		return exitError{exitUnavailable, fmt.Errorf("writing %s of run %s: %w", name, past.ID, err)}
	}
	return nil
}

// remarks are what stages of the run warned of, and why nodes failed.
func (r *pastRun) remarks() ([]string, error) {
	var found remarks
	err := r.Events(func(e engine.Event) {
		found.add(e)
		if e.Kind == engine.NodeFailed {
			found.note(e.Stage, e.Name+" failed", firstLine(e.Error))
		}
	})
	return found.texts(), err
}

func (r *pastRun) page() report.Page {
	return report.Page{
		Title: r.Name, Summary: describe(r.Past) + ".", Axes: r.axes(), Groups: r.groups(),
		Stages: r.stages(), Provenance: r.provenance(), Spec: string(r.spec),
	}
}

// axes lists the axes in the order of their declaration, which that of coordinates is.
func (r *pastRun) axes() []report.Axis {
	var spec struct {
		Sweep struct{ Axes yaml.Node }
	}
	_ = yaml.Unmarshal(r.spec, &spec) // the order of columns is all that would be lost
	var out []report.Axis
	for i := 0; i+1 < len(spec.Sweep.Axes.Content); i += 2 {
		name := spec.Sweep.Axes.Content[i].Value
		out = append(out, report.Axis{Name: name, Replicates: r.replicates(name, spec.Sweep.Axes.Content[i+1])})
	}
	return out
}

// replicates tells whether tables fold an axis: the spec says so, or where the axis is computed, its coordinates do.
func (r *pastRun) replicates(axis string, values *yaml.Node) bool {
	if values.Kind == yaml.MappingNode && len(values.Content) > 0 && values.Content[0].Value == "replicates" {
		return true
	}
	return slices.ContainsFunc(r.plan.Instances, func(i engine.InstanceRecord) bool {
		return slices.ContainsFunc(i.Coords, func(c stages.Coord) bool { return c.Axis == axis && c.Replicate })
	})
}

// groups has one group for each stage that measured something, the ones that answer the question first.
func (r *pastRun) groups() []report.Group {
	var out []report.Group
	answers := r.answers()
	for _, l := range r.lines {
		k := slices.IndexFunc(out, func(g report.Group) bool { return g.Title == l.Stage })
		if k < 0 {
			if counts(l.Metrics) {
				continue
			}
			k = len(out)
			out = append(out, report.Group{Title: l.Stage, Minor: !answers[l.Stage], Columns: r.datasets()})
		}
		out[k].Entries = append(out[k].Entries, r.entry(l))
	}
	for k, g := range out {
		out[k].Entries = append(g.Entries, r.failed(g.Title)...)
	}
	slices.SortStableFunc(out, func(a, b report.Group) int { return order(a.Minor) - order(b.Minor) })
	return out
}

func order(minor bool) int {
	if minor {
		return 1
	}
	return 0
}

// counts tells whether metrics only count the pictures of a set, which answers no question.
func counts(metrics map[string]any) bool {
	_, images := metrics["images"]
	return images && len(metrics) == 1
}

// answers are the stages whose tables a reader wants first: those of the spec's tables, or the last ones that measure.
func (r *pastRun) answers() map[string]bool {
	var spec struct {
		Tables map[string]struct{ Of string }
	}
	_ = yaml.Unmarshal(r.spec, &spec) // it was a spec when it ran
	out := map[string]bool{}
	for _, t := range spec.Tables {
		out[t.Of] = true
	}
	if len(out) > 0 {
		return out
	}
	measured := map[string]bool{}
	for _, l := range r.lines {
		measured[l.Stage] = !counts(l.Metrics)
	}
	takers := r.takers()
	for stage := range measured {
		out[stage] = !slices.ContainsFunc(below(takers, stage), func(s string) bool { return measured[s] })
	}
	return out
}

// takers says which stages take what a stage gives.
func (r *pastRun) takers() map[string][]string {
	asks := make([][]string, len(r.plan.Nodes)) // stages may share a node
	for _, i := range r.plan.Instances {
		for _, k := range i.Nodes {
			if !slices.Contains(asks[k], i.Stage) {
				asks[k] = append(asks[k], i.Stage)
			}
		}
	}
	out := map[string][]string{}
	for k, n := range r.plan.Nodes {
		for _, from := range n.Inputs {
			for _, a := range asks[from] {
				for _, b := range asks[k] {
					if a != b && !slices.Contains(out[a], b) {
						out[a] = append(out[a], b)
					}
				}
			}
		}
	}
	return out
}

// below lists the stages that rest on one.
func below(takers map[string][]string, stage string) []string {
	var out []string
	for queue := takers[stage]; len(queue) > 0; queue = queue[1:] {
		if !slices.Contains(out, queue[0]) {
			out = append(out, queue[0])
			queue = append(queue, takers[queue[0]]...)
		}
	}
	return out
}

// datasets lists the names of data sets in the order in which stages took them.
func (r *pastRun) datasets() []string {
	var out []string
	for _, i := range r.plan.Instances {
		for _, name := range i.Parts {
			if !slices.Contains(out, name) {
				out = append(out, name)
			}
		}
	}
	return out
}

func (r *pastRun) entry(l engine.Line) report.Entry {
	i := r.instances[engine.PointKey(l.Stage, l.Point)]
	e := report.Entry{ID: r.identity(i), Point: map[string]string{}, Metrics: l.Metrics, Oracle: l.Oracle}
	for _, c := range i.Coords {
		e.Point[c.Axis] = c.Key
	}
	if len(r.chosen) > 0 {
		e.Chosen = r.chosenFor(i)
	}
	return e
}

// failed are the instances of a stage that have no result because they failed, or what they take.
func (r *pastRun) failed(stage string) []report.Entry {
	var out []report.Entry
	for _, i := range r.plan.Instances {
		broken := func(k int) bool {
			state := r.plan.Nodes[k].State
			return state == engine.Failed || state == engine.Blocked
		}
		if i.Stage != stage || !i.Needed || !slices.ContainsFunc(i.Nodes, broken) {
			continue
		}
		e := report.Entry{ID: r.identity(i), Point: map[string]string{}, Failed: true}
		for _, c := range i.Coords {
			e.Point[c.Axis] = c.Key
		}
		out = append(out, e)
	}
	return out
}

// identity is equal for instances that share their nodes.
func (r *pastRun) identity(i engine.InstanceRecord) string {
	var ids []string
	for _, n := range i.Nodes {
		ids = append(ids, r.plan.Nodes[n].Recipe)
	}
	return strings.Join(ids, " ")
}

// chosenFor is what the nearest selecting stage above an instance chose, nil where there is none.
func (r *pastRun) chosenFor(i engine.InstanceRecord) map[string]string {
	seen := map[int]bool{}
	for queue := slices.Clone(i.Nodes); len(queue) > 0; queue = queue[1:] {
		if c := r.chosen[queue[0]]; c != nil {
			return c
		}
		for _, k := range r.plan.Nodes[queue[0]].Inputs {
			if !seen[k] {
				seen[k] = true
				queue = append(queue, k)
			}
		}
	}
	return nil
}

// keys writes the values of axes as texts.
func keys(values map[string]any) map[string]string {
	if values == nil {
		return nil
	}
	out := map[string]string{}
	for axis, v := range values {
		out[axis] = keyText(v)
	}
	return out
}

// keyText is the key of an axis' value as results hold it. The order of an object's fields is lost there.
func keyText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case map[string]any:
		var fields []string
		for _, name := range slices.Sorted(maps.Keys(v)) {
			fields = append(fields, name+"="+keyText(v[name]))
		}
		return strings.Join(fields, ",")
	}
	return stages.CanonicalJSON(v)
}

// stages sums up the nodes of each stage.
func (r *pastRun) stages() []report.Stage {
	var out []report.Stage
	at := map[string]int{}
	for _, i := range r.plan.Instances {
		if _, seen := at[i.Stage]; !seen && r.plan.Stages[i.Stage] != nil {
			at[i.Stage] = len(out)
			c := r.plan.Stages[i.Stage]
			out = append(out, report.Stage{Name: i.Stage, Type: c.Uses, Over: c.Over})
		}
	}
	for _, n := range r.plan.Nodes {
		if k, ok := at[n.Stage]; ok {
			add(&out[k], n)
		}
	}
	return slices.DeleteFunc(out, func(s report.Stage) bool { return s.State() == "" })
}

func add(s *report.Stage, n engine.NodeRecord) {
	took := time.Duration(n.Seconds * float64(time.Second))
	switch n.State {
	case engine.Done:
		s.Ran++
		s.Took += took
	case engine.Hit:
		s.Cached++
		s.Saved += took
	case engine.Failed:
		s.Failed++
	case engine.Skipped, engine.Blocked:
		s.Skipped++
	}
}

// commandText is a command line as one types it: the program by its name, wherever it was built.
func commandText(command []string) string {
	if len(command) == 0 {
		return ""
	}
	return strings.Join(append([]string{filepath.Base(command[0])}, command[1:]...), " ")
}

func (r *pastRun) provenance() []report.Field {
	p := r.Provenance
	var numerics []string
	for _, l := range r.lines {
		if l.Numerics != "" && !slices.Contains(numerics, l.Numerics) {
			numerics = append(numerics, l.Numerics)
		}
	}
	computed := strings.Join(numerics, "; ")
	if len(numerics) > 1 {
		computed += " (mixed: numbers agree within tolerances only)"
	}
	fields := []report.Field{
		{Name: "run", Value: r.Name + "/" + r.ID},
		{Name: "command", Value: commandText(p.Command)},
		{Name: "started", Value: p.Started.Format(time.RFC3339)},
		{Name: "regft", Value: p.Version + ", " + p.Go},
		{Name: "machine", Value: fmt.Sprintf("%s, %s, %d cores", p.Host, p.System, p.Cores)},
		{Name: "computed by", Value: computed},
	}
	return slices.DeleteFunc(fields, func(f report.Field) bool { return f.Value == "" })
}

// A pictureLine is what metadata.jsonl says of one picture, as far as samples need it.
type pictureLine struct {
	File   string `json:"file_name"`
	Class  string `json:"class"`
	Prompt string `json:"prompt"`
	Seed   any    `json:"seed"`
	Origin string `json:"origin"`
}

// samples finds pictures of every stage that drew some, of one replicate. The pictures are read when they are shown.
func (r *pastRun) samples(ctx context.Context, store *cache.Dir) ([]report.Sample, error) {
	var out []report.Sample
	seen, rows, telling := map[string]bool{}, 0, r.telling()
	for _, i := range r.plan.Instances {
		name := specs.Address(i.Stage, slices.DeleteFunc(slices.Clone(i.Coords), func(c stages.Coord) bool { return !telling[c.Axis] }))
		if len(i.Nodes) != 1 || seen[name] {
			continue
		}
		n := r.plan.Nodes[i.Nodes[0]]
		if n.State != engine.Done && n.State != engine.Hit || n.Uses == "dataset" {
			continue
		}
		seen[name] = true
		found, err := drawn(ctx, store, n, name)
		if err != nil {
			return nil, fmt.Errorf("sample pictures of %s: %w", name, err)
		}
		out = append(out, found...)
		if len(found) > 0 {
			rows++
		}
		if rows > report.MaxSampleGroups {
			break // the page tells that there are more
		}
	}
	return out, nil
}

// assessments are those that stages of the run made, as far as the store still has them.
func (r *pastRun) assessments(ctx context.Context, store *cache.Dir) []report.Assessment {
	var out []report.Assessment
	for _, n := range r.plan.Nodes {
		if n.Uses != "assess" || n.State != engine.Done && n.State != engine.Hit {
			continue
		}
		result, err := store.Result(ctx, n.Action)
		if err != nil {
			continue
		}
		files, err := store.Manifest(ctx, result.Outputs[""])
		if err != nil {
			continue
		}
		content, err := readFile(ctx, store, files, report.AssessmentFile)
		if err != nil {
			continue
		}
		if a, err := report.DecodeAssessment(content); err == nil {
			a.Title = n.Name
			out = append(out, a)
		}
	}
	return out
}

// telling are the axes that tell instances apart: those with several values, replicates left out.
func (r *pastRun) telling() map[string]bool {
	first, out := map[string]string{}, map[string]bool{}
	for _, i := range r.plan.Instances {
		for _, c := range i.Coords {
			if key, seen := first[c.Axis]; seen && key != c.Key {
				out[c.Axis] = true
			}
			first[c.Axis] = c.Key
		}
	}
	for _, a := range r.axes() {
		if a.Replicates {
			delete(out, a.Name)
		}
	}
	return out
}

// drawn gives the first picture of every class that node n itself drew.
func drawn(ctx context.Context, store *cache.Dir, n engine.NodeRecord, group string) ([]report.Sample, error) {
	result, err := store.Result(ctx, n.Action)
	if err != nil || result.Kinds[""] != string(stages.Images) {
		return nil, nil //nolint:nilerr // a result that is gone has no pictures to show
	}
	pictures, err := store.Manifest(ctx, result.Outputs[""])
	if err != nil {
		return nil, nil //nolint:nilerr // as above
	}
	metadata, err := readFile(ctx, store, pictures, "metadata.jsonl")
	if err != nil {
		return nil, err
	}
	var out []report.Sample
	seen := map[string]bool{}
	for line := range splitLines(metadata) {
		var p pictureLine
		if err := json.Unmarshal([]byte(line), &p); err != nil {
			return nil, fmt.Errorf("metadata.jsonl: %w", err)
		}
		if p.Origin != n.Uses || seen[p.Class] {
			continue
		}
		seen[p.Class] = true
		read := func() ([]byte, error) { return readFile(ctx, store, pictures, p.File) }
		out = append(out, report.Sample{Group: group, Class: p.Class, Detail: fmt.Sprintf("%s seed %v", p.Prompt, p.Seed), Read: read})
	}
	return out, nil
}
