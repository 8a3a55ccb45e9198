package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"regft/cache"
	"regft/stages"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"
)

// host is stages.Host for one attempt of a task.
type host struct {
	ctx   context.Context // of the attempt: a stage may wait for another's partial work
	store *cache.Dir
	task  Task

	mu       sync.Mutex
	outputs  map[string][]cache.File
	metrics  map[string]any
	chosen   *int
	numerics string
	shown    time.Time    // when progress was last reported
	waiting  *Event       // progress that is reported when the pause is over
	ended    bool         // nothing is reported any more
	unlock   func() error // of the partial work; nil where it was not asked for
	keep     bool
	kept     string        // the folder of partial work that is kept, "" where there is none
	waited   time.Duration // for others' partial work
	begun    bool          // progress was reported since partial work was asked for, …
	reused   float64       // … at this part of the whole
}

var _ stages.Host = (*host)(nil)

// progressPause is the time between two reports of a node's progress.
const progressPause = 100 * time.Millisecond

// outputPrefix is the name of an output's folder, before the output's name (Env.OutputDir).
const outputPrefix = "out-"

// Put implements stages.Host.
func (h *host) Put(ctx context.Context, path string) (cache.File, error) {
	d, size, err := h.store.PutFile(ctx, path)
	h.mu.Lock()
	kept := h.kept
	h.mu.Unlock()
	if err == nil && filepath.Dir(path) == kept {
		h.store.ShareFile(path, d)
	}
	return cache.File{Name: filepath.Base(path), Digest: d, Size: size}, err
}

// Output implements stages.Host.
func (h *host) Output(out string, f cache.File) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.outputs[out] = append(h.outputs[out], f)
}

// Metric implements stages.Host.
func (h *host) Metric(name string, v any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.metrics[name] = v
}

// Choose implements stages.Host.
func (h *host) Choose(index int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.chosen = &index
}

// Numerics implements stages.Host.
func (h *host) Numerics(class string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.numerics = class
}

// Progress implements stages.Host. Of reports that follow each other closely the last counts, when the pause is over.
func (h *host) Progress(done, total int, unit string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.begun && h.unlock != nil && total > 0 {
		h.begun, h.reused = true, float64(done)/float64(total)
	}
	e := Event{Kind: NodeProgress, Done: done, Total: total, Unit: unit}
	pause := progressPause - time.Since(h.shown)
	if done >= total || pause <= 0 {
		h.report(e)
		return
	}
	if h.waiting == nil {
		time.AfterFunc(pause, h.reportWaiting)
	}
	h.waiting = &e
}

func (h *host) reportWaiting() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.waiting != nil {
		h.report(*h.waiting)
	}
}

// report reports progress, in place of what waits. The caller holds h.mu.
func (h *host) report(e Event) {
	h.waiting = nil
	if !h.ended {
		h.shown = time.Now()
		h.task.Report(e)
	}
}

// Run implements zerolog.Hook: what a stage warns of is an event too.
func (h *host) Run(_ *zerolog.Event, level zerolog.Level, text string) {
	if level == zerolog.WarnLevel {
		h.task.Report(Event{Kind: NodeWarning, Text: text})
	}
}

// Series implements stages.Host.
func (h *host) Series(step int, values map[string]float64) {
	encoded := make(map[string]any, len(values))
	for name, v := range values {
		encoded[name] = cache.EncodeFloat(v)
	}
	h.task.Report(Event{Kind: NodeSeries, Step: step, Values: encoded})
}

// Partial implements stages.Host. Whoever works on the same part meanwhile waits.
func (h *host) Partial(keep bool) (string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.keep = h.keep || keep
	if h.unlock == nil {
		asked := time.Now()
		unlock, err := h.store.Lock(h.ctx, cache.NewActionID(h.task.Partial))
		if err != nil {
			return "", fmt.Errorf("waiting for partial work: %w", err)
		}
		h.unlock, h.waited = unlock, time.Since(asked)
	}
	dir, err := h.store.Partial(h.task.Partial)
	if keep && err == nil {
		h.kept = dir
	}
	return dir, err
}

// endPartial removes the partial work of a stage that ended well.
func (h *host) endPartial() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.unlock == nil || h.keep {
		return nil
	}
	return h.store.RemovePartial(h.task.Partial)
}

func (h *host) release() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ended = true
	if h.unlock != nil {
		_ = h.unlock() // the kernel does it otherwise, when the process ends
	}
}

// fill puts what the stage gave into the store, and into r.
func (h *host) fill(ctx context.Context, r *cache.Result, dir string) error {
	if err := h.ingest(ctx, dir); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	var err error
	if r.Metrics, err = asRead(h.metrics); err != nil {
		return fmt.Errorf("its metrics: %w", err)
	}
	r.Chosen, r.Numerics, r.Environment = h.chosen, h.numerics, environment(h.task.Runner)
	r.Outputs, r.Kinds = map[string]cache.Digest{}, map[string]string{}
	for _, o := range h.task.Type.Outputs(h.task.Runner) {
		m, err := cache.NewManifest(h.outputs[o.Name])
		if err != nil {
			return fmt.Errorf("output %q: %w", o.Name, err)
		}
		if r.Outputs[o.Name], err = h.store.PutManifest(ctx, m); err != nil {
			return fmt.Errorf("output %q: %w", o.Name, err)
		}
		r.Kinds[o.Name] = string(h.kind(o))
		delete(h.outputs, o.Name)
	}
	for name := range h.outputs {
		return fmt.Errorf("stage type %s gave an output %q that it does not declare", h.task.Type.Name, name)
	}
	return nil
}

// asRead gives metrics the types that they have when they are read back, so that a result is the same to an expression
// whether it was there or has just been made.
func asRead(metrics map[string]any) (map[string]any, error) {
	b, err := json.Marshal(cache.EncodeMetrics(metrics))
	if err != nil {
		return nil, err
	}
	var out map[string]any
	if err := json.Unmarshal(b, &out); err != nil {
		return nil, err
	}
	return cache.DecodeMetrics(out), nil
}

// kind is that of output o: its own, or that of the input which it hands on.
func (h *host) kind(o stages.Output) stages.Kind {
	if o.Kind != "" {
		return o.Kind
	}
	for _, b := range h.task.Type.Inputs(h.task.Runner) {
		if b.Field.Name == h.task.Type.OutAs && len(b.Parts) > 0 {
			return b.Parts[0].Kind
		}
	}
	return stages.Files
}

// ingest puts the files of the output folders into the store, several at a time.
func (h *host) ingest(ctx context.Context, dir string) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(4 * runtime.GOMAXPROCS(0)) // most of a small file's time is waiting for fsync
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return errors.Join(err, ctx.Err())
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		out, name, _ := strings.Cut(filepath.ToSlash(rel), "/")
		group.Go(func() error { return h.ingestFile(ctx, strings.TrimPrefix(out, outputPrefix), name, path) })
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		err = nil // no output folder was asked for
	}
	return errors.Join(group.Wait(), err)
}

func (h *host) ingestFile(ctx context.Context, out, name, path string) error {
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return errors.Join(err, fmt.Errorf("output %q: %s is no regular file", out, name))
	}
	f, err := h.Put(ctx, path)
	if err != nil {
		return fmt.Errorf("output %q: %w", out, err)
	}
	f.Name = name
	h.Output(out, f)
	return nil
}
