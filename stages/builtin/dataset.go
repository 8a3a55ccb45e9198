package builtin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"regft/cache"
	"regft/datasets"
	_ "regft/datasets/readers" // registers the formats
	"regft/stages"
)

var _ = stages.Register[Dataset](stages.Type{
	Name: "dataset", Version: 1, Out: stages.Images,
	Doc: "Lists pictures of the user's, where they are.",
})

// Dataset is a folder of pictures in one of the published layouts.
type Dataset struct {
	Format  string            `yaml:"format" enum:"imagefolder,coop,imagenet,imagenet_v2,imagenet_r,imagenet_a,imagenet_sketch,objectnet,webdataset,caltech101,dtd,eurosat,fgvcaircraft,food101,flowers102,oxfordpets,stanfordcars,sun397,ucf101" doc:"how the folder is laid out"`
	Path    stages.Path       `yaml:"path" doc:"the folder"`
	Split   string            `yaml:"split" default:"" enum:",train,val,test" doc:"which part"`
	Skip    int               `yaml:"skip" default:"0" min:"0" unit:"pictures" doc:"leaves out the first n of each class in the order of (the spec's seed, class)"`
	Shots   *int              `yaml:"shots" min:"1" unit:"pictures" doc:"takes the first n of the rest of each class in the order of (seed, class); without it, all"`
	Draw    string            `yaml:"draw" default:"nested" enum:"nested,coop" doc:"which pictures shots are: nested, subsets of one seed nest; coop, those that CoOp's readers draw with seed (1, 2 and 3 are published) and Tip-Adapter's and CaFo's with 1: of val at most four, after those of train with the same shots"`
	Seed    stages.Seed       `yaml:"seed" doc:"of shots; the spec's where left out"`
	Classes stages.ListOrFile `yaml:"classes" optional:"true" doc:"the classes in the order of their labels; without them, the folder's own"`

	specSeed stages.Seed
}

// Validate wants shots where something says which.
func (d *Dataset) Validate() error {
	coop := d.Draw == "coop"
	return errors.Join(
		stages.Rule(coop && d.Shots == nil, "draw: coop says which pictures shots are: give shots"),
		stages.Rule(coop && d.Skip > 0, "skip is for nested subsets, and draw: coop has none: leave skip out"),
		stages.Rule(coop && d.Split == "test", "CoOp draws subsets of train and val, and tests on all pictures: leave shots and draw out"),
	)
}

// MetricNames says that the stage counts its pictures.
func (*Dataset) MetricNames() []string { return []string{"images"} }

// SetSpecSeed takes the seed of skip.
func (d *Dataset) SetSpecSeed(s stages.Seed) { d.specSeed = s }

// Draws says that only shots use the seed.
func (d *Dataset) Draws() bool { return d.Shots != nil }

// KeyLines adds the seed that skip draws from.
func (d *Dataset) KeyLines() []string {
	if d.Skip == 0 {
		return nil
	}
	return []string{"skip_seed " + strconv.FormatUint(uint64(d.specSeed), 10)}
}

// NotBuilt names the formats that plan only.
func (d *Dataset) NotBuilt() string {
	if !slices.Contains(datasets.Formats(), d.Format) {
		return "format: " + d.Format
	}
	return ""
}

// list finds the pictures.
func (d *Dataset) list(ctx context.Context) (*datasets.Listing, error) {
	r := datasets.Request{Format: d.Format, Root: string(d.Path), Split: d.Split, Skip: d.Skip, SkipSeed: uint64(d.specSeed), Seed: uint64(d.Seed), CoOp: d.Draw == "coop"}
	if d.Shots != nil {
		r.Shots = *d.Shots
	}
	if !d.Classes.IsZero() {
		var err error
		if r.Classes, err = readClasses(d.Classes); err != nil {
			return nil, err
		}
	}
	return datasets.List(ctx, r)
}

// Sources are the pictures, and which is of what class. Of the folder's other content nothing enters the key.
func (d *Dataset) Sources(ctx context.Context) ([]stages.Source, error) {
	if d.NotBuilt() != "" {
		return []stages.Source{{Param: "path", Value: d.Path}}, nil
	}
	l, err := d.list(ctx)
	if err != nil {
		return nil, err
	}
	var labels []any
	var files []string
	for _, s := range l.Samples {
		files = append(files, fileOf(s))
		labels = append(labels, s.Name, s.Label)
	}
	slices.Sort(files)
	files = slices.Compact(files)
	listing := stages.CanonicalJSON(map[string]any{"classes": classPairs(l.Classes), "labels": labels})
	return []stages.Source{
		{Param: "path", Root: l.Root, Files: files},
		{Param: "listing", Value: cache.SumBytes([]byte(listing)).String()},
	}, nil
}

// fileOf is the file that a sample is, or is a part of.
func fileOf(s datasets.Sample) string {
	if s.Part != nil {
		return s.Part.File
	}
	return s.Name
}

// Run lists the pictures as an artifact; they stay where they are, but those in shards, which are no files, are copied to the store.
func (d *Dataset) Run(ctx context.Context, env *stages.Env) error {
	l, err := d.list(ctx)
	if err != nil {
		return err
	}
	for _, w := range l.Warnings {
		env.Log.Warn().Str("path", l.Root).Msg(w)
	}
	found, err := env.Source("path")
	if err != nil {
		return err
	}
	set := &imageSet{classes: l.Classes}
	for i, s := range l.Samples {
		f, ok := found.Manifest.Lookup(fileOf(s))
		if !ok {
			return fmt.Errorf("%s: %s came after the plan was made: run again", l.Root, s.Name)
		}
		if s.Part != nil {
			if f, err = extract(ctx, env, l, s); err != nil {
				return fmt.Errorf("copying %s of %s: %w", s.Name, l.Root, err)
			}
			env.Host.Progress(i+1, len(l.Samples), "pictures")
		}
		set.images = append(set.images, image{datasets.Row{Label: s.Label, Class: s.Class, Origin: "dataset"}, f})
	}
	env.Host.Metric("images", float64(len(set.images)))
	seed := uint64(0)
	if d.Draws() {
		seed = uint64(d.Seed)
	}
	return set.write(env, "", seed)
}

// extract copies a part of a shard to the store.
func extract(ctx context.Context, env *stages.Env, l *datasets.Listing, s datasets.Sample) (cache.File, error) {
	if err := ctx.Err(); err != nil {
		return cache.File{}, err
	}
	from, err := l.Open(s)
	if err != nil {
		return cache.File{}, err
	}
	defer from.Close()
	content, err := io.ReadAll(from)
	if err != nil {
		return cache.File{}, err
	}
	if int64(len(content)) != s.Part.Size {
		return cache.File{}, fmt.Errorf("the shard ends after %d of its %d bytes", len(content), s.Part.Size)
	}
	path := filepath.Join(env.Dir, "member"+strings.ToLower(filepath.Ext(s.Name)))
	if err := os.WriteFile(path, content, 0o666); err != nil {
		return cache.File{}, err
	}
	return env.Host.Put(ctx, path)
}
