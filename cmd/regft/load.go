package main

import (
	"errors"
	"io/fs"
	"os"

	"regft/cache"
	"regft/engine"
	"regft/specs"

	"github.com/spf13/cobra"
)

// runsFolder is where runs leave their records, below the current folder.
const runsFolder = "runs"

// A specFlags are what commands that read a spec take.
type specFlags struct {
	sets   []string
	asJSON bool // mistakes go to standard output as JSON
}

// add adds --set to c.
func (f *specFlags) add(c *cobra.Command) {
	c.Flags().StringArrayVar(&f.sets, "set", nil, "set a value of the spec: PATH=YAML, such as vars.epochs=20; may be given several times")
}

// expand loads the spec at path and expands it. It shows every mistake and warning; a mistake is exit code 2.
func (a *app) expand(cmd *cobra.Command, path string, f specFlags) (*specs.Expansion, error) {
	spec, found := specs.Load(path, f.sets)
	if found.HasErrors() {
		return nil, a.diagnose(found, f.asJSON)
	}
	e, found := spec.Expand(cmd.Context()) // what Load found too
	if err := cmd.Context().Err(); err != nil {
		return nil, err
	}
	if found.HasErrors() {
		return nil, a.diagnose(found, f.asJSON)
	}
	return e, a.diagnose(found, false)
}

// diagnose shows ds: on standard error for people, on standard output for editors and for GitHub.
func (a *app) diagnose(ds specs.Diagnostics, asJSON bool) error {
	if os.Getenv("GITHUB_ACTIONS") == "true" && !asJSON {
		if err := ds.GitHub(a.out); err != nil {
			return err
		}
	}
	var err error
	if asJSON {
		err = ds.JSON(a.out)
	} else {
		err = ds.Render(a.err, a.colourErr)
	}
	if err == nil && ds.HasErrors() {
		return exitError{exitUsage, nil}
	}
	return err
}

// newPlan plans the spec at path. Reasons, and only, compare with the latest run of its name.
func (a *app) newPlan(cmd *cobra.Command, path string, f specFlags, force []string, only string) (*engine.Plan, error) {
	e, err := a.expand(cmd, path, f)
	if err != nil {
		return nil, err
	}
	store, err := openStore()
	if err != nil {
		return nil, err
	}
	return planOf(cmd, store, e, force, only)
}

// planOf plans e with the results of an open cache. Mistakes in only are specs.Diagnostics.
func planOf(cmd *cobra.Command, store *cache.Dir, e *specs.Expansion, force []string, only string) (p *engine.Plan, err error) {
	o := engine.Options{Force: force}
	if o.Last, err = latestOf(e.Spec.Name); err != nil {
		return nil, err
	}
	if err = onlyFilter(cmd.Context(), only, e, &o); err != nil {
		if found, ok := errors.AsType[specs.Diagnostics](err); ok {
			return nil, found
		}
		return nil, usageError(cmd, err)
	}
	if p, err = engine.NewPlan(cmd.Context(), e, store, o); err != nil {
		return nil, planError(cmd, err)
	}
	return p, nil
}

// planError is why there is no plan: files or options that cannot be used are the user's to mend.
func planError(cmd *cobra.Command, err error) error {
	if cmd.Context().Err() != nil {
		return err
	}
	return exitError{exitUsage, err}
}

// latestOf is the latest run of that name, nil where there is none.
func latestOf(name string) (*engine.Past, error) {
	past, err := engine.OpenRun(runsFolder, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return past, err
}

// openRun opens the run that a command's first argument names; without one, the latest.
func openRun(args []string) (*engine.Past, error) {
	ref := "latest"
	if len(args) > 0 {
		ref = args[0]
	}
	past, err := engine.OpenRun(runsFolder, ref)
	if err != nil {
		return nil, exitError{exitUsage, err}
	}
	return past, nil
}
