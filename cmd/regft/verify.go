package main

import (
	"fmt"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"
)

func (a *app) verifyCommand() *cobra.Command {
	return &cobra.Command{
		Use: "verify", Short: "Check that all that the cache holds is what it should be",
		Long: `Read all of the cache: every blob against its SHA-256, every record against its checksum and the content that it
names, and every file of the user's whose size and times say that it is unchanged. What is damaged is set aside and
named, and made again by the next run that needs it. Exit code 4 says that something was wrong.`,
		Example: "  regft verify",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.verifyStore(cmd) },
	}
}

func (a *app) verifyStore(cmd *cobra.Command) error {
	store, err := openStore()
	if err != nil {
		return err
	}
	audit, err := store.Audit(cmd.Context())
	if err != nil {
		return exitError{exitFailed, err}
	}
	for _, f := range audit.Findings {
		fmt.Fprintf(a.out, "%s: %s\n", f.Entry, f.Problem)
	}
	fmt.Fprintf(a.out, "checked %s, %s, %s and %s: %s\n", plural(audit.Blobs, "blob"), plural(audit.Results, "result"), plural(audit.Recipes, "recipe"),
		plural(audit.Links, "linked file"), humanize.IBytes(uint64(audit.Bytes)))
	if n := len(audit.Findings); n > 0 {
		return exitError{exitIntegrity, fmt.Errorf("%s wrong in %s", plural(n, "thing"), store.Root())}
	}
	return nil
}
