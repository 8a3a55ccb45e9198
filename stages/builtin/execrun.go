package builtin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"regft/cache"
	"regft/stages"
)

// onlyFile is where an output that is one file has it, so that a folder with one file stays a folder.
const onlyFile = "@file/"

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// Sources are the paths among the inputs.
func (e *Exec) Sources(ctx context.Context) ([]stages.Source, error) {
	var out []stages.Source
	for i, in := range e.Reads {
		if in.Path == "" {
			continue
		}
		s := stages.Source{Param: e.sourceName(i), Root: in.Path}
		info, err := os.Stat(in.Path)
		if err != nil {
			return nil, fmt.Errorf("input %s: %w", in.Key, err)
		}
		if info.IsDir() {
			if s.Files, err = tree(ctx, in.Path); err != nil {
				return nil, fmt.Errorf("input %s: %w", in.Key, err)
			}
		}
		out = append(out, s)
	}
	return out, nil
}

// sourceName is unlike that of any other input, also where several stand under one name.
func (e *Exec) sourceName(i int) string {
	return fmt.Sprintf("inputs.%s.%d", e.Reads[i].Key, e.positions()[i])
}

// positions numbers the inputs below each name.
func (e *Exec) positions() []int {
	seen, out := map[string]int{}, make([]int, len(e.Reads))
	for i, in := range e.Reads {
		out[i] = seen[in.Key]
		seen[in.Key]++
	}
	return out
}

// tree lists the files below dir; an empty folder lists as none, not as nil. Links to files are followed, and so is
// dir itself; a link to a folder below it, and what is no file, are errors.
func tree(ctx context.Context, dir string) ([]string, error) {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, err
	}
	names := []string{}
	err = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err := errors.Join(err, ctx.Err()); err != nil || d.IsDir() {
			return err
		}
		info, err := os.Stat(p)
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			return fmt.Errorf("%s is no file but %s: only files, links to files and folders can be kept", p, modeName(info.Mode()))
		}
		rel, err := filepath.Rel(dir, p)
		names = append(names, filepath.ToSlash(rel))
		return err
	})
	return names, err
}

func modeName(m fs.FileMode) string {
	if m.IsDir() {
		return "a link to a folder"
	}
	return "a pipe, socket or device"
}

// Run gives the command its inputs, runs it, and takes its outputs.
func (e *Exec) Run(ctx context.Context, env *stages.Env) error {
	work := env.Dir
	if err := e.place(ctx, env, work); err != nil {
		return err
	}
	defer setRemovable(filepath.Join(work, "inputs"))
	if err := e.command(ctx, env, work); err != nil {
		return err
	}
	metrics, err := e.measure(work)
	if err != nil {
		return err
	}
	for name, x := range metrics {
		env.Host.Metric(name, x)
	}
	return e.collect(ctx, env, work, metrics)
}

