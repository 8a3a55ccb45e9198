package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"regft/datasets"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"
)

// A dataCheck is what regft doctor data is asked.
type dataCheck struct {
	format, split, classes string
	decode                 bool
}

func (a *app) doctorDataCommand() *cobra.Command {
	var c dataCheck
	cmd := &cobra.Command{
		Use: "data FOLDER", Short: "Say what a dataset's folder holds, and what is missing or misnamed there",
		Long: `List a dataset as a stage of type dataset would: pictures and classes of every split, what is passed over, what is missing
or misnamed. Without --format every layout is tried.`,
		Example: `  regft doctor data data/oxford_pets
  regft doctor data data/mine --format imagefolder --classes classes.txt --decode`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.checkData(cmd.Context(), args[0], c) },
	}
	cmd.Flags().StringVar(&c.format, "format", "", "the layout: "+strings.Join(datasets.Formats(), ", "))
	cmd.Flags().StringVar(&c.split, "split", "", "one split alone")
	cmd.Flags().StringVar(&c.classes, "classes", "", "a classes.txt that the folder must have all classes of")
	cmd.Flags().BoolVar(&c.decode, "decode", false, "decode every picture")
	return cmd
}

// checkData says what a folder holds. What a run would fail for is an error.
func (a *app) checkData(ctx context.Context, folder string, c dataCheck) error {
	if _, err := os.Stat(folder); err != nil {
		return exitError{exitFailed, err}
	}
	found, err := c.read(ctx, folder)
	if err != nil {
		return exitError{exitFailed, err}
	}
	fmt.Fprintf(a.out, "%s: %s, classes: %s\n", folder, found.format, humanize.Comma(int64(len(found.listings[0].Classes))))
	if slices.Contains(general, found.format) {
		if hint := c.within(ctx, folder); hint != "" {
			fmt.Fprintf(a.out, "  %s\n", hint)
		}
	}
	bad := 0
	for i, l := range found.listings {
		n, err := a.describe(ctx, found.splits[i], l, c.decode)
		if err != nil {
			return err
		}
		bad += n
	}
	broken := 0
	for _, err := range found.failed {
		if !errors.Is(err, datasets.ErrNoSplit) && !errors.Is(err, fs.ErrNotExist) {
			broken++
		}
		fmt.Fprintf(a.out, "  not read: %v\n", err)
	}
	if broken > 0 {
		return exitError{exitFailed, fmt.Errorf("%s cannot be read", plural(broken, "split"))}
	}
	if bad > 0 {
		return exitError{exitFailed, fmt.Errorf("%s cannot be read: replace them, or take them out of the folder", plural(bad, "picture"))}
	}
	return nil
}

// A reading is what one format makes of a folder.
type reading struct {
	format   string
	splits   []string
	listings []*datasets.Listing
	failed   []error // of splits that others of the layout have
}

// read lists the folder in its format, or in the one that fits best.
func (c dataCheck) read(ctx context.Context, folder string) (*reading, error) {
	if c.format != "" {
		return c.readAs(ctx, folder, c.format)
	}
	var best *reading
	errs := map[string]error{}
	for _, format := range datasets.Formats() {
		r, err := c.readAs(ctx, folder, format)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			errs[format] = err
		} else if best == nil || r.fits(best) {
			best = r
		}
	}
	if best == nil || slices.Contains(general, best.format) {
		if err := damaged(errs); err != nil {
			return nil, err
		}
	}
	if best == nil {
		return nil, fmt.Errorf("no layout fits %s; name one with --format to see what it lacks: %w", strings.TrimSuffix(folder+"; "+c.within(ctx, folder), "; "), errs["imagefolder"])
	}
	return best, nil
}

// general are the layouts that any folder may have.
var general = []string{"coop", "imagefolder"}

// damaged is the error of a layout whose own lists are there, and something that they list is not.
func damaged(errs map[string]error) error {
	for _, format := range slices.Sorted(maps.Keys(errs)) {
		relative := strings.HasPrefix(format, "imagenet") || format == "objectnet" // told by folders alone
		if !relative && !slices.Contains(general, format) && !errors.Is(errs[format], fs.ErrNotExist) {
			return errs[format]
		}
	}
	return nil
}

// fits tells whether r is the better reading: a layout of its own goes before those that any folder may have, then fewer warnings.
func (r *reading) fits(other *reading) bool {
	generality := func(r *reading) int { return slices.Index(general, r.format) }
	warnings := func(r *reading) (n int) {
		for _, l := range r.listings {
			n += len(l.Warnings)
		}
		return n / len(r.listings)
	}
	return cmp.Or(cmp.Compare(generality(r), generality(other)), cmp.Compare(warnings(r), warnings(other))) < 0
}

