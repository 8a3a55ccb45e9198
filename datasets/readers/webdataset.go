package readers

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"regft/datasets"
)

func init() { datasets.Register("webdataset", webDataset{}) }

// webDataset is CLIP-benchmark's layout of shards: SPLIT/{0, 1, …}.tar, as many as SPLIT/nshards.txt says, with KEY.cls, a label, and
// KEY.jpg, .jpeg, .png or .webp one after the other; classnames.txt has the names. Without an nshards.txt the shards are all .tar files
// of the folder, by name, as others write them.
type webDataset struct{}

// shardPictures are the extensions of pictures, the first that a key has counting.
var shardPictures = []string{"webp", "png", "jpg", "jpeg"}

func (webDataset) List(ctx context.Context, r datasets.Request) (*datasets.Listing, error) {
	if r.Split == "" {
		return nil, fmt.Errorf("%w: a folder of shards", datasets.ErrWhichSplit)
	}
	t := &tree{root: r.Root}
	classes, err := datasets.ReadClasses(t.local(classNamesFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("shards hold no names: write them to %s, one class a line, in the order of the labels (%w)", t.local(classNamesFile), fs.ErrNotExist)
	}
	if err != nil {
		return nil, err
	}
	shards, err := shards(ctx, t, r.Split)
	if err != nil {
		return nil, err
	}
	l := &datasets.Listing{Classes: classes}
	for _, shard := range shards {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := listShard(t, l, shard); err != nil {
			return nil, fmt.Errorf("reading %s: %w", t.local(shard), err)
		}
	}
	l.Skipped = t.skipped
	return l, nil
}

// shards are those of a split that count.
func shards(ctx context.Context, t *tree, split string) ([]string, error) {
	name := path.Join(split, "nshards.txt")
	data, err := os.ReadFile(t.local(name))
	if errors.Is(err, fs.ErrNotExist) {
		return t.tarFiles(ctx, split)
	}
	if err != nil {
		return nil, err
	}
	n, err := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(string(data), "\ufeff")))
	if err != nil || n < 0 {
		return nil, fmt.Errorf("%s: %q: want the number of shards", t.local(name), data)
	}
	out := make([]string, n)
	for i := range out {
		out[i] = path.Join(split, strconv.Itoa(i)+".tar")
	}
	return out, nil
}

// tarFiles lists the .tar files of a folder.
func (t *tree) tarFiles(ctx context.Context, folder string) ([]string, error) {
	entries, err := t.read(ctx, folder)
	if err != nil {
		return nil, err
	}
	var out, compressed []string
	for _, e := range entries {
		switch {
		case e.folder:
		case path.Ext(e.path) == ".tar":
			out = append(out, e.path)
		case strings.HasSuffix(stem(e.path), ".tar"), path.Ext(e.path) == ".tgz":
			compressed = append(compressed, e.path)
		}
	}
	if compressed != nil {
		return nil, fmt.Errorf("%s is compressed, and pictures are read where they lie: unpack it to a .tar file", t.local(compressed[0]))
	}
	if out == nil {
		return nil, fmt.Errorf("%s has no shards: want .tar files", t.local(folder))
	}
	return out, nil
}

// group is the members of a shard with one key.
type group struct {
	key   string
	label int
	parts map[string]*datasets.Part // by extension
}

func listShard(t *tree, l *datasets.Listing, shard string) error {
	f, err := os.Open(t.local(shard))
	if err != nil {
		return err
	}
	defer f.Close() // only read
	r := tar.NewReader(f)
	var g group
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return g.add(l, shard)
		}
		if err != nil {
			return err
		}
		key, extension, ok := t.member(h)
		if !ok {
			continue
		}
		if key != g.key {
			if err := g.add(l, shard); err != nil {
				return err
			}
			g = group{key: key, label: -1, parts: map[string]*datasets.Part{}}
		}
		if err := g.take(r, f, h, shard, extension, len(l.Classes)); err != nil {
			return err
		}
	}
}

// member splits a member's name into key and extension: at the first dot of its last part, the extension in lower case. Folders, hidden
// files, files without an extension and names such as __meta__ are passed over.
func (t *tree) member(h *tar.Header) (key, extension string, ok bool) {
	if h.Typeflag != tar.TypeReg {
		return "", "", false
	}
	folder, base := path.Split(h.Name)
	top, _, _ := strings.Cut(h.Name, "/")
	stem, extension, dotted := strings.Cut(base, ".")
	switch {
	case strings.HasPrefix(base, "."):
		t.skipped.Hidden++
		return "", "", false
	case !dotted || strings.HasPrefix(top, "__") && strings.HasSuffix(top, "__"):
		t.skipped.Other++
		return "", "", false
	}
	return folder + stem, strings.ToLower(extension), true
}

// take notes a member of the group.
func (g *group) take(r io.Reader, f io.Seeker, h *tar.Header, shard, extension string, classes int) error {
	if extension == "cls" {
		text, err := io.ReadAll(io.LimitReader(r, 100))
		if err != nil {
			return err
		}
		label, err := strconv.Atoi(strings.TrimSpace(string(text)))
		if err != nil || label < 0 || label >= classes {
			return fmt.Errorf("%s: %q: want a label from 0 to %d", h.Name, text, classes-1)
		}
		g.label = label
		return nil
	}
	at, err := f.Seek(0, io.SeekCurrent) // the reader stands at the member's first byte
	if err != nil {
		return err
	}
	g.parts[extension] = &datasets.Part{File: shard, Offset: at, Size: h.Size}
	return nil
}

// add makes a sample of a group.
func (g *group) add(l *datasets.Listing, shard string) error {
	if g.key == "" {
		return nil
	}
	i := slices.IndexFunc(shardPictures, func(e string) bool { return g.parts[e] != nil })
	switch {
	case i < 0:
		return fmt.Errorf("the key %q has no %s; are its members not one after the other, or is there a dot in the key?", g.key, strings.Join(shardPictures, ", "))
	case g.label < 0:
		return fmt.Errorf("the key %q has no .cls", g.key)
	}
	extension := shardPictures[i]
	l.Samples = append(l.Samples, datasets.Sample{Name: path.Join(shard, g.key+"."+extension), Label: g.label, Part: g.parts[extension]})
	return nil
}
