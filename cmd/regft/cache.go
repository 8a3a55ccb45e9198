package main

import (
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"regft/cache"
	"regft/engine"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"
)

func (a *app) cacheCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "cache", Short: "Look into the cache, share it, and pin what 'regft gc' must keep",
		Example: `  regft cache pin shapes
  regft cache size
  regft cache push --remote s3://lab/regft`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	for _, sub := range []*cobra.Command{a.pinCommand(), a.unpinCommand(), a.pinsCommand(), a.sizeCommand(), a.pushCommand(), a.pullCommand()} {
		sub.Args = withUsage(sub.Args)
		c.AddCommand(sub)
	}
	return c
}

func (a *app) pinCommand() *cobra.Command {
	return &cobra.Command{
		Use: "pin [RUN] [STAGE[axis=key,…]]", Short: "Keep the results of a run, or of some of its instances",
		Long: "Keep the results of a run, or of some of its instances, until they are unpinned. An address alone is one in the\nlatest run.",
		Example: `  regft cache pin shapes
  regft cache pin shapes 'merged[alpha=0.3]'
  regft cache pin 'tuned[draw=0]'`,
		Args:              cobra.RangeArgs(1, 2),
		ValidArgsFunction: completeRun,
		RunE: func(cmd *cobra.Command, args []string) error {
			past, address, err := runAndAddress(args)
			if err != nil {
				return err
			}
			store, err := openStore()
			if err != nil {
				return err
			}
			pin := cache.Pin{Name: pinName(past, address), Created: time.Now().UTC()}
			if address == "" {
				pin.Actions, err = past.Actions(cmd.Context(), store)
			} else {
				pin.Actions, err = past.ActionsOf(cmd.Context(), store, address)
			}
			if err != nil {
				return exitError{exitUsage, err}
			}
			if len(pin.Actions) == 0 {
				return exitError{exitUsage, fmt.Errorf("%s has no results to keep", pin.Name)}
			}
			if err := store.PutPin(pin); err != nil {
				return exitError{exitFailed, err}
			}
			fmt.Fprintf(a.out, "pinned %s: %s\n", pin.Name, plural(len(pin.Actions), "result"))
			return nil
		},
	}
}

// runAndAddress are the run and the address that arguments name: RUN, STAGE[…] of the latest run, or both.
func runAndAddress(args []string) (past *engine.Past, address string, err error) {
	if len(args) == 2 {
		past, err = openRun(args)
		return past, args[1], err
	}
	if past, err = openRun(args); err == nil {
		return past, "", nil
	}
	latest, latestErr := openRun(nil)
	if latestErr != nil {
		return nil, "", err
	}
	if _, findErr := latest.Find(args[0]); findErr != nil {
		if strings.Contains(args[0], "[") {
			err = exitError{exitUsage, findErr}
		}
		return nil, "", err
	}
	return latest, args[0], nil
}

func pinName(past *engine.Past, address string) string {
	return strings.TrimSpace(past.Name + "/" + past.ID + " " + address)
}

func (a *app) unpinCommand() *cobra.Command {
	return &cobra.Command{
		Use: "unpin [RUN] [STAGE[axis=key,…]]", Short: "Let gc take what a pin kept",
		Long:    "Remove a pin, named as 'regft cache list' names it, or as 'regft cache pin' was told.",
		Example: "  regft cache unpin shapes\n  regft cache unpin shapes/20260104T091500.000Z-1a2b",
		Args:    cobra.RangeArgs(1, 2), ValidArgsFunction: completeRun,
		RunE: func(_ *cobra.Command, args []string) error {
			store, err := openStore()
			if err != nil {
				return err
			}
			name := strings.Join(args, " ")
			err = store.RemovePin(name)
			if errors.Is(err, cache.ErrMiss) {
				past, address, findErr := runAndAddress(args)
				if findErr != nil {
					return exitError{exitUsage, fmt.Errorf("there is no pin %q: 'regft cache list' lists them", name)}
				}
				name = pinName(past, address)
				err = store.RemovePin(name)
			}
			if err != nil {
				return exitError{exitUsage, err}
			}
			fmt.Fprintf(a.out, "unpinned %s\n", name)
			return nil
		},
	}
}

func (a *app) pinsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the pins", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			store, err := openStore()
			if err != nil {
				return err
			}
			pins, err := store.Pins()
			if err != nil {
				return exitError{exitIntegrity, err}
			}
			tw := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
			for _, p := range pins {
				fmt.Fprintf(tw, "%s\t%s\t%s\n", p.Name, plural(len(p.Actions), "result"), p.Created.Local().Format(time.DateTime))
			}
			return tw.Flush()
		},
	}
}

func (a *app) sizeCommand() *cobra.Command {
	return &cobra.Command{
		Use: "size", Short: "Show where the cache is and what it takes", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			store, err := openStore()
			if err != nil {
				return err
			}
			parts, err := store.Usage(cmd.Context())
			if err != nil {
				return exitError{exitFailed, err}
			}
			fmt.Fprintln(a.out, cacheState())
			tw := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
			for _, u := range parts {
				fmt.Fprintf(tw, "%s\t%s\t%s\n", u.Part, plural(u.Files, "file"), humanize.IBytes(uint64(u.Bytes)))
			}
			return tw.Flush()
		},
	}
}
