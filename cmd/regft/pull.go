package main

import (
	"errors"
	"fmt"

	"regft/cache/remote"

	"github.com/spf13/cobra"
)

func (a *app) pullCommand() *cobra.Command {
	var f shareFlags
	var study bool
	c := &cobra.Command{
		Use: "pull [RUN|SPEC]", Short: "Fetch results that others share",
		Long: `Fetch the results that a remote has for a spec, or for a run (the latest where none is named), with all content that
they name, so that the cache has them whole and the remote is not needed any more. All that arrives is checked by its
SHA-256. What is here already is left out.

'regft run --remote' needs no pull: it finds results there, and fetches only the content that something uses.

With --study, unpack a run that was pushed with --study into the current folder: the latest of its name, or of all, where
none is named. A file that is there with other content is an error, and nothing is unpacked then.`,
		Example: `  regft cache pull spec.yaml --remote s3://lab/regft
  regft cache pull spec.yaml --remote https://lab.example.org/regft
  regft cache pull --study --remote shapes.tar`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeRun,
		RunE: func(cmd *cobra.Command, args []string) error {
			f.mode = modeRead
			if study {
				return a.pullStudy(cmd, args, f.remoteFlags)
			}
			return a.pull(cmd, args, f)
		},
	}
	f.add(c)
	c.Flags().BoolVar(&study, "study", false, "unpack a run that was handed over")
	return c
}

func (a *app) pull(cmd *cobra.Command, args []string, f shareFlags) (err error) {
	store, err := a.openNamedRemote(cmd, f.remoteFlags)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	items, err := a.itemsOf(cmd, store.Dir, args, f.specFlags)
	if err != nil {
		return err
	}
	return a.pullItems(cmd, store, items)
}

// pullItems makes results whole here, and says what came of it.
func (a *app) pullItems(cmd *cobra.Command, store *sharedStore, items []remote.Item) error {
	progress := a.newTransfer()
	pulled, err := remote.Pull(cmd.Context(), store.Dir, items, progress.pulled(len(items)))
	progress.close()
	if err != nil {
		return exitError{exitUnavailable, err}
	}
	fmt.Fprintf(a.out, "pulled from %s: %s whole here\n", store.remote.Name(), plural(pulled.Results, "result"))
	if n := len(pulled.Lacking); n > 0 {
		return exitError{exitFailed, fmt.Errorf("%s there without content; a run makes them again", plural(n, "result"))}
	}
	return nil
}