// place writes the inputs in their published layout.
func (e *Exec) place(ctx context.Context, env *stages.Env, work string) error {
	inputs := filepath.Join(work, "inputs")
	if err := os.Mkdir(inputs, 0o777); err != nil {
		return fmt.Errorf("making the command's folder: %w", err)
	}
	total, at := map[string]int{}, e.positions()
	for _, in := range e.Reads {
		if !fs.ValidPath(in.Key) || strings.ContainsAny(in.Key, `/\`) || in.Key == "." {
			return fmt.Errorf("inputs: %q is no name of a file or folder in inputs/", in.Key)
		}
		total[in.Key]++
	}
	for i, in := range e.Reads {
		path := filepath.Join(inputs, in.Key)
		if n := total[in.Key]; n > 1 || len(in.Coords) > 0 {
			path = filepath.Join(path, fmt.Sprintf("%0*d", max(4, len(fmt.Sprint(n-1))), at[i]))
		}
		if err := e.placeOne(ctx, env, i, path); err != nil {
			return fmt.Errorf("input %s: %w", in.Key, err)
		}
	}
	setReadOnly(inputs)
	return nil
}

func (e *Exec) placeOne(ctx context.Context, env *stages.Env, i int, path string) error {
	in := e.Reads[i]
	if in.Path == "" {
		return publishInput(ctx, in, path)
	}
	a, err := env.Source(e.sourceName(i))
	if err != nil {
		return err
	}
	if info, err := os.Stat(in.Path); err == nil && !info.IsDir() {
		return a.CopyFile(ctx, a.Manifest.Files[0].Name, path)
	}
	return stages.Publish(ctx, a, path)
}

// publishInput writes an artifact: one file as that file, everything else as a folder.
func publishInput(ctx context.Context, in stages.Input, path string) error {
	for i, a := range in.Parts {
		if len(in.Parts) > 1 {
			if err := stages.Publish(ctx, a, filepath.Join(path, fmt.Sprintf("%04d", i))); err != nil {
				return err
			}
			continue
		}
		if name, ok := singleFile(a); ok {
			return a.CopyFile(ctx, name, path)
		}
		return stages.Publish(ctx, a, path)
	}
	return nil
}

func singleFile(a stages.Artifact) (string, bool) {
	fs := a.Manifest.Files
	if a.Kind != stages.Files || len(fs) != 1 || !strings.HasPrefix(fs[0].Name, onlyFile) {
		return "", false
	}
	return fs[0].Name, true
}

var _ = stages.RegisterPublisher(stages.Files, func(ctx context.Context, a stages.Artifact, dir string) error {
	for _, f := range a.Manifest.Files {
		name := strings.TrimPrefix(f.Name, onlyFile)
		if err := a.CopyFile(ctx, f.Name, filepath.Join(dir, filepath.FromSlash(name))); err != nil {
			return err
		}
	}
	return nil
})

// setReadOnly changes the permissions of a tree: a command must not change what it reads.
func setReadOnly(dir string) {
	var folders []string
	_ = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() {
			folders = append(folders, p)
			return nil
		}
		_ = os.Chmod(p, 0o444)
		return nil
	})
	for _, p := range slices.Backward(folders) {
		_ = os.Chmod(p, 0o555)
	}
}

// setRemovable lets the engine remove a tree. What cannot be changed is left: the removal would say so.
func setRemovable(dir string) {
	_ = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() {
			_ = os.Chmod(p, 0o755)
		}
		return nil
	})
}

// command runs the program with a scrubbed environment. A cancelled context kills it and what it started, and so does
// whatever ends regft.
func (e *Exec) command(ctx context.Context, env *stages.Env, work string) error {
	cmd := exec.CommandContext(ctx, e.Command[0], e.Command[1:]...)
	tail := &tailWriter{limit: 4096}
	cmd.Dir, cmd.Stdout = work, io.MultiWriter(env.LogText, tail)
	cmd.Stderr, cmd.WaitDelay = cmd.Stdout, 500*time.Millisecond
	for _, name := range append([]string{"PATH", "HOME", "LANG"}, e.Env...) {
		if v, ok := os.LookupEnv(name); ok {
			cmd.Env = append(cmd.Env, name+"="+v)
		}
	}
	killGroup(cmd)
	if err := runGuarded(ctx, env, cmd); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("command %s: %w", e.Command[0], ctx.Err())
		}
		return fmt.Errorf("command %s: %w%s", e.Command[0], err, tail.quoted())
	}
	return nil
}

// runGuarded runs cmd, which the guard of the run's programs ends if regft cannot.
func runGuarded(ctx context.Context, env *stages.Env, cmd *exec.Cmd) error {
	g, err := env.Shared.Get(ctx, "guard of programs", func(context.Context) (any, int64, error) { return newGuard(), 0, nil })
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	g.(*guard).begin(cmd.Process)
	defer g.(*guard).end(cmd.Process)
	return cmd.Wait()
}

// tailWriter keeps the end of what is written.
type tailWriter struct {
	limit int
	kept  []byte
}

func (t *tailWriter) Write(p []byte) (int, error) {
	t.kept = append(t.kept, p...)
	if over := len(t.kept) - t.limit; over > 0 {
		t.kept = slices.Clone(t.kept[over:])
	}
	return len(p), nil
}

// quoted is the last ten lines, for an error.
func (t *tailWriter) quoted() string {
	lines := strings.Split(strings.TrimRight(string(t.kept), "\n"), "\n")
	if len(lines) > 10 {
		lines = lines[len(lines)-10:]
	}
	if len(lines) == 1 && lines[0] == "" {
		return "; it printed nothing"
	}
	return "; its last lines:\n    " + strings.Join(lines, "\n    ")
}

// collect takes the declared outputs out of the folder. Scores hold the program's metrics.
func (e *Exec) collect(ctx context.Context, env *stages.Env, work string, metrics map[string]any) error {
	for _, o := range e.Outputs() {
		if o.Name == "" {
			continue
		}
		path := filepath.Join(work, filepath.FromSlash(e.Writes[o.Name].Path))
		info, err := os.Stat(path)
		if err != nil {
			return fmt.Errorf("the command ended well and left no output %s: %w", o.Name, err)
		}
		if o.Kind == stages.Scores && info.IsDir() && e.Metrics != "" {
			if err := e.addScores(path, metrics); err != nil {
				return fmt.Errorf("output %s: %w", o.Name, err)
			}
		}
		if err := collectOne(ctx, env, o, path, info.IsDir()); err != nil {
			return fmt.Errorf("output %s: %w", o.Name, err)
		}
	}
	return nil
}

func collectOne(ctx context.Context, env *stages.Env, o stages.Output, path string, folder bool) error {
	switch {
	case o.Kind != stages.Files && !folder:
		return fmt.Errorf("%s is a file, and %s are a folder", filepath.Base(path), o.Kind)
	case o.Kind == stages.Images:
		return collectImages(ctx, env, o.Name, path)
	case o.Kind == stages.Classifier:
		return collectClassifier(env, o.Name, path)
	case !folder:
		f, err := env.Host.Put(ctx, path)
		if err != nil {
			return err
		}
		f.Name = onlyFile + filepath.Base(path)
		env.Host.Output(o.Name, f)
		return nil
	}
	names, err := tree(ctx, path)
	if err != nil {
		return err
	}
	for _, name := range names {
		f, err := env.Host.Put(ctx, filepath.Join(path, filepath.FromSlash(name)))
		if err != nil {
			return err
		}
		env.Host.Output(o.Name, cache.File{Name: name, Digest: f.Digest, Size: f.Size})
	}
	return nil
}

// addScores writes metrics into an output of scores: whoever takes it takes its metrics, so they are part of its content.
func (e *Exec) addScores(dir string, metrics map[string]any) error {
	path, wanted := filepath.Join(dir, "scores.json"), stages.CanonicalJSON(cache.EncodeMetrics(metrics))
	there, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return os.WriteFile(path, []byte(wanted+"\n"), 0o666)
	}
	var m map[string]any
	if err == nil {
		err = json.Unmarshal(there, &m)
	}
	if err != nil {
		return fmt.Errorf("its scores.json: %w", err)
	}
	if stages.CanonicalJSON(m) != wanted {
		return fmt.Errorf("its scores.json says other than the metrics file %s: name that file as metrics, or leave it out", e.Metrics)
	}
	return nil
}

// measure reads the program's metrics.
func (e *Exec) measure(work string) (map[string]any, error) {
	if e.Metrics == "" {
		return nil, nil
	}
	text, err := os.ReadFile(filepath.Join(work, e.Metrics))
	if err != nil {
		return nil, fmt.Errorf("the command ended well and left no metrics: %w", err)
	}
	var m map[string]any
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, fmt.Errorf("metrics file %s: want a JSON object of numbers: %w", e.Metrics, err)
	}
	if m == nil {
		return nil, fmt.Errorf("metrics file %s: want a JSON object of numbers, got null", e.Metrics)
	}
	out := map[string]any{}
	for _, name := range sortedKeys(m) {
		x, ok := cache.DecodeFloat(m[name])
		if !ok {
			return nil, fmt.Errorf("metrics file %s: %s is %v, want a number", e.Metrics, name, m[name])
		}
		out[name] = x
	}
	return out, nil
}
