package main

import (
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"
)

//go:embed starter.yaml
var starter []byte

func (a *app) initCommand() *cobra.Command {
	return &cobra.Command{
		Use: "init [FILE]", Short: "Write a commented spec to start from",
		Long: "Write a commented spec of the whole method, spec.yaml unless a name is given. An existing file is left alone.",
		Example: `  regft init
  regft init my-birds.yaml`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			path := "spec.yaml"
			if len(args) > 0 {
				path = args[0]
			}
			if err := writeNew(path, starter); err != nil {
				return usageError(cmd, err)
			}
			fmt.Fprintf(a.out, `Wrote %s. In it,
  1. set vars.clip and vars.diffusion to your checkpoints, and vars.data to your pictures
  2. put your class names, one a line, into classes.txt beside it
then
  regft plan %[1]s    # what a run would do
  regft run %[1]s
`, path)
			return nil
		},
	}
}

// writeNew writes a file that must not be there yet.
func writeNew(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already: name another file", path)
	}
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Close())
}
