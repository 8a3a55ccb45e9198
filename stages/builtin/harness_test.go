package builtin_test

import (
	"bytes"
	"context"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"regft/cache"
	"regft/stages"
	_ "regft/stages/builtin"

	"github.com/rs/zerolog"
	"gopkg.in/yaml.v3"
)

// A lab runs single stages over a store of its own.
type lab struct {
	t       testing.TB
	mu      *sync.Mutex
	ctx     context.Context
	store   *cache.Dir
	shared  *stages.Shared
	opened  map[cache.Digest]int                              // how often each blob was opened, where it is not nil
	seed    stages.Seed                                       // the spec's
	partial string                                            // the folder of partial work; a new one for each stage if empty
	stepped func(step int, values map[string]float64)         // called for every step of training
	drawn   func(done, total int)                             // called for every progress
	expr    map[string]func(vars map[string]any) (any, error) // CEL parameters
	log     bytes.Buffer                                      // what programs print
	told    bytes.Buffer                                      // what stages log, in JSON
}

func newLab(t testing.TB) *lab {
	t.Helper()
	store, err := cache.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return &lab{t: t, mu: new(sync.Mutex), ctx: t.Context(), store: store, shared: stages.NewShared(1 << 30)}
}

// outcome is what a stage left.
type outcome struct {
	artifacts map[string]stages.Artifact
	metrics   map[string]any
	chosen    *int
	series    []map[string]float64
}

// blobs is the store as artifacts see it.
type blobs struct {
	*cache.Dir
	lab *lab
}

func (b blobs) Open(ctx context.Context, d cache.Digest) (io.ReadCloser, error) {
	b.lab.count(d)
	r, _, err := b.Dir.Open(ctx, d)
	return r, err
}

func (b blobs) Path(ctx context.Context, d cache.Digest) (string, error) {
	b.lab.count(d)
	return b.Dir.Path(ctx, d)
}

func (l *lab) count(d cache.Digest) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.opened != nil {
		l.opened[d]++
	}
}

// run runs a stage and fails the test on an error.
func (l *lab) run(name, params string, inputs map[string][]stages.Input) outcome {
	l.t.Helper()
	out, err := l.try(name, params, inputs)
	if err != nil {
		l.t.Fatalf("%s: %v", name, err)
	}
	return out
}

// try runs stage type name with parameters in YAML; inputs are put where its parameters take them.
func (l *lab) try(name, params string, inputs map[string][]stages.Input) (outcome, error) {
	l.t.Helper()
	ty, r, err := l.decode(name, params, inputs)
	if err != nil {
		return outcome{}, err
	}
	return l.execute(ty, r)
}

func (l *lab) decode(name, params string, inputs map[string][]stages.Input) (stages.Type, stages.Runner, error) {
	l.t.Helper()
	ty, ok := stages.Lookup(name)
	if !ok {
		l.t.Fatalf("no stage type %q", name)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(params), &doc); err != nil {
		l.t.Fatal(err)
	}
	node := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	if len(doc.Content) > 0 {
		node = doc.Content[0]
	}
	for _, param := range append(slices.Collect(maps.Keys(inputs)), slices.Collect(maps.Keys(l.expr))...) { // they count as given
		node.Content = append(node.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: param}, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: "stages.x"})
	}
	wd, _ := os.Getwd()
	r, problems := ty.Decode(node, stages.Context{Dir: wd, Seed: l.seed})
	for _, p := range problems {
		return ty, r, p
	}
	for param, in := range inputs {
		f, _ := ty.Field(param)
		ty.SetInputs(r, f, in)
	}
	if v, ok := r.(stages.InputValidator); ok {
		if err := v.ValidateInputs(); err != nil {
			return ty, r, err
		}
	}
	for param, eval := range l.expr {
		f, _ := ty.Field(param)
		ty.SetExpr(r, f, stages.Expr{Text: param, Eval: eval})
	}
	return ty, r, nil
}

// lines are what a stage's parameters and what it reads put into its key, or into that of partial work.
func (l *lab) lines(name, params string, inputs map[string][]stages.Input, partial bool) []string {
	l.t.Helper()
	ty, r, err := l.decode(name, params, inputs)
	if err != nil {
		l.t.Fatalf("%s %s: %v", name, params, err)
	}
	lines := ty.ParamLines(r, partial)
	s, ok := r.(stages.Sourcer)
	if !ok {
		return lines
	}
	sources, err := s.Sources(l.ctx)
	if err != nil {
		l.t.Fatalf("%s %s: %v", name, params, err)
	}
	for _, s := range sources {
		if s.Root != "" {
			lines = append(lines, "source "+s.Param+" "+l.link(s).Digest.String())
			continue
		}
		lines = append(lines, "source "+s.Param+" "+stages.CanonicalJSON(s.Value))
	}
	return lines
}

