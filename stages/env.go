package stages

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"regft/cache"

	"github.com/rs/zerolog"
)

// Env is all that a running stage may touch beside its parameters and inputs. A Run may use it from several goroutines.
type Env struct {
	Dir     string              // private and empty; gone when Run has returned
	Seed    Seed                // the spec's; a stage with a seed of its own uses that
	Cores   int                 // how many workers to use; results must not depend on it
	Log     zerolog.Logger      // kept with the result
	LogText io.Writer           // the same log, for the output of programs
	Sources map[string]Artifact // what Sources listed, by parameter
	Shared  *Shared             // memory shared by the stages of one run
	Host    Host
}

// Host is the engine behind an Env.
type Host interface {
	// Put copies a file into the store.
	Put(ctx context.Context, path string) (cache.File, error)
	// Output names a file of output out whose content is in the store already.
	Output(out string, f cache.File)
	// Metric records a result: a number, or a mapping of names to numbers.
	Metric(name string, v any)
	// Choose records which of its candidates a selecting stage took.
	Choose(index int)
	// Progress says that done of total units are done.
	Progress(done, total int, unit string)
	// Partial is a folder that outlives a killed run: the same for every node with the same key of partial work.
	// It is removed when the stage ends well, unless keep was called: then a file in it that is Put becomes a link to what
	// the store has, and is to be replaced, never written to.
	Partial(keep bool) (string, error)
	// Numerics records what computed the result: backend and class of machine.
	Numerics(class string)
	// Series records the value of a named quantity at a step of training.
	Series(step int, values map[string]float64)
}

// Outputs is where OutputDir makes folders: beside Dir, so that a program may have all of that to itself.
func (e *Env) Outputs() string { return e.Dir + ".new" }

// OutputDir is the folder for the files of output out ("" for the only one); everything in it when Run returns is
// part of that output.
func (e *Env) OutputDir(out string) (string, error) {
	dir := filepath.Join(e.Outputs(), "out-"+out)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return "", fmt.Errorf("making the folder of output %q: %w", out, err)
	}
	return dir, nil
}

// WriteFile adds a file to the only output.
func (e *Env) WriteFile(name string, content []byte) error {
	dir, err := e.OutputDir("")
	if err != nil {
		return err
	}
	path := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return fmt.Errorf("writing output %s: %w", name, err)
	}
	if err := os.WriteFile(path, content, 0o666); err != nil {
		return fmt.Errorf("writing output %s: %w", name, err)
	}
	return nil
}

// Source is what was found for path parameter param.
func (e *Env) Source(param string) (Artifact, error) {
	a, ok := e.Sources[param]
	if !ok {
		return Artifact{}, fmt.Errorf("nothing was found for parameter %s", param)
	}
	return a, nil
}
