package specs_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"regft/cache"
	"regft/engine"
	"regft/report"
	"regft/specs"
	"regft/specs/internal/standin"
	"regft/stages"
	"regft/tables"

	"gopkg.in/yaml.v3"
)

// An imagined executor gives each node content and metrics that follow from its key alone.
type imagined struct{ store *cache.Dir }

// Do implements engine.Executor.
func (x imagined) Do(ctx context.Context, t engine.Task) (*cache.Result, error) {
	sum, size, err := x.store.Put(ctx, strings.NewReader(t.Key))
	if err != nil {
		return nil, err
	}
	m, err := cache.NewManifest([]cache.File{{Name: "content", Digest: sum, Size: size}})
	if err != nil {
		return nil, err
	}
	r := &cache.Result{Key: t.Key, Action: cache.NewActionID(t.Key), Outputs: map[string]cache.Digest{}, Kinds: map[string]string{}, Metrics: map[string]any{}, Numerics: "imagined"}
	for _, o := range t.Type.Outputs(t.Runner) {
		if r.Outputs[o.Name], err = x.store.PutManifest(ctx, m); err != nil {
			return nil, err
		}
		kind := o.Kind
		if kind == "" {
			kind = stages.Classifier
		}
		r.Kinds[o.Name] = string(kind)
	}
	number := func(name string) float64 {
		text := cache.SumBytes([]byte(name + t.Key)).String()
		x, _ := strconv.ParseUint(text[len(text)-8:], 16, 64)
		return float64(x) / math.MaxUint32
	}
	if measurer, ok := t.Runner.(stages.Measurer); ok {
		for _, name := range measurer.MetricNames() {
			r.Metrics[name] = number(name)
		}
	}
	if s, ok := t.Runner.(*standin.Select); ok {
		chosen := int(binary.BigEndian.Uint16([]byte(sum.String()[8:]))) % len(s.From)
		r.Chosen = &chosen
		for part := range s.Scores[0].Parts {
			r.Metrics[strconv.Itoa(part)] = map[string]any{"top1": number(fmt.Sprint("part ", part))}
		}
	}
	return r, nil
}

// fewer makes experiments small enough for a test: how many alphas or draws are tried is of no matter to most cells.
var fewer = map[string][]string{
	"1-main-table.yaml":    {"sweep.axes.method.both.alphas=[0, 0.5]", `sweep.axes.method.+ WSE.alphas=[0.5]`},
	"2-prompt-styles.yaml": {"sweep.axes.alpha=[0, 1]"},
	"3-wise-ft.yaml":       {"sweep.axes.alpha=[0.5, 1]", "sweep.axes.draw={replicates: [0, 1]}"},
	"4a-vc-coarse.yaml":    {"sweep.axes.alpha=[0.3]", "sweep.axes.draw={replicates: [0, 1]}"},
	"4b-vc-fine.yaml":      {"sweep.axes.alpha=[0.3]", "sweep.axes.draw={replicates: [0]}"},
	"6-filtering.yaml":     {"sweep.axes.alpha=[0, 1]", "sweep.axes.draw={replicates: [0, 1]}"},
}

// TestPaperTables runs the experiments of the literature with imagined results: exactly what the plan says. It compares
// every cell of their tables with what their results.jsonl gives by hand.
func TestPaperTables(t *testing.T) {
	folder := filepath.Join("..", "testdata", "specs")
	text, err := os.ReadFile(filepath.Join(folder, "counts.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]counted
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	for name := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(folder, name)
			e := mustExpand(t, path, fewer[name]...)
			p := runImagined(t, e)
			byHand := newByHand(t, path, p.Results())
			for _, table := range tables.Build(e, p.Measure) {
				byHand.check(t, table, len(e.Cells[table.Title]))
			}
		})
	}
}

