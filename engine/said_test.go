package engine

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"regft/cache"
	"regft/specs"
	"regft/stages"

	"pgregory.net/rapid"
)

// A sketch is a random spec of toy stages: its axes, and stages as lines of YAML without their constants.
type sketch struct {
	axes   []string // AXIS: [VALUES]
	where  string
	stages []string // each with one %d
	plus   []int    // the constants
}

// drawSketch draws a sweep of up to three axes and up to seven stages. A stage takes only those before it.
func drawSketch(t *rapid.T) *sketch {
	s := &sketch{}
	for k := range rapid.IntRange(1, 3).Draw(t, "axes") {
		form := rapid.SampledFrom([]string{"[0, 1, 2]", "[0, 1]", "[1]", "{replicates: [0, 1]}"}).Draw(t, "values")
		s.axes = append(s.axes, fmt.Sprintf("a%d: %s", k, form))
	}
	if rapid.IntRange(0, 2).Draw(t, "has where") == 0 {
		s.where = "sweep.a0 > 0 || sweep.a" + fmt.Sprint(len(s.axes)-1) + " == 0 || sweep.a0 == 0"
	}
	for k := range rapid.IntRange(2, 7).Draw(t, "stages") {
		s.stages = append(s.stages, s.drawStage(t, k))
		s.plus = append(s.plus, rapid.IntRange(0, 2).Draw(t, "plus"))
	}
	return s
}

func (s *sketch) drawStage(t *rapid.T, k int) string {
	axis := func() string { return fmt.Sprintf("a%d", rapid.IntRange(0, len(s.axes)-1).Draw(t, "axis")) }
	before := func() string { return fmt.Sprintf("stages.s%d", rapid.IntRange(0, k-1).Draw(t, "input")) }
	own := "%d"
	if rapid.Bool().Draw(t, "mentions an axis") {
		own = `"${%d + sweep.` + axis() + `}"`
	}
	kind := "const"
	if k > 0 {
		kind = rapid.SampledFrom([]string{"const", "sum", "sum", "gather", "slow", "fail", "when", "score"}).Draw(t, "type")
	}
	name := fmt.Sprintf("s%d", k)
	switch kind {
	case "sum":
		return name + ": {uses: sum, with: {inputs: [" + before() + ", " + before() + "], plus: " + own + "}}"
	case "gather":
		return name + ": {uses: sum, gather: [" + axis() + "], with: {inputs: " + before() + ", plus: %d}}"
	case "slow":
		return name + ": {uses: slow, with: {seconds: 0, inputs: " + before() + ", value: " + own + "}}"
	case "fail":
		return name + ": {uses: fail, with: {inputs: " + before() + ", message: " + own + "}}"
	case "when":
		of := before()
		return name + ": {uses: sum, with: {inputs: " + before() + ", plus: " + own + "}, when: " + of + ".metrics.value > 1}"
	case "score":
		return name + ": {uses: score, with: {model: " + before() + ", data: [" + before() + "]}, timeout: 10%d}"
	}
	return name + ": {uses: const, with: {value: " + own + "}}"
}

func (s *sketch) yaml() string {
	var b strings.Builder
	fmt.Fprintf(&b, "version: 1\nname: said\nsweep:\n  axes: {%s}\n", strings.Join(s.axes, ", "))
	if s.where != "" {
		fmt.Fprintf(&b, "  where: %s\n", s.where)
	}
	b.WriteString("stages:\n")
	for k, stage := range s.stages {
		fmt.Fprintf(&b, "  "+stage+"\n", s.plus[k])
	}
	return b.String()
}

// change does something to the spec or to the store between two runs.
func (s *sketch) change(t *rapid.T, store *cache.Dir) string {
	switch rapid.IntRange(0, 4).Draw(t, "change") {
	case 0:
		return "nothing"
	case 1, 2:
		k := rapid.IntRange(0, len(s.plus)-1).Draw(t, "changed stage")
		s.plus[k] = rapid.IntRange(0, 3).Draw(t, "changed to")
		return fmt.Sprintf("the constant of s%d is %d", k, s.plus[k])
	case 3:
		s.axes[0] = rapid.SampledFrom([]string{"a0: [0, 1, 2]", "a0: [0, 1]", "a0: [1, 3]"}).Draw(t, "changed axis")
		return s.axes[0]
	}
	return "without " + loseSome(t, store)
}

// loseSome deletes contents, of the store's own making, from the store.
func loseSome(t *rapid.T, store *cache.Dir) string {
	var files []string
	_ = filepath.WalkDir(filepath.Join(store.Root(), "blobs"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			files = append(files, path)
		}
		return nil
	})
	slices.Sort(files)
	var gone []string
	for range rapid.IntRange(0, min(3, len(files))).Draw(t, "lost") {
		path := files[rapid.IntRange(0, len(files)-1).Draw(t, "which")]
		_ = os.Chmod(filepath.Dir(path), 0o777)
		if os.Remove(path) == nil {
			gone = append(gone, filepath.Base(path))
		}
	}
	return strings.Join(gone, " ")
}

