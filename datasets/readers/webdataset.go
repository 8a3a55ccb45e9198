package readers

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"regft/datasets"
)

func init() { datasets.Register("webdataset", webDataset{}) }

// webDataset is CLIP-benchmark's layout of shards: SPLIT/{0, 1, …}.tar, as many as SPLIT/nshards.txt says, with KEY.cls, a label, and
// KEY.jpg, .jpeg, .png or .webp one after the other; classnames.txt has the names.
type webDataset struct{}

// shardPictures are the extensions of pictures, the first that a key has counting.
var shardPictures = []string{"webp", "png", "jpg", "jpeg"}

func (webDataset) List(ctx context.Context, r datasets.Request) (*datasets.Listing, error) {
	if r.Split == "" {
		return nil, fmt.Errorf("%w: a folder of shards", datasets.ErrWhichSplit)
	}
	t := &tree{root: r.Root}
	classes, err := datasets.ReadClasses(t.local(classNamesFile))
	if err != nil {
		return nil, err
	}
	shards, err := shardCount(t, r.Split)
	if err != nil {
		return nil, err
	}
	l := &datasets.Listing{Classes: classes}
	for i := range shards {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		shard := path.Join(r.Split, strconv.Itoa(i)+".tar")
		if err := listShard(t, l, shard); err != nil {
			return nil, fmt.Errorf("reading %s: %w", t.local(shard), err)
		}
	}
	l.Skipped = t.skipped
	return l, nil
}

// shardCount reads how many shards of a split count.
func shardCount(t *tree, split string) (int, error) {
	name := path.Join(split, "nshards.txt")
	data, err := os.ReadFile(t.local(name))
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(string(data), "\ufeff")))
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%s: %q: want the number of shards", t.local(name), data)
	}
	return n, nil
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
