package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"regft/specs/expr"
	"regft/stages"

	"github.com/spf13/cobra"
)

func (a *app) stagesCommand() *cobra.Command {
	return &cobra.Command{
		Use: "stages [TYPE]", Short: "List the stage types, or the parameters of one",
		Long: "List the stage types that a spec may use, or the parameters of one with their types, defaults, ranges and units.",
		Example: `  regft stages
  regft stages finetune`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: cobra.FixedCompletions(stages.Names(), cobra.ShellCompDirectiveNoFileComp),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return listTypes(a.out)
			}
			t, ok := stages.Lookup(args[0])
			if !ok {
				return usageError(cmd, unknownType(args[0]))
			}
			return describeType(a.out, t)
		},
	}
}

func listTypes(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, name := range stages.Names() {
		t, _ := stages.Lookup(name)
		gives := string(t.Out)
		if t.OutAs != "" {
			gives = "as " + t.OutAs
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\n", name, gives, t.Doc)
	}
	return tw.Flush()
}

func describeType(w io.Writer, t stages.Type) error {
	fmt.Fprintf(w, "%s (version %d): %s\n\n", t.Name, t.Version, t.Doc)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	describeFields(tw, t.Fields(), "")
	return tw.Flush()
}

func describeFields(w io.Writer, fields []stages.Field, prefix string) {
	for _, f := range fields {
		fmt.Fprintf(w, "%s\t%s\t%s\n", prefix+f.Name, defaultOf(f), strings.Join(facts(f), "; "))
		describeFields(w, f.Sub, prefix+f.Name+".")
	}
}

func defaultOf(f stages.Field) string {
	switch {
	case f.Required:
		return "required"
	case f.HasDefault && f.Default != "":
		return f.Default
	case f.Type.Name() == "Seed":
		return "the spec's"
	}
	return "–"
}

// facts says what a parameter means and takes.
func facts(f stages.Field) []string {
	out := []string{f.Doc, f.TypeName()}
	if f.Sub != nil {
		out = out[:1]
	}
	if f.Unit != "" {
		out = append(out, "in "+f.Unit)
	}
	if f.Min != nil || f.Max != nil {
		out = append(out, f.Range())
	}
	if f.Enum != nil {
		out = append(out, "one of "+strings.Join(given(f.Enum), ", "))
	}
	if f.Null != "" {
		out = append(out, "null "+f.Null)
	}
	if !f.InKey {
		out = append(out, "not in the key")
	}
	return out
}

// given leaves out the empty value, which means that nothing is given.
func given(enum []string) []string {
	if len(enum) > 0 && enum[0] == "" {
		return enum[1:]
	}
	return enum
}

func unknownType(name string) error {
	if near := expr.Nearest(name, stages.Names()); near != "" {
		return fmt.Errorf("no stage type %q: did you mean %q?", name, near)
	}
	return fmt.Errorf("no stage type %q: 'regft stages' lists them", name)
}