// within looks whether the dataset is a folder further down, as archives unpack.
func (c dataCheck) within(ctx context.Context, folder string) string {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return ""
	}
	for _, e := range entries {
		inner := filepath.Join(folder, e.Name())
		if info, err := os.Stat(inner); err != nil || !info.IsDir() || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		for _, format := range datasets.Formats() {
			if r, err := c.readAs(ctx, inner, format); err == nil && !slices.Contains(general, format) {
				return fmt.Sprintf("the layout of %s fits %s: name that folder", r.format, inner)
			}
		}
	}
	return ""
}

// readAs lists the splits that the folder has in a format. Without splits, or with one that is asked for, it is one listing.
func (c dataCheck) readAs(ctx context.Context, folder, format string) (*reading, error) {
	r := &reading{format: format}
	request := datasets.Request{Format: format, Root: folder, Split: c.split}
	if c.classes != "" {
		var err error
		if request.Classes, err = datasets.ReadClasses(c.classes); err != nil {
			return nil, err
		}
	}
	whole, err := datasets.List(ctx, request)
	if err == nil {
		r.splits, r.listings = []string{c.split}, []*datasets.Listing{whole}
		return r, nil
	}
	if c.split != "" {
		return nil, err
	}
	for _, split := range []string{"train", "val", "test"} {
		request.Split = split
		l, err := datasets.List(ctx, request)
		if err != nil {
			r.failed = append(r.failed, err)
			continue
		}
		r.splits, r.listings = append(r.splits, split), append(r.listings, l)
	}
	if len(r.listings) == 0 {
		if errors.Is(err, datasets.ErrWhichSplit) {
			err = r.failed[0]
		}
		return nil, err
	}
	return r, nil
}

// describe writes what a split holds, and returns how many of its pictures cannot be read.
func (a *app) describe(ctx context.Context, split string, l *datasets.Listing, decode bool) (bad int, err error) {
	fewest, most := spread(l)
	each := fmt.Sprintf("%d to %d each", fewest, most)
	if fewest == most {
		each = fmt.Sprintf("%d each", most)
	}
	fmt.Fprintf(a.out, "  %s: %s, %s\n", cmp.Or(split, "all"), plural(len(l.Samples), "picture"), each)
	if l.Skipped != (datasets.Skipped{}) {
		fmt.Fprintf(a.out, "    passed over: %s, %s that are no pictures by their names\n", plural(l.Skipped.Hidden, "hidden file"), plural(l.Skipped.Other, "other file"))
	}
	for _, w := range l.Warnings {
		fmt.Fprintf(a.out, "    %s\n", w)
	}
	for _, p := range unreadable(ctx, l, decode) {
		bad++
		if bad <= 10 {
			fmt.Fprintf(a.out, "    cannot be read: %v\n", p)
		}
	}
	if bad > 10 {
		fmt.Fprintf(a.out, "    and %s more\n", humanize.Comma(int64(bad-10)))
	}
	return bad, ctx.Err()
}

// spread are the fewest and the most pictures of classes that have any.
func spread(l *datasets.Listing) (fewest, most int) {
	counts := map[int]int{}
	for _, s := range l.Samples {
		counts[s.Label]++
	}
	fewest = len(l.Samples)
	for _, n := range counts {
		fewest, most = min(fewest, n), max(most, n)
	}
	return fewest, most
}

// unreadable are the errors of pictures, in their order: of all that are empty or, with decode, cannot be decoded.
func unreadable(ctx context.Context, l *datasets.Listing, decode bool) []error {
	found := make([]error, len(l.Samples))
	next := make(chan int)
	var group sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() {
			for i := range next {
				if err := readable(l, l.Samples[i], decode); err != nil {
					found[i] = fmt.Errorf("%s: %w", l.Samples[i].Name, err)
				}
			}
		})
	}
	for i := range l.Samples {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	group.Wait()
	return slices.DeleteFunc(found, func(err error) bool { return err == nil })
}

func readable(l *datasets.Listing, s datasets.Sample, decode bool) error {
	if decode {
		return decodes(l, s)
	}
	if s.Part != nil {
		return nil
	}
	info, err := os.Stat(filepath.Join(l.Root, filepath.FromSlash(s.Name)))
	if err == nil && info.Size() == 0 {
		return errors.New("the file is empty")
	}
	return err
}
