package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"regft/cache"
	"regft/specs"
	"regft/stages"

	"golang.org/x/sync/errgroup"
)

// sources is what a node reads of the user's.
type sources struct {
	artifacts map[string]stages.Artifact // by Source.Param
	lines     []string                   // of the key
	paths     map[string]string          // by Source.Param: of the file or folder
	missing   string                     // what is not there; "" where all is
	absent    []stages.ParamPath         // parameters that name what is not there, as far as they tell
	stage     *specs.Stage               // the first that reads it
}

// inlineValue is the length up to which a value stands in a key as it is, for people; beyond, its digest.
const inlineValue = 200

// valueFile is the name of a Source's Value in its artifact, as canonical JSON.
const valueFile = "value.json"

// finder finds sources, each distinct one once, each file once.
type finder struct {
	store *cache.Dir
	mu    sync.Mutex
	files map[string]cache.Linked
}

// findSources looks for what the instances that something needs read outside the store. Instances with equal
// parameters share it.
func (p *Plan) findSources(ctx context.Context) (map[*specs.Instance]*sources, error) {
	byKey, of := map[string]*sources{}, map[*specs.Instance]*sources{}
	byVariant := map[any]*sources{}
	f := &finder{store: p.store, files: map[string]cache.Linked{}}
	p.linked = f.files
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	var problems problemList
	for _, i := range p.Expansion.Instances {
		sourcer, ok := i.Runner.(stages.Sourcer)
		if !ok || !i.Needed {
			continue
		}
		v := i.Variant()
		if gathers(i.Stage) { // inputs before a path may be more or fewer
			v = nil
		}
		if s := byVariant[v]; s != nil {
			of[i] = s
			continue
		}
		key := sourceKey(i)
		if byKey[key] == nil {
			s := &sources{stage: i.Stage}
			byKey[key] = s
			group.Go(func() error {
				problems.add(i, f.find(ctx, sourcer, s))
				return ctx.Err()
			})
		}
		of[i] = byKey[key]
		if v != nil {
			byVariant[v] = byKey[key]
		}
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return of, problems.err()
}

// gathers says that instances of s may take different numbers of artifacts.
func gathers(s *specs.Stage) bool {
	return len(s.Gather) > 0 || slices.ContainsFunc(s.Type.Fields(), func(f stages.Field) bool { return f.Pool != "" })
}

// sourceKey is equal for instances that read the same: all their parameters count, and the paths among their inputs.
func sourceKey(i *specs.Instance) string {
	t := i.Stage.Type
	var b strings.Builder
	b.WriteString(t.Name + " " + stages.CanonicalJSON(t.Params(i.Runner)))
	for _, in := range t.Inputs(i.Runner) {
		fmt.Fprintf(&b, " %s[%q] %q", in.Field.Name, in.Key, in.Path)
	}
	return b.String()
}

// find fills s. A missing file leaves the node unknown, which is no error.
func (f *finder) find(ctx context.Context, sourcer stages.Sourcer, s *sources) error {
	s.absent = absentPaths(s.stage.Type, sourcer.(stages.Runner))
	list, err := sourcer.Sources(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		s.missing = err.Error()
		return nil
	}
	if err != nil {
		return err
	}
	s.artifacts, s.paths = map[string]stages.Artifact{}, map[string]string{}
	for _, src := range list {
		a, digest, err := f.source(ctx, src)
		if errors.Is(err, fs.ErrNotExist) {
			s.missing = err.Error()
			return nil
		}
		if err != nil {
			return err
		}
		s.artifacts[src.Param], s.paths[src.Param] = a, src.Root
		s.lines = append(s.lines, "source "+src.Param+" "+digest)
	}
	return nil
}

// source gives one source and what stands for it in a key: the digest of a file, of a folder's manifest, or a value.
func (f *finder) source(ctx context.Context, src stages.Source) (stages.Artifact, string, error) {
	switch {
	case src.Value != nil:
		a, text := valueArtifact(f.store, src.Value)
		if len(text) > inlineValue {
			text = cache.SumBytes([]byte(text)).String()
		}
		return a, text, nil
	case src.Files == nil:
		m, err := f.manifest(ctx, filepath.Dir(src.Root), []string{filepath.Base(src.Root)})
		if err != nil {
			return stages.Artifact{}, "", err
		}
		return stages.NewArtifact(stages.Files, m, nil, blobs{f.store}), m.Files[0].Digest.String(), nil
	}
	m, err := f.manifest(ctx, src.Root, src.Files)
	if err != nil {
		return stages.Artifact{}, "", err
	}
	a := stages.NewArtifact(stages.Files, m, nil, blobs{f.store})
	return a, a.Digest.String(), nil
}

// manifest links the files below root.
func (f *finder) manifest(ctx context.Context, root string, names []string) (cache.Manifest, error) {
	paths := make([]string, len(names))
	for i, name := range names {
		paths[i] = filepath.Join(root, filepath.FromSlash(name))
	}
	linked, err := f.link(ctx, paths)
	if err != nil {
		return cache.Manifest{}, err
	}
	files := make([]cache.File, len(names))
	for i, name := range names {
		files[i] = cache.File{Name: name, Digest: linked[i].Digest, Size: linked[i].Size}
	}
	m, err := cache.NewManifest(files)
	if err != nil {
		return cache.Manifest{}, fmt.Errorf("listing %s: %w", root, err)
	}
	return m, nil
}

// link digests files, those that were not yet in this plan.
func (f *finder) link(ctx context.Context, paths []string) ([]cache.Linked, error) {
	f.mu.Lock()
	fresh := slices.DeleteFunc(slices.Clone(paths), func(p string) bool { _, ok := f.files[p]; return ok })
	f.mu.Unlock()
	found, err := f.store.LinkAll(ctx, fresh)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, l := range found {
		f.files[l.Path] = l
	}
	out := make([]cache.Linked, len(paths))
	for i, p := range paths {
		out[i] = f.files[p]
	}
	return out, nil
}

// problem says what is missing, and which stage of the spec wants it.
func (s *sources) problem() string { return strings.Join(s.problems(), "; ") }

// word is what is missing, in few words: the first of the paths, from dir where it is below it.
func (s *sources) word(dir string) string {
	if len(s.absent) == 0 {
		return "a file is missing"
	}
	path := shortPath(dir, s.absent[0].Path)
	if more := len(s.absent) - 1; more > 0 {
		return fmt.Sprintf("no %s, %d more", path, more)
	}
	return "no " + path
}

// shortPath is path, from dir where it is below that.
func shortPath(dir, path string) string {
	if short, err := filepath.Rel(dir, path); err == nil && filepath.IsLocal(short) {
		return short
	}
	return path
}

// problems are what is missing, each at the parameter that names it.
func (s *sources) problems() []string {
	if s.missing == "" {
		return nil
	}
	var out []string
	for _, a := range s.absent {
		out = append(out, fmt.Sprintf("%s: %s: %s %s does not exist", s.stage.ParamPlace(a.Param), s.stage.Name, a.Param, a.Path))
	}
	if out == nil {
		out = append(out, fmt.Sprintf("%s: %s: %s", s.stage.Place, s.stage.Name, s.missing))
	}
	return out
}

// absentPaths are the parameters of r whose paths lead nowhere.
func absentPaths(t stages.Type, r stages.Runner) []stages.ParamPath {
	return slices.DeleteFunc(t.ParamPaths(r), func(p stages.ParamPath) bool {
		_, err := os.Stat(p.Path)
		return !errors.Is(err, fs.ErrNotExist)
	})
}

// missingSources lists what is not there, each once.
func missingSources(of map[*specs.Instance]*sources) []string {
	texts := map[string]bool{}
	for _, s := range of {
		for _, text := range s.problems() {
			texts[text] = true
		}
	}
	return slices.Sorted(maps.Keys(texts))
}

// blobs is the store as a stage sees it.
type blobs struct{ store *cache.Dir }

func (b blobs) Open(ctx context.Context, d cache.Digest) (io.ReadCloser, error) {
	r, _, err := b.store.Open(ctx, d)
	return r, err
}

func (b blobs) Path(ctx context.Context, d cache.Digest) (string, error) { return b.store.Path(ctx, d) }

// value is content held in memory; all else is the store's.
type value struct {
	blobs
	text   []byte
	digest cache.Digest
}

func (v value) Open(ctx context.Context, d cache.Digest) (io.ReadCloser, error) {
	if d == v.digest {
		return io.NopCloser(bytes.NewReader(v.text)), nil
	}
	return v.blobs.Open(ctx, d)
}

func valueArtifact(store *cache.Dir, v any) (stages.Artifact, string) {
	text := stages.CanonicalJSON(v)
	content := value{blobs{store}, []byte(text), cache.SumBytes([]byte(text))}
	m := cache.Manifest{Files: []cache.File{{Name: valueFile, Digest: content.digest, Size: int64(len(text))}}}
	return stages.NewArtifact(stages.Files, m, nil, content), text
}

// problemList collects the problems of instances, found by several goroutines.
type problemList struct {
	mu   sync.Mutex
	errs []error
}

func (p *problemList) add(i *specs.Instance, err error) {
	if err == nil || errors.Is(err, context.Canceled) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	place := i.Stage.Place
	p.errs = append(p.errs, fmt.Errorf("%s:%d:%d: %s: %w", place.File, place.Line, place.Column, i.Address(), err))
}

func (p *problemList) err() error {
	slices.SortFunc(p.errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(p.errs...)
}
