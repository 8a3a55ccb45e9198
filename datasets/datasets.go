// Package datasets lists the pictures of a dataset and their labels, whatever layout the dataset was published in; packages below it
// decode, preprocess and batch them.
//
// A label comes from a class's identity: its folder's name in the official list, or the number in a split file, never a folder's rank
// among those that happen to be there. So a missing folder never shifts the labels of others.
package datasets

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

	"github.com/agnivade/levenshtein"
	"golang.org/x/text/unicode/norm"
)

// Class is one class; its label is its position in a list of classes. Several classes may have one name (ImageNet has two called
// missile), so Folder identifies it: the folder or id that it has in the published dataset, or else its name.
type Class struct {
	Folder string
	Name   string
}

// ErrWhichSplit says that a dataset has splits, and that the request names none.
var ErrWhichSplit = errors.New("say which split")

// ErrNoSplit says that a dataset lacks the split that is asked for, which others of its layout have.
var ErrNoSplit = errors.New("there is no such split")

// Sample is one labelled picture.
type Sample struct {
	Name  string // path below the dataset's root, with slashes; in a shard, SHARD/KEY.EXTENSION
	Label int    // position in Listing.Classes
	Class string // the class's name
	Part  *Part  // where the picture is, if it is no file of its own
}

// Part is a part of a file: a member of a shard.
type Part struct {
	File         string // path below the root, with slashes
	Offset, Size int64  // in bytes
}

// Listing is what a dataset, or a split of it, holds.
type Listing struct {
	Root     string
	Classes  []Class
	Samples  []Sample
	Skipped  Skipped
	Warnings []string // what a user should know, though the listing is right
}

// Skipped counts what was passed over.
type Skipped struct {
	Hidden int // files and folders that systems hide: .DS_Store, ._x.jpg, __MACOSX, …
	Other  int // files that are no pictures by their name
}

// Open opens a sample's picture. The caller closes it.
func (l *Listing) Open(s Sample) (io.ReadCloser, error) {
	if s.Part == nil {
		return os.Open(filepath.Join(l.Root, filepath.FromSlash(s.Name)))
	}
	f, err := os.Open(filepath.Join(l.Root, filepath.FromSlash(s.Part.File)))
	if err != nil {
		return nil, err
	}
	return &section{io.NewSectionReader(f, s.Part.Offset, s.Part.Size), f}, nil
}

type section struct {
	io.Reader
	io.Closer
}

// Request says what to list.
type Request struct {
	Format  string  // one of Formats()
	Root    string  // the dataset's folder
	Split   string  // train, val or test; empty where a dataset has no splits
	Classes []Class // the classes wanted, which then have these labels; nil for the dataset's own

	Skip     int    // leaves out the first pictures of each class, in the order of SkipSeed
	SkipSeed uint64 // the spec's seed
	Shots    int    // keeps the first of what is left, in the order of Seed; 0 keeps all
	Seed     uint64
	CoOp     bool // Shots are those that CoOp draws with Seed: see coopShots
}

// List lists a dataset's samples class by class in turn: the first of every class by name, then the second of every class, and so on.
func List(ctx context.Context, r Request) (*Listing, error) {
	reader, err := lookup(r.Format)
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(r.Root); err != nil {
		return nil, err
	} else if !info.IsDir() {
		return nil, fmt.Errorf("%s is a file: a dataset is a folder", r.Root)
	}
	l, err := reader.List(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("listing %s as %s: %w%s", r.Root, r.Format, err, deeper(ctx, reader, r))
	}
	l.Root = r.Root
	if r.CoOp {
		if err := l.coopShots(ctx, reader, r); err != nil {
			return nil, fmt.Errorf("listing %s as %s: %w", r.Root, r.Format, err)
		}
		r.Shots = 0
	}
	if r.Classes != nil {
		if err := l.choose(r.Classes); err != nil {
			return nil, fmt.Errorf("listing %s as %s: %w", r.Root, r.Format, err)
		}
	}
	if len(l.Samples) == 0 {
		return nil, fmt.Errorf("listing %s as %s: no pictures%s", r.Root, r.Format, deeper(ctx, reader, r))
	}
	l.warnOfEmptyClasses()
	if err := l.subset(r); err != nil {
		return nil, fmt.Errorf("listing %s as %s: %w", r.Root, r.Format, err)
	}
	l.inTurn()
	for i := range l.Samples {
		l.Samples[i].Class = l.Classes[l.Samples[i].Label].Name
	}
	return l, nil
}

// AnyFolder is a Reader of layouts that hardly any folder is not in.
type AnyFolder interface{ AnyFolder() }

// deeper looks for the layout in the folders of r's root and in those of these, as archives unpack: a hint for an error.
func deeper(ctx context.Context, reader Reader, r Request) string {
	if _, any := reader.(AnyFolder); any {
		return ""
	}
	if inner := findDeeper(ctx, reader, r, 2); inner != "" {
		return fmt.Sprintf("; the layout is that of %s: give this folder as path", inner)
	}
	return ""
}

