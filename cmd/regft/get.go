package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
)

func (a *app) getCommand() *cobra.Command {
	var dir, output string
	var from remoteFlags
	c := &cobra.Command{
		Use: "get RUN STAGE[axis=key,…].PART -o DIR", Short: "Write what a stage made into a folder",
		Long: `Write what an instance of a run made into a folder, in the layout that other programs read: pictures in one folder a
class with metadata.jsonl, classifiers as Hugging Face folders that transformers loads, all else as its files. Axes
that the stage does not need to be told apart by may be left out. PART is one of several outputs, or what was made from
one of several inputs; without it, all are written, each in a folder of its own.`,
		Example: `  regft get shapes 'merged[method=both,alpha=0.3,draw=0]' -o merged
  regft get latest 'pictures[style=sketch]' -o sketches`,
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: completeInstance,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if dir == "" {
				return usageError(cmd, errors.New("say where to write it: -o DIR"))
			}
			past, err := openRun(args)
			if err != nil {
				return err
			}
			if _, _, err := past.FindOutput(args[1], output); err != nil {
				return exitError{exitUsage, err}
			}
			from.readUnlessTold()
			store, err := a.openShared(cmd, from)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, store.Close()) }()
			if err := past.Get(cmd.Context(), store.Dir, args[1], output, dir); err != nil {
				return exitError{exitFailed, err}
			}
			fmt.Fprintf(a.out, "wrote %s of %s/%s to %s\n", args[1], past.Name, past.ID, dir)
			return nil
		},
	}
	from.add(c)
	c.Flags().StringVarP(&dir, "output-dir", "o", "", "the folder to write; it is made with its parents")
	c.Flags().StringVar(&output, "output", "", "which output, where the stage has several")
	return c
}
