package main

import (
	"regft/specs"

	"github.com/spf13/cobra"
)

func (a *app) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use: "schema", Short: "Print the JSON Schema of specs, for editors",
		Long: `Print the JSON Schema of the spec language with all stage types, so that an editor completes and checks specs.
With yaml-language-server, put this comment on a spec's first line:

  # yaml-language-server: $schema=regft.schema.json`,
		Example: "  regft schema > regft.schema.json",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := a.out.Write(specs.Schema())
			return err
		},
	}
}
