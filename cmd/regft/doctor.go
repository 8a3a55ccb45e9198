package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"text/tabwriter"

	"regft/cache"
	"regft/compute"
	"regft/datasets"
	"regft/datasets/picture"
	"regft/engine"
	"regft/stages"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"
	"golang.org/x/sys/cpu"
	"gopkg.in/yaml.v3"
)

func (a *app) doctorCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "doctor [FOLDER...]", Short: "Show what regft finds on this machine, and check folders",
		Long: `Show the cache, the machine and the backend as regft sees them. A FOLDER is checked by the code that a run would
use: a CLIP or Stable Diffusion checkpoint, or pictures in one folder a class.`,
		Example: `  regft doctor
  regft doctor checkpoints/clip-vit-base-patch16 data/test
  regft doctor data data/oxford_pets`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.machine(); err != nil {
				return err
			}
			return a.checkFolders(cmd.Context(), args)
		},
	}
	cmd.AddCommand(a.doctorDataCommand())
	return cmd
}

func (a *app) machine() error {
	machine := engine.ThisMachine()
	tw := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(tw, "regft\t%s, %s\n", version(), runtime.Version())
	fmt.Fprintf(tw, "machine\t%s/%s, %d cores, %s memory\n", runtime.GOOS, runtime.GOARCH, machine.Cores, humanize.IBytes(uint64(machine.Memory)))
	fmt.Fprintf(tw, "processor\t%s\n", strings.Join(features(), " "))
	fmt.Fprintf(tw, "backend\t%s (REGFT_BACKEND chooses)\n", backendState())
	for _, line := range compute.Accelerators() {
		fmt.Fprintf(tw, "accelerators\t%s\n", line)
	}
	fmt.Fprintf(tw, "cache\t%s (REGFT_CACHE chooses)\n", cacheState())
	fmt.Fprintf(tw, "remote\t%s (REGFT_REMOTE or %s chooses)\n", remoteState(), settingsFile)
	return tw.Flush()
}

// backendState is the class of machines that the backend computes as, or why there is none.
func backendState() string {
	if err := compute.Check(""); err != nil {
		return err.Error()
	}
	return compute.Numerics("")
}

// cacheState says where the cache is and how much room it has.
func cacheState() string {
	path, err := cache.DefaultPath()
	if err != nil {
		return "none: " + err.Error()
	}
	free, err := freeSpace(path)
	if err != nil {
		return path
	}
	return path + ", " + humanize.IBytes(free) + " free"
}

// features lists what the processor has of the instructions that tensors profit from.
func features() []string {
	found := []string{}
	for _, f := range []struct {
		name string
		has  bool
	}{
		{"avx2", cpu.X86.HasAVX2}, {"fma", cpu.X86.HasFMA}, {"avx512f", cpu.X86.HasAVX512F}, {"avx512bf16", cpu.X86.HasAVX512BF16},
		{"asimd", cpu.ARM64.HasASIMD}, {"sve", cpu.ARM64.HasSVE},
	} {
		if f.has {
			found = append(found, f.name)
		}
	}
	if len(found) == 0 {
		return []string{"no vector instructions known to regft"}
	}
	return found
}

func (a *app) checkFolders(ctx context.Context, folders []string) error {
	bad := 0
	for _, folder := range folders {
		what, err := checkFolder(ctx, folder)
		if err != nil {
			bad++
			fmt.Fprintf(a.out, "%s: %s: %v\n", folder, what, err)
			continue
		}
		fmt.Fprintf(a.out, "%s: %s\n", folder, what)
	}
	if bad > 0 {
		return exitError{exitFailed, fmt.Errorf("%d of %d folders cannot be used", bad, len(folders))}
	}
	return nil
}