// runImagined runs all of e, checks that what ran is what was planned, and that nothing is left to do.
func runImagined(t *testing.T, e *specs.Expansion) *engine.Plan {
	t.Helper()
	store, err := cache.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	plan := func() *engine.Plan {
		p, err := engine.NewPlan(t.Context(), e, store, engine.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	p := plan()
	summary, err := engine.Run(t.Context(), p, imagined{store}, engine.RunOptions{Jobs: 4}, func(e engine.Event) {
		if e.Kind == engine.NodeFailed {
			t.Errorf("%s: %s", e.Name, e.Error)
		}
	})
	if err != nil || summary.Failed > 0 || summary.Executed != len(p.Nodes) {
		t.Fatalf("of %d nodes %+v, %v", len(p.Nodes), summary, err)
	}
	if again := plan().Counts(); again.Pending() {
		t.Errorf("left to do: %+v", again.Total())
	}
	return p
}

// byHand is the results of a spec, and what the spec's text says of tables.
type byHand struct {
	lines    []engine.Line
	baseline map[string]any
	replicas map[string]bool
	tables   map[string]struct {
		Of            string
		Rows, Columns []string
		Value         string
		Average       map[string]string
	}
}

func newByHand(t *testing.T, path string, lines []engine.Line) *byHand {
	t.Helper()
	b := &byHand{lines: lines, replicas: map[string]bool{}}
	var spec struct {
		Sweep struct {
			Axes     map[string]yaml.Node
			Baseline map[string]any
		}
		Tables yaml.Node
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &spec); err != nil {
		t.Fatal(err)
	}
	if err := spec.Tables.Decode(&b.tables); err != nil {
		t.Fatal(err)
	}
	b.baseline = spec.Sweep.Baseline
	for axis, n := range spec.Sweep.Axes {
		b.replicas[axis] = n.Kind == yaml.MappingNode && n.Content[0].Value == "replicates"
	}
	return b
}

// A handful is the distinct results of one cell, and of all by replicate.
type handful struct {
	distinct map[string]float64
	replica  map[string][2]any // identity and value
}

// check compares every cell of table.
func (b *byHand) check(t *testing.T, table report.Table, cells int) {
	t.Helper()
	def := b.tables[table.Title]
	found := map[string]*handful{}
	rows := map[string]bool{}
	for _, l := range b.lines {
		if l.Stage != def.Of || !b.standing(l.Point, slices.Concat(def.Rows, def.Columns)) {
			continue
		}
		row, column := at(l.Point, def.Rows), at(l.Point, def.Columns)
		rows[row] = true
		key := row + "|" + column
		if found[key] == nil {
			found[key] = &handful{map[string]float64{}, map[string][2]any{}}
		}
		x := pathValue(t, l, def.Value)
		id := fmt.Sprint(l.Digests)
		found[key].distinct[id] = x
		found[key].replica[b.replica(l.Point)] = [2]any{id, x}
	}
	if len(found) != cells || len(table.Rows) != len(rows) {
		t.Errorf("table %s: %d cells in %d rows, want %d in %d", table.Title, cells, len(table.Rows), len(found), len(rows))
	}
	checked := 0
	for _, r := range table.Rows {
		row := strings.Join(r.Heads, ",")
		for i, c := range r.Cells {
			want := found[row+"|"+table.Columns[i].Name]
			if len(def.Columns) == 0 {
				want = found[row+"|"]
			}
			if average, is := def.Average[table.Columns[i].Name]; is {
				want = meanByHand(found, row, average)
			} else if want != nil {
				checked++
			}
			compareCell(t, fmt.Sprintf("table %s, %s, %s", table.Title, row, table.Columns[i].Name), c, want)
		}
	}
	if checked != cells {
		t.Errorf("table %s: %d cells were compared, want %d", table.Title, checked, cells)
	}
}

// standing tells whether a point is at the baseline on the axes that a table does not name.
func (b *byHand) standing(point map[string]any, named []string) bool {
	for axis, base := range b.baseline {
		if v, has := point[axis]; has && !slices.Contains(named, axis) && text(v) != text(base) {
			return false
		}
	}
	return true
}

func (b *byHand) replica(point map[string]any) string {
	var out string
	for axis, v := range point {
		if b.replicas[axis] {
			out += axis + text(v)
		}
	}
	return out
}

func at(point map[string]any, axes []string) string {
	var out []string
	for _, a := range axes {
		out = append(out, text(point[a]))
	}
	return strings.Join(out, ",")
}

func text(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	b, _ := json.Marshal(v)
	return string(b)
}

// pathValue reads metrics.a.b or chosen.a of a line.
func pathValue(t *testing.T, l engine.Line, path string) float64 {
	t.Helper()
	var v any = map[string]any{"metrics": l.Metrics, "chosen": l.Chosen}
	for _, step := range strings.Split(path, ".") {
		v = v.(map[string]any)[step]
	}
	x, ok := cache.DecodeFloat(v)
	if !ok {
		t.Fatalf("%s of %s %v is %v", path, l.Stage, l.Point, v)
	}
	return x
}

// meanByHand averages the columns of a row: all, or with the one condition that these specs have, all but imagenet.
func meanByHand(found map[string]*handful, row, condition string) *handful {
	out := &handful{distinct: map[string]float64{}}
	sums, ids, counts := map[string]float64{}, map[string][]string{}, map[string]int{}
	columns := 0
	for key, h := range found {
		head, column, _ := strings.Cut(key, "|")
		if head != row || condition != "true" && column == "imagenet" {
			continue
		}
		columns++
		for r, v := range h.replica {
			sums[r] += v[1].(float64)
			ids[r] = append(ids[r], column+v[0].(string))
			counts[r]++
		}
	}
	for r, sum := range sums {
		if counts[r] == columns {
			slices.Sort(ids[r])
			out.distinct[strings.Join(ids[r], " ")] = sum / float64(columns)
		}
	}
	return out
}

func compareCell(t *testing.T, where string, got report.Cell, want *handful) {
	t.Helper()
	if want == nil {
		if len(got.Values) > 0 {
			t.Errorf("%s: %v, want nothing", where, got.Values)
		}
		return
	}
	n, mean, square := float64(len(want.distinct)), 0.0, 0.0
	for _, x := range want.distinct {
		mean += x / n
	}
	for _, x := range want.distinct {
		square += (x - mean) * (x - mean)
	}
	deviation := 0.0
	if n > 1 {
		deviation = math.Sqrt(square / (n - 1))
	}
	if len(got.Values) != int(n) || math.Abs(got.Mean-mean) > 1e-12 || math.Abs(got.Deviation-deviation) > 1e-12 || len(got.Actions) == 0 {
		t.Errorf("%s: %v ± %v of %d (%d actions), want %v ± %v of %v", where, got.Mean, got.Deviation, len(got.Values), len(got.Actions), mean, deviation, n)
	}
}