// TestARunDoesWhatThePlanSays runs random sweeps, changes them or the store, and runs again: what the plan calls run
// does run, but for what failed below it, and for what turns out to have inputs, or bytes, that another has had; what it calls hit, skipped, blocked or idle does not; and where nothing failed,
// there is nothing left to do.
func TestARunDoesWhatThePlanSays(t *testing.T) {
	valid, tried := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		s, store, runs := drawSketch(rt), newStore(t), t.TempDir()
		path := filepath.Join(runs, "spec.yaml")
		history := ""
		for range rapid.IntRange(1, 4).Draw(rt, "runs") {
			text := s.yaml()
			if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
				rt.Fatal(err)
			}
			tried++
			spec, problems := specs.Load(path, nil)
			if problems.HasErrors() {
				rt.Skip(problems)
			}
			e, problems := spec.Expand(t.Context())
			if problems.HasErrors() {
				rt.Skip(problems)
			}
			valid++
			last, _ := OpenRun(runs, "latest")
			if complaint := saidAndDone(t, &graph{t, e}, store, runs, last); complaint != "" {
				rt.Fatalf("%s\nafter%s\n%s", complaint, history, text)
			}
			history += " " + s.change(rt, store) + ";"
		}
	})
	if 3*valid < tried {
		t.Errorf("only %d of %d specs are valid", valid, tried)
	}
}

// TestAConditionOnItsOwnNode: two stages ask for the same, and one of them only where the other's result is so.
func TestAConditionOnItsOwnNode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spec.yaml")
	text := `version: 1
stages:
  a: {uses: const, with: {value: 2}}
  first: {uses: sum, with: {inputs: stages.a, plus: 2}}
  second: {uses: sum, with: {inputs: stages.a, plus: 2}, when: stages.first.metrics.value > 1}
  after: {uses: sum, with: {inputs: stages.second, plus: 1}}
`
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	store := newStore(t)
	_, sum, _ := loadPath(t, path).run(store, Options{}, RunOptions{})
	equal(t, "executed", sum.Executed, 3)
	equal(t, "skipped", sum.Skipped, 0)
	equal(t, "left to do", states(loadPath(t, path).plan(store, Options{}), Maybe), "")
}

// saidAndDone plans and runs g, and says where the run did otherwise.
func saidAndDone(t *testing.T, g *graph, store *cache.Dir, runs string, last *Past) string {
	p := g.plan(store, Options{Last: last})
	said, gone := map[int]State{}, map[int]bool{}
	twin := map[cache.ActionID][]*Node{}
	for _, n := range p.Nodes {
		said[n.Index], gone[n.Index] = n.State, n.Reason == goneReason
		if !n.Action.IsZero() {
			twin[n.Action] = append(twin[n.Action], n)
		}
	}
	r, err := Create(runs, p, "test", []string{"regft", "run"})
	if err != nil {
		t.Fatal(err)
	}
	x, err := NewLocal(store, 1<<20, "test")
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	started, ended := map[int]bool{}, map[int]EventKind{}
	sum, err := Run(t.Context(), p, x, RunOptions{Machine: stages.Resources{Cores: 4, Memory: 1 << 30}, LogDir: r.Dir}, func(e Event) {
		r.Event(e)
		if e.Kind == NodeStarted {
			started[e.Node] = true
		}
		ended[e.Node] = e.Kind
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(sum); err != nil {
		t.Fatal(err)
	}
	for _, n := range p.Nodes {
		does, says := started[n.Index], said[n.Index]
		switch says {
		case Work:
			below := slices.ContainsFunc(n.producers, func(p *Node) bool { return p.State == Failed || p.State == Blocked })
			met := ended[n.Index] == NodeHit && slices.ContainsFunc(n.takes, func(p *Node) bool { return started[p.Index] || ended[p.Index] == NodeHit })
			back := ended[n.Index] == NodeHit && gone[n.Index] // the bytes, which another made too
			same := slices.ContainsFunc(twin[n.Action], func(o *Node) bool { return started[o.Index] })
			if !does && !below && !met && !back && !same {
				return fmt.Sprintf("%s was to run, and did not: %s", n.Name(), ended[n.Index])
			}
		case Maybe:
		default:
			if does {
				return fmt.Sprintf("%s was %s, and ran", n.Name(), says)
			}
		}
	}
	if sum.Failed > 0 {
		return ""
	}
	if name := ranForNothing(p, started); name != "" && !slices.Contains(slices.Collect(maps.Values(gone)), true) {
		return name + " ran, and nothing needs it"
	}
	if again := g.plan(store, Options{}); again.Active() {
		return "after a run without failures there is more to do: " + states(again, Work) + " " + states(again, Maybe)
	}
	return ""
}

// TestFoundWithoutContent: what is found by its key while the run goes on, with its content lost, is made again.
func TestFoundWithoutContent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spec.yaml")
	store := newStore(t)
	run := func(a string) *Summary {
		text := "version: 1\nstages:\n  z: {uses: const, with: {value: 0}}\n  a: " + a + "\n  b: {uses: sum, with: {inputs: stages.a, plus: 41}}\n"
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		_, sum, _ := loadPath(t, path).run(store, Options{}, RunOptions{})
		return sum
	}
	run("{uses: const, with: {value: 1}}")
	files, err := filepath.Glob(filepath.Join(store.Root(), "blobs", "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	lost := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.TrimSpace(string(text)) == "42" {
			lost++
			_ = os.Chmod(filepath.Dir(file), 0o777)
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
		}
	}
	equal(t, "lost", lost, 1)
	run("{uses: sum, with: {inputs: stages.z, plus: 1}}")
	p := loadPath(t, path).plan(store, Options{})
	equal(t, "left to do", states(p, Work)+states(p, Maybe), "")
}
