package main

import (
	"errors"
	"fmt"
	"os"

	"regft/cache"
	"regft/cache/remote"
	"regft/engine"

	"github.com/spf13/cobra"
)

// A shareFlags say what push and pull share.
type shareFlags struct {
	specFlags
	remoteFlags
}

func (f *shareFlags) add(c *cobra.Command) {
	f.specFlags.add(c)
	f.remoteFlags.add(c)
}

func (a *app) pushCommand() *cobra.Command {
	var f shareFlags
	var study studyFlags
	c := &cobra.Command{
		Use: "push [RUN|SPEC]", Short: "Share results with others",
		Long: `Write the results of a run (the latest where none is named), or those that the cache has for a spec, to a remote, with
all content that they name: blobs first, records last. What is there already is left out, so that the same command goes on
after an interruption, and several may push at once. Pictures of datasets are content too: they are copied.

A result that the remote has already stays as it is there; push says where yours has other bytes.

With --study, hand over a run: its record, the spec with the files that expressions read, and the results that no other
node takes. 'regft cache pull --study' unpacks that, and 'regft report' draws its tables there. With --data, also all that
stages read and all results: then everything is a hit there. FILE.tar as the remote makes it one file.`,
		Example: `  regft cache push --remote s3://lab/regft
  regft cache push spec.yaml --remote /mnt/lab/regft
  regft cache push --study shapes --remote shapes.tar`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeRun,
		RunE: func(cmd *cobra.Command, args []string) error {
			if study.data && !study.on {
				return usageError(cmd, errors.New("--data goes with --study"))
			}
			if study.on {
				return a.pushStudy(cmd, args, f.remoteFlags, study)
			}
			return a.push(cmd, args, f)
		},
	}
	f.add(c)
	c.Flags().BoolVar(&study.on, "study", false, "hand over a run with its record and its spec")
	c.Flags().BoolVar(&study.data, "data", false, "with --study: also all data and all results")
	return c
}

func (a *app) push(cmd *cobra.Command, args []string, f shareFlags) (err error) {
	store, err := a.openWritable(cmd, f.remoteFlags)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	items, err := a.itemsOf(cmd, store.Dir, args, f.specFlags)
	if err != nil {
		return err
	}
	progress := a.newTransfer()
	pushed, err := store.remote.Push(cmd.Context(), store.Dir, items, progress.pushed)
	progress.close()
	if err != nil {
		return exitError{exitUnavailable, fmt.Errorf("%w\npushed so far: %s; the same command goes on from there", err, pushedText(pushed))}
	}
	return a.showPushed(store.remote, pushed)
}

// openNamedRemote is openShared where there must be a remote.
func (a *app) openNamedRemote(cmd *cobra.Command, f remoteFlags) (*sharedStore, error) {
	store, err := a.openShared(cmd, f)
	if err == nil && store.remote == nil {
		err = usageError(cmd, errors.New("where? --remote URL, REGFT_REMOTE, or url in [remote] of regft.toml"))
	}
	return store, err
}

// openWritable opens a remote to push to. What is pushed is what is here: the cache does not ask it.
func (a *app) openWritable(cmd *cobra.Command, f remoteFlags) (*sharedStore, error) {
	store, err := a.openNamedRemote(cmd, f)
	if err != nil {
		return nil, err
	}
	if !store.writable() {
		return nil, errors.Join(exitError{exitUsage, fmt.Errorf("%s is only read from", store.remote.Name())}, store.Close())
	}
	store.SetUpstream(nil)
	return store, nil
}

// itemsOf are the results of what the argument names: a spec's file, or a run.
func (a *app) itemsOf(cmd *cobra.Command, store *cache.Dir, args []string, f specFlags) ([]remote.Item, error) {
	if len(args) > 0 {
		if info, err := os.Stat(args[0]); err == nil && info.Mode().IsRegular() {
			return a.itemsOfSpec(cmd, store, args[0], f)
		}
	}
	if len(f.sets) > 0 {
		return nil, usageError(cmd, errors.New("--set changes a spec, and a run has its own: name the spec's file"))
	}
	past, err := openRun(args)
	if err != nil {
		return nil, err
	}
	nodes, err := past.Finished(cmd.Context(), store)
	if err != nil {
		return nil, exitError{exitFailed, err}
	}
	return itemsOfNodes(past, nodes)
}

func itemsOfNodes(past *engine.Past, nodes []engine.NodeRecord) ([]remote.Item, error) {
	items := make([]remote.Item, len(nodes))
	for k, n := range nodes {
		items[k].Action = n.Action
		if err := items[k].Recipe.UnmarshalText([]byte(n.Recipe)); err != nil {
			return nil, exitError{exitFailed, fmt.Errorf("reading run %s: %s: %w", past.ID, n.Name, err)}
		}
	}
	return items, nil
}

func (a *app) itemsOfSpec(cmd *cobra.Command, store *cache.Dir, path string, f specFlags) ([]remote.Item, error) {
	e, err := a.expand(cmd, path, f)
	if err != nil {
		return nil, err
	}
	p, err := planOf(cmd, store, e, nil, "")
	if err != nil {
		return nil, err
	}
	var items []remote.Item
	for _, n := range p.Finished() {
		items = append(items, remote.Item{Action: n.Result.Action, Recipe: n.Recipe})
	}
	return items, nil
}

// showPushed says what a push did; results that could not be pushed are exit code 1.
func (a *app) showPushed(r *remote.Remote, p remote.Pushed) error {
	fmt.Fprintf(a.out, "pushed to %s: %s\n", r.Name(), pushedText(p))
	for _, action := range p.Differ {
		a.warn("warning: the result of %s has other bytes there, which stay", action)
	}
	if n := len(p.Lacking); n > 0 {
		return exitError{exitFailed, fmt.Errorf("%s not pushed: their content is not in the cache any more; run the spec again", plural(n, "result"))}
	}
	return nil
}