func (l *lab) execute(ty stages.Type, r stages.Runner) (outcome, error) {
	ctx := l.ctx
	h := &host{lab: l, out: outcome{artifacts: map[string]stages.Artifact{}, metrics: map[string]any{}}, files: map[string][]cache.File{}}
	env := &stages.Env{Dir: l.t.TempDir(), Cores: 2, Log: zerolog.New(zerolog.SyncWriter(&l.told)), LogText: &l.log, Shared: l.shared, Host: h, Sources: map[string]stages.Artifact{}}
	if s, ok := r.(stages.Sourcer); ok {
		sources, err := s.Sources(ctx)
		if err != nil {
			return outcome{}, err
		}
		for _, s := range sources {
			if s.Root != "" {
				env.Sources[s.Param] = l.link(s)
			}
		}
	}
	if err := r.Run(ctx, env); err != nil {
		return h.out, err
	}
	l.wantAnnounced(ty, r, h.out.metrics)
	for _, o := range ty.Outputs(r) {
		h.out.artifacts[o.Name] = l.collect(env, h, o)
	}
	return h.out, nil
}

// wantAnnounced wants the metrics that a stage recorded to be those by which specs may name them.
func (l *lab) wantAnnounced(ty stages.Type, r stages.Runner, recorded map[string]any) {
	l.t.Helper()
	announced := []string{}
	if m, ok := r.(stages.Measurer); ok {
		announced = slices.Clone(m.MetricNames())
	}
	if announced == nil || ty.OutAs != "" { // any, or those of its scores
		return
	}
	slices.Sort(announced)
	if got := sortedKeys(recorded); !slices.Equal(got, announced) {
		l.t.Errorf("%s records the metrics %v, and announces %v", ty.Name, got, announced)
	}
}

func (l *lab) link(s stages.Source) stages.Artifact {
	names := s.Files
	if names == nil {
		names = []string{"."}
	}
	var files []cache.File
	for _, name := range names {
		d, size, err := l.store.Link(context.Background(), filepath.Join(s.Root, name))
		if err != nil {
			l.t.Fatal(err)
		}
		if s.Files == nil {
			name = filepath.Base(s.Root)
		}
		files = append(files, cache.File{Name: name, Digest: d, Size: size})
	}
	return l.artifact(stages.Files, files, nil)
}

func (l *lab) artifact(k stages.Kind, files []cache.File, metrics map[string]any) stages.Artifact {
	m, err := cache.NewManifest(files)
	if err != nil {
		l.t.Fatal(err)
	}
	return stages.NewArtifact(k, m, metrics, blobs{l.store, l})
}

func (l *lab) collect(env *stages.Env, h *host, o stages.Output) stages.Artifact {
	dir, err := env.OutputDir(o.Name)
	if err != nil {
		l.t.Fatal(err)
	}
	m, err := l.store.PutFolder(context.Background(), dir)
	if err != nil {
		l.t.Fatal(err)
	}
	return l.artifact(o.Kind, append(m.Files, h.files[o.Name]...), h.out.metrics)
}

// host is stages.Host of one stage.
type host struct {
	lab   *lab
	out   outcome
	files map[string][]cache.File
}

func (h *host) Put(ctx context.Context, path string) (cache.File, error) {
	d, size, err := h.lab.store.PutFile(ctx, path)
	return cache.File{Name: filepath.Base(path), Digest: d, Size: size}, err
}
func (h *host) Output(out string, f cache.File) { h.files[out] = append(h.files[out], f) }
func (h *host) Metric(name string, v any)       { h.out.metrics[name] = v }
func (h *host) Choose(i int)                    { h.out.chosen = &i }
func (h *host) Numerics(string)                 {}

func (h *host) Progress(done, total int, _ string) {
	if h.lab.drawn != nil {
		h.lab.drawn(done, total)
	}
}

func (h *host) Partial(bool) (string, error) {
	if h.lab.partial != "" {
		return h.lab.partial, nil
	}
	return h.lab.t.TempDir(), nil
}

func (h *host) Series(step int, values map[string]float64) {
	h.out.series = append(h.out.series, values)
	if h.lab.stepped != nil {
		h.lab.stepped(step, values)
	}
}

func one(a stages.Artifact) []stages.Input { return []stages.Input{{Parts: []stages.Artifact{a}}} }
func only(o outcome) stages.Artifact       { return o.artifacts[""] }
