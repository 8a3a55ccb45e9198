package main

import (
	"errors"
	"fmt"
	"strings"

	"regft/engine"
	"regft/specs"

	"github.com/spf13/cobra"
)

func (a *app) explainCommand() *cobra.Command {
	var f specFlags
	c := &cobra.Command{
		Use: "explain [SPEC|RUN] STAGE[axis=key,…].PART", Short: "Say why a node would run, or not",
		Long: `Say what a plan would do with the nodes of a stage, or of some of its points, and why: which fields of their keys
differ from the nearest earlier result, and where the spec says so. RUN (latest, NAME, NAME/RUN_ID or the path of its
folder) stands for the spec that it ran, as that is now; without either, the spec of the latest run.`,
		Example: `  regft explain spec.yaml tuned
  regft explain shapes 'tuned[draw=0]'
  regft explain 'tuned[draw=0]'`,
		Args:              cobra.RangeArgs(1, 2),
		ValidArgsFunction: completeExplained,
		RunE: func(cmd *cobra.Command, args []string) error {
			spec, address, err := explained(args)
			if err != nil {
				return usageError(cmd, err)
			}
			p, err := a.newPlan(cmd, spec, f, nil, "")
			if err != nil {
				return err
			}
			named, err := specs.ParseAddress(address)
			if err == nil {
				err = namesSome(p.Expansion, named)
			}
			if err != nil {
				return usageError(cmd, err)
			}
			found, err := p.Explain(cmd.Context(), address)
			if err != nil {
				return exitError{exitUsage, err}
			}
			for _, e := range found {
				a.explain(e, "")
			}
			return nil
		},
	}
	f.add(c)
	return c
}

// explained is the spec and the address that the arguments of explain name.
func explained(args []string) (spec, address string, err error) {
	if len(args) == 2 {
		if past, err := engine.OpenRun(runsFolder, args[0]); err == nil && !isSpecAt(args[0]) {
			return past.Provenance.Spec, args[1], nil
		}
		return args[0], args[1], nil
	}
	last, err := engine.OpenRun(runsFolder, "latest")
	if err != nil {
		return "", "", errors.New("there is no run here yet whose spec could be explained: name it, as in 'regft explain spec.yaml STAGE'")
	}
	return last.Provenance.Spec, args[0], nil
}

// explain prints e, and under each changed input why its producer runs.
func (a *app) explain(e engine.Explanation, indent string) {
	fmt.Fprintf(a.out, "%s%s: %s\n", indent, e.Name, stateText(e))
	for _, name := range e.Environment {
		fmt.Fprintf(a.out, "%s  env %s: another value than its result was made with; it is not in the key\n", indent, name)
	}
	for _, c := range e.Changes {
		place := ""
		if c.Path != "" {
			place = "  " + c.Path
		}
		if c.Place != nil {
			place += "  " + c.Place.String()
		}
		fmt.Fprintf(a.out, "%s  %s: %s%s\n", indent, c.Field, changeText(c), place)
		if len(c.Uses) > 0 {
			fmt.Fprintf(a.out, "%s    made of %s\n", indent, originsText(c.Uses))
		}
		if c.From != nil {
			a.explain(*c.From, indent+"    ")
		}
	}
}

func stateText(e engine.Explanation) string {
	switch {
	case e.State == engine.Hit:
		return "its result is in the cache"
	case e.State != engine.Work && e.State != engine.Maybe:
		return string(e.State) + ": " + e.Reason
	case e.Error != "":
		return string(e.State) + ", " + e.Reason + " in the last run: " + e.Error
	case e.Nearest == "":
		return strings.TrimSpace(string(e.State)+", "+e.Reason) + "; no earlier result comes near it"
	}
	return string(e.State) + ", " + e.Reason + "; compared with " + short(e.Nearest)
}

func changeText(c engine.Change) string {
	switch {
	case c.Was == "":
		return "was its default or nothing, now " + short(c.Now)
	case c.Now == "" && strings.HasPrefix(c.Field, "input "):
		return "was " + short(c.Was) + ", not known before what it comes from has run"
	case c.Now == "":
		return "was " + short(c.Was) + ", now its default or nothing"
	}
	was, now := apart(short(c.Was), short(c.Now))
	return was + " → " + now
}

// around is how much of long texts is shown before and after what differs.
const around = 20

// apart leaves out of two long texts the beginning and the end that they share.
func apart(a, b string) (string, string) {
	x, y := []rune(a), []rune(b)
	if min(len(x), len(y)) < 3*around {
		return a, b
	}
	begin, end := 0, 0
	for begin < min(len(x), len(y)) && x[begin] == y[begin] {
		begin++
	}
	for end < min(len(x), len(y))-begin && x[len(x)-1-end] == y[len(y)-1-end] {
		end++
	}
	cut := func(r []rune) string {
		from, to := max(begin-around, 0), min(len(r)-end+around, len(r))
		text := string(r[from:to])
		if from > 0 {
			text = "…" + text
		}
		if to < len(r) {
			text += "…"
		}
		return text
	}
	return cut(x), cut(y)
}

// originsText says what a parameter's value is made of, and where that is given.
func originsText(of []specs.Origin) string {
	var texts []string
	for _, o := range of {
		text := o.Name
		if o.Place.Line > 0 {
			text += " (" + o.Place.String() + ")"
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, ", ")
}

// short cuts digests to what tells them apart.
func short(s string) string {
	fields := strings.Fields(s)
	for i, f := range fields {
		if strings.HasPrefix(f, "sha256:") && len(f) > 19 {
			fields[i] = f[:19] + "…"
		}
	}
	return strings.Join(fields, " ")
}