// checkFolder asks the stage type that would read folder what it would read.
func checkFolder(ctx context.Context, folder string) (what string, err error) {
	abs, err := filepath.Abs(folder)
	if err != nil {
		return "path", err
	}
	if _, err := os.Stat(abs); err != nil {
		return "not there", err
	}
	what, stage, with := readerOf(abs)
	if stage == "dataset" {
		return checkPictures(ctx, abs)
	}
	files, size, err := sourcesOf(ctx, stage, with)
	if err != nil {
		return what, err
	}
	return fmt.Sprintf("%s, %d files, %s", what, files, humanize.IBytes(uint64(size))), nil
}

// checkPictures lists the pictures of a folder and decodes every one.
func checkPictures(ctx context.Context, folder string) (what string, err error) {
	l, err := datasets.List(ctx, datasets.Request{Format: "imagefolder", Root: folder})
	if err != nil {
		return "pictures", err
	}
	var bad []error
	for _, s := range l.Samples {
		if err := errors.Join(ctx.Err(), decodes(l, s)); err != nil {
			bad = append(bad, fmt.Errorf("%s: %w", s.Name, err))
		}
		if ctx.Err() != nil {
			return "pictures", ctx.Err()
		}
	}
	what = fmt.Sprintf("pictures, %s in %d classes", plural(len(l.Samples), "file"), len(l.Classes))
	if len(bad) > 0 {
		return what, fmt.Errorf("%d cannot be read, the first of them %w", len(bad), bad[0])
	}
	return strings.Join(append([]string{what}, l.Warnings...), "; "), nil
}

// decodes tells why a picture cannot be read.
func decodes(l *datasets.Listing, s datasets.Sample) error {
	f, err := l.Open(s)
	if err != nil {
		return err
	}
	_, err = picture.Read(f)
	return errors.Join(err, f.Close())
}

// readerOf guesses what folder holds, and gives a stage that reads it.
func readerOf(folder string) (what, stage string, with map[string]any) {
	has := func(name string) bool { _, err := os.Stat(filepath.Join(folder, name)); return err == nil }
	switch {
	case has("model_index.json"):
		return "diffusion checkpoint", "generate", map[string]any{"checkpoint": folder, "classes": []string{"thing"}, "prompt": "{}"}
	case has("config.json"):
		return "CLIP checkpoint", "zeroshot", map[string]any{"checkpoint": folder, "classes": []string{"thing"}, "templates": []string{"{}"}}
	}
	return "pictures", "dataset", nil
}

// sourcesOf decodes a stage's parameters and counts what it would read.
func sourcesOf(ctx context.Context, stage string, with map[string]any) (files int, size int64, err error) {
	t, ok := stages.Lookup(stage)
	if !ok {
		return 0, 0, fmt.Errorf("this build has no stage type %s", stage)
	}
	var n yaml.Node
	if err := n.Encode(with); err != nil {
		return 0, 0, err
	}
	r, problems := t.Decode(&n, stages.Context{})
	if len(problems) > 0 {
		return 0, 0, problems[0]
	}
	for name, value := range with {
		if f, ok := t.Field(name); ok && f.Path { // a path in an input's place, which the engine sets
			t.SetInputs(r, f, []stages.Input{{Path: value.(string)}})
		}
	}
	setPaths(t, r, with)
	sourcer, ok := r.(stages.Sourcer)
	if !ok {
		return 0, 0, errors.New("its stage type reads no files")
	}
	found, err := sourcer.Sources(ctx)
	if err != nil {
		return 0, 0, err
	}
	return measure(found)
}

// setPaths fills parameters that take an artifact or a path with the paths of with.
func setPaths(t stages.Type, r stages.Runner, with map[string]any) {
	for _, f := range t.Fields() {
		if path, ok := with[f.Name].(string); ok && f.Path {
			t.SetInputs(r, f, []stages.Input{{Path: path}})
		}
	}
}

// measure counts the files of sources and their bytes.
func measure(found []stages.Source) (files int, size int64, err error) {
	for _, s := range found {
		for _, name := range s.Files {
			info, err := os.Stat(filepath.Join(s.Root, filepath.FromSlash(name)))
			if err != nil {
				return 0, 0, err
			}
			files, size = files+1, size+info.Size()
		}
	}
	return files, size, nil
}