func findDeeper(ctx context.Context, reader Reader, r Request, levels int) string {
	entries, err := os.ReadDir(r.Root)
	if err != nil || levels == 0 {
		return ""
	}
	folders := slices.DeleteFunc(entries, func(e os.DirEntry) bool {
		return !e.IsDir() || strings.HasPrefix(e.Name(), ".") || e.Name() == "__MACOSX"
	})
	const most = 4 // folders of classes are more
	for _, e := range folders[:min(len(folders), most)] {
		inner := r
		inner.Root = filepath.Join(r.Root, e.Name())
		if l, err := reader.List(ctx, inner); err == nil && len(l.Samples) > 0 {
			return inner.Root
		}
		if found := findDeeper(ctx, reader, inner, levels-1); found != "" {
			return found
		}
	}
	return ""
}

// choose keeps the classes wanted and gives them the labels that they have in that list.
func (l *Listing) choose(wanted []Class) error {
	labels := make(map[int]int, len(wanted)) // old to new
	classes := slices.Clone(wanted)
	var missing []string
	for label, c := range wanted {
		old, err := l.find(c)
		if err != nil {
			return err
		}
		if old < 0 {
			missing = append(missing, c.Folder)
			continue
		}
		if other, twice := labels[old]; twice {
			return fmt.Errorf("the class list has %q as labels %d and %d: write FOLDER<TAB>NAME to tell classes of one name apart", c.Folder, other, label)
		}
		labels[old] = label
		if c.Name == c.Folder { // the list says no name
			classes[label].Name = l.Classes[old].Name
		}
	}
	if missing != nil {
		return fmt.Errorf("no class folder for %s of the class list (folders must be named as there, letter for letter)%s", Names(missing), l.likely(missing, labels))
	}
	return l.relabel(classes, labels)
}

// likely names, for the first classes that are missing, the folder that is most alike among those that no class has; all that is
// spelt alike is shown as it is encoded.
func (l *Listing) likely(missing []string, used map[int]int) string {
	var free []string
	for label, c := range l.Classes {
		if _, is := used[label]; !is {
			free = append(free, c.Folder)
		}
	}
	var hints []string
	for _, name := range missing[:min(len(missing), 3)] {
		if near := Nearest(name, free); near != "" {
			quote := strconv.Quote
			if norm.NFC.String(name) == norm.NFC.String(near) {
				quote = strconv.QuoteToASCII
			}
			hints = append(hints, fmt.Sprintf("%s for %s?", quote(near), quote(name)))
		}
	}
	if hints == nil {
		return ""
	}
	return "; is it " + strings.Join(hints, " ")
}

// Nearest returns the one of some names that a name most likely means: one that differs in case, spaces, underscores or encoding alone,
// else the one with the fewest other letters, if they are less than half; "" for none.
func Nearest(name string, known []string) string {
	best, fewest := "", len(name)/2+1
	for _, other := range known {
		d := levenshtein.ComputeDistance(plain(name), plain(other))
		if d < fewest {
			best, fewest = other, d
		}
	}
	return best
}

// plain is a name without what people change without meaning it.
func plain(name string) string {
	return strings.NewReplacer("_", "", " ", "", "-", "").Replace(strings.ToLower(norm.NFC.String(name)))
}

// find returns the label of a class: by folder, else by a name that one class alone has; -1 if there is none.
func (l *Listing) find(c Class) (int, error) {
	label := -1
	for i, own := range l.Classes {
		if own.Folder == c.Folder {
			return i, nil
		}
		if own.Name != c.Folder {
			continue
		}
		if label >= 0 {
			return 0, fmt.Errorf("the name %q stands for the folders %s and %s: write FOLDER<TAB>NAME in the class list", c.Folder, l.Classes[label].Folder, own.Folder)
		}
		label = i
	}
	return label, nil
}

// relabel replaces the classes, by a map from old labels to new ones; samples of other classes are dropped.
func (l *Listing) relabel(classes []Class, labels map[int]int) error {
	var extra []string
	for old, c := range l.Classes {
		if _, wanted := labels[old]; !wanted {
			extra = append(extra, c.Folder)
		}
	}
	if extra != nil {
		l.Warnings = append(l.Warnings, fmt.Sprintf("%d classes are not in the class list and left out: %s", len(extra), Names(extra)))
	}
	l.Classes = classes
	counts := make([]int, len(classes))
	l.Samples = slices.DeleteFunc(l.Samples, func(s Sample) bool { _, wanted := labels[s.Label]; return !wanted })
	for i := range l.Samples {
		l.Samples[i].Label = labels[l.Samples[i].Label]
		counts[l.Samples[i].Label]++
	}
	for label, n := range counts {
		if n == 0 {
			return fmt.Errorf("class %q of the class list has no pictures", classes[label].Folder)
		}
	}
	return nil
}

// warnOfEmptyClasses names the classes of the official list that have no pictures.
func (l *Listing) warnOfEmptyClasses() {
	seen := make([]bool, len(l.Classes))
	for _, s := range l.Samples {
		seen[s.Label] = true
	}
	var missing []string
	for label, c := range l.Classes {
		if !seen[label] {
			missing = append(missing, c.Folder)
		}
	}
	if missing != nil {
		l.Warnings = append(l.Warnings, fmt.Sprintf("%d of %d classes have no pictures: %s", len(missing), len(l.Classes), Names(missing)))
	}
}

// Names joins names for a message, the first ten of them, quoted.
func Names(names []string) string {
	const most = 10
	quoted := make([]string, 0, most+1)
	for _, n := range names[:min(len(names), most)] {
		quoted = append(quoted, fmt.Sprintf("%q", n))
	}
	if more := len(names) - most; more > 0 {
		quoted = append(quoted, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(quoted, ", ")
}
