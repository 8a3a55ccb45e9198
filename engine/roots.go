package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"regft/cache"
)

// Roots are what a collection keeps the results of.
type Roots struct {
	Actions map[cache.ActionID]bool
	Runs    []*Past
	Pins    []cache.Pin
	Gone    []string // folders of runs that are not there any more
}

// FindRoots finds the last runs of each name, those that go on, and all pins. Runs are those that the store knows of,
// and those below folder runs. A run or pin that cannot be read is an error, so that nothing of it gets lost.
func FindRoots(ctx context.Context, store *cache.Dir, runs string, last int) (*Roots, error) {
	there, gone, err := store.Runs()
	if err != nil {
		return nil, err
	}
	r := &Roots{Actions: map[cache.ActionID]bool{}, Gone: gone}
	local, err := localRuns(runs)
	if err != nil {
		return nil, err
	}
	if r.Runs, err = keptRuns(append(there, local...), last); err != nil {
		return nil, err
	}
	for _, past := range r.Runs {
		actions, err := past.Actions(ctx, store)
		if err != nil {
			return nil, err
		}
		r.Add(actions)
	}
	if r.Pins, err = store.Pins(); err != nil {
		return nil, err
	}
	for _, p := range r.Pins {
		r.Add(p.Actions)
	}
	return r, nil
}

// Add keeps more actions.
func (r *Roots) Add(actions []cache.ActionID) {
	for _, a := range actions {
		r.Actions[a] = true
	}
}

// localRuns are the absolute paths of the runs below a folder.
func localRuns(runs string) ([]string, error) {
	abs, err := filepath.Abs(runs)
	if err != nil {
		return nil, fmt.Errorf("looking for runs: %w", err)
	}
	found, err := filepath.Glob(filepath.Join(abs, "*", "*", provenanceFile))
	if err != nil {
		return nil, fmt.Errorf("looking for runs: %w", err)
	}
	var folders []string
	for _, path := range found {
		if folder := filepath.Dir(path); filepath.Base(folder) != latestLink {
			folders = append(folders, folder)
		}
	}
	return folders, nil
}

// keptRuns opens the last runs of each name in each folder, and all that go on. IDs sort by time.
func keptRuns(folders []string, last int) ([]*Past, error) {
	slices.Sort(folders)
	folders = slices.Compact(folders)
	count := map[string]int{}
	var kept []*Past
	for _, folder := range slices.Backward(folders) {
		past, err := OpenRun("", folder)
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed but for a rest
		}
		if err != nil {
			return nil, fmt.Errorf("%w; remove the folder if its results need not be kept", err)
		}
		home := filepath.Dir(past.Dir)
		if count[home] < last || past.Alive() {
			kept = append(kept, past)
		}
		count[home]++
	}
	return kept, nil
}

// Actions are those of the run's results.
func (p *Past) Actions(ctx context.Context, store *cache.Dir) ([]cache.ActionID, error) {
	plan, err := p.Plan()
	if err != nil {
		return nil, err
	}
	return p.actionsOf(ctx, store, plan.Nodes)
}

// ActionsOf are those of the instances that an address names.
func (p *Past) ActionsOf(ctx context.Context, store *cache.Dir, address string) ([]cache.ActionID, error) {
	found, err := p.Find(address)
	if err != nil {
		return nil, err
	}
	plan, err := p.Plan()
	if err != nil {
		return nil, err
	}
	var nodes []NodeRecord
	for _, i := range found {
		for _, k := range i.Nodes {
			nodes = append(nodes, plan.Nodes[k])
		}
	}
	return p.actionsOf(ctx, store, nodes)
}

func (p *Past) actionsOf(ctx context.Context, store *cache.Dir, nodes []NodeRecord) ([]cache.ActionID, error) {
	var out []cache.ActionID
	for _, n := range nodes {
		action, err := n.action(ctx, store)
		if err != nil && !errors.Is(err, cache.ErrMiss) {
			return nil, fmt.Errorf("reading run %s: %w", p.ID, err)
		}
		if err == nil {
			out = append(out, action)
		}
	}
	return out, nil
}

// action is that of n's result: of a run that was killed before it told, the one that its recipe stands for.
func (n NodeRecord) action(ctx context.Context, store *cache.Dir) (cache.ActionID, error) {
	if !n.Action.IsZero() {
		return n.Action, nil
	}
	var recipe cache.RecipeID
	if err := recipe.UnmarshalText([]byte(n.Recipe)); err != nil {
		return cache.ActionID{}, fmt.Errorf("%s: its recipe: %w", n.Name, err)
	}
	action, err := store.Recipe(ctx, recipe)
	if !errors.Is(err, cache.ErrMiss) {
		return action, err
	}
	_, err = store.Result(ctx, recipe.Action())
	return recipe.Action(), err
}

// Actions are those of the results that p found. Where files are missing it cannot tell, which is an error.
func (p *Plan) Actions() ([]cache.ActionID, error) {
	if len(p.Warnings) > 0 {
		return nil, fmt.Errorf("%s: which results it has cannot be told without its files: %s", p.Expansion.Spec.Path, strings.Join(p.Warnings, "; "))
	}
	var out []cache.ActionID
	for _, n := range p.Nodes {
		if n.Result != nil {
			out = append(out, n.Result.Action)
		}
	}
	return out, nil
}
