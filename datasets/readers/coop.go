package readers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/text/unicode/norm"

	"regft/datasets"
)

func init() { datasets.Register("coop", coop{}) }

// item is one picture of a split: its path below the root, its label, its class's name.
type item struct {
	path  string
	label int
	class string
}

// splits are a dataset's pictures by split: train, val and test.
type splits map[string][]item

var splitNames = []string{"train", "val", "test"}

// coop is any dataset with one split file of CoOp's format in its folder, as CaFo's generated sets have (dalle_*.json, sd_*.json). Paths in
// it start at the file's folder, or at the one folder beside it in which they are found.
type coop struct{}

// AnyFolder says that folders are no sign of the layout.
func (coop) AnyFolder() {}

func (coop) List(ctx context.Context, r datasets.Request) (*datasets.Listing, error) {
	t := &tree{root: r.Root}
	file, err := onlySplitFile(ctx, t)
	if err != nil {
		return nil, err
	}
	folder, err := pictureFolder(ctx, t, file)
	if err != nil {
		return nil, err
	}
	return splitFile{images: folder, file: file}.List(ctx, r)
}

// onlySplitFile finds the split file, in the root or in a folder of it.
func onlySplitFile(ctx context.Context, t *tree) (string, error) {
	found, err := t.splitFiles(ctx)
	if err != nil {
		return "", err
	}
	if len(found) != 1 {
		return "", fmt.Errorf("want one split file (split_*.json, dalle_*.json or sd_*.json), there are %d: %s", len(found), datasets.Names(found))
	}
	return found[0], nil
}

// splitFiles are the files in the root and in its folders that are called as split files are.
func (t *tree) splitFiles(ctx context.Context) ([]string, error) {
	entries, err := t.read(ctx, ".")
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if e.folder {
			inner, err := t.read(ctx, e.path)
			if err != nil {
				return nil, err
			}
			entries = append(entries, inner...)
		}
	}
	var found []string
	for _, e := range entries {
		for _, pattern := range []string{"split_*.json", "dalle_*.json", "sd_*.json"} {
			if ok, _ := path.Match(pattern, e.name()); ok && !e.folder {
				found = append(found, e.path)
			}
		}
	}
	return found, nil
}

// pictureFolder finds the folder at which the paths of a split file start, by its first picture.
func pictureFolder(ctx context.Context, t *tree, file string) (string, error) {
	s, err := splitFile{images: ".", file: file}.read(t)
	if err != nil {
		return "", err
	}
	first := ""
	for _, name := range splitNames {
		if first == "" && len(s[name]) > 0 {
			first = s[name][0].path
		}
	}
	home := path.Dir(file)
	entries, err := t.read(ctx, home)
	if err != nil {
		return "", err
	}
	for _, e := range append([]entry{{home, true}}, entries...) {
		if e.folder && t.exists(path.Join(e.path, first)) {
			return e.path, nil
		}
	}
	return "", fmt.Errorf("%s lists %s, which is neither beside it nor in a folder there", t.local(file), first)
}

// splitFile is a dataset in the layout that CoOp's users have: a folder of pictures, and a split file that lists them.
type splitFile struct {
	images   string // folder below the root at which the listed paths start
	file     string
	fallback func(ctx context.Context, t *tree) (splits, error) // makes the splits where there is no such file
	format   string                                             // whose classes are known by name, where folders are the splits
	called   map[string]string                                  // folders that are called otherwise than their classes
}

func (f splitFile) List(ctx context.Context, r datasets.Request) (*datasets.Listing, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := checkSplit(r, splitNames...); err != nil {
		return nil, err
	}
	t := &tree{root: r.Root}
	s, err := f.read(t)
	l := &datasets.Listing{}
	if errors.Is(err, fs.ErrNotExist) && f.fallback != nil {
		if others, _ := (&tree{root: r.Root}).splitFiles(ctx); len(others) > 0 {
			return nil, fmt.Errorf("there is %s, and no %s: is it another dataset, or was the file renamed? format: coop takes any (%w)", t.local(others[0]), f.file, fs.ErrNotExist)
		}
		l.Warnings = append(l.Warnings, fmt.Sprintf("there is no %s: the splits are drawn as CoOp draws them with seed 1; published numbers are on the published file's", f.file))
		if s, err = f.fallback(ctx, t); err != nil {
			return f.byFolders(ctx, r, err)
		}
	}
	if err != nil {
		return nil, err
	}
	if l.Classes, err = classesOf(s, f.images); err != nil {
		return nil, err
	}
	if len(s[r.Split]) == 0 {
		return nil, fmt.Errorf("%w: %s lists nothing as %s", datasets.ErrNoSplit, t.local(f.file), r.Split)
	}
	if l.Samples, err = t.samples(s, r.Split); err != nil {
		return nil, err
	}
	l.Skipped = t.skipped
	return l, nil
}

// byFolders lists a copy that has neither split file nor what it could be drawn from, as err says.
func (f splitFile) byFolders(ctx context.Context, r datasets.Request, err error) (*datasets.Listing, error) {
	l, inFolders := classFoldersOf(ctx, &tree{root: r.Root}, f.format, f.images, f.called, r.Split)
	switch {
	case !errors.Is(inFolders, errNoClassFolders):
		return l, inFolders
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("there is neither %s nor what the splits could be drawn from: %w; a copy with a folder for each class, whatever it is called, is of format imagefolder", f.file, err)
	}
	return nil, err
}

// samples returns the pictures of a split, all of which must be there.
func (t *tree) samples(s splits, split string) ([]datasets.Sample, error) {
	var samples []datasets.Sample
	var missing []string
	for _, it := range s[split] {
		if !t.exists(it.path) {
			missing = append(missing, it.path)
		}
		samples = append(samples, datasets.Sample{Name: it.path, Label: it.label})
	}
	if missing != nil {
		return nil, fmt.Errorf("%d of the %d pictures of %s are missing: %s%s", len(missing), len(samples), split, datasets.Names(missing), t.instead(missing[0]))
	}
	return samples, nil
}

// instead says what lies in a missing picture's place: a file whose name differs in case, encoding or extension, or, where its folder is
// missing, a folder that is called nearly so or an archive that may hold it.
func (t *tree) instead(missing string) string {
	folder, lacking := path.Dir(missing), ""
	for !t.exists(folder) && folder != "." {
		missing, folder = folder, path.Dir(folder)
		lacking = fmt.Sprintf("; there is no folder %s", t.local(missing))
	}
	entries, err := os.ReadDir(t.local(folder))
	if err != nil {
		return ""
	}
	name := path.Base(missing)
	var folders []string
	for _, e := range entries {
		switch {
		case lacking == "" && alike(stem(name), stem(e.Name())):
			return fmt.Sprintf("; there is %q", path.Join(folder, e.Name()))
		case lacking != "" && !e.IsDir() && strings.HasPrefix(strings.ToLower(e.Name()), strings.ToLower(name)+".") && slices.Contains(archives, path.Ext(e.Name())):
			return fmt.Sprintf("%s: unpack %s", lacking, t.local(path.Join(folder, e.Name())))
		case e.IsDir():
			folders = append(folders, e.Name())
		}
	}
	if near := datasets.Nearest(name, folders); lacking != "" && near != "" {
		return fmt.Sprintf("%s: is it %q?", lacking, path.Join(folder, near))
	}
	return lacking
}

// stem is a file's name without its extension.
func stem(name string) string { return strings.TrimSuffix(name, path.Ext(name)) }

// archives are the extensions of what datasets are downloaded in.
var archives = []string{".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".rar", ".7z"}

// alike tells whether names differ in case and encoding alone.
func alike(a, b string) bool { return strings.EqualFold(norm.NFC.String(a), norm.NFC.String(b)) }

// read reads the split file.
func (f splitFile) read(t *tree) (splits, error) {
	data, err := os.ReadFile(t.local(f.file))
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(string(data), "\ufeff") {
		return nil, fmt.Errorf("%s begins with a byte order mark: save it as UTF-8 without one", t.local(f.file))
	}
	var lists map[string]json.RawMessage
	if err := json.Unmarshal(data, &lists); err != nil {
		return nil, fmt.Errorf("reading %s: %w: is it whole? Get it anew", t.local(f.file), err)
	}
	out := splits{}
	for _, name := range splitNames {
		var rows [][3]any
		if lists[name] == nil {
			return nil, fmt.Errorf("%s has no %q", t.local(f.file), name)
		}
		if err := json.Unmarshal(lists[name], &rows); err != nil {
			return nil, fmt.Errorf("reading %s: %s: want a list of [path, label, class]: %w", t.local(f.file), name, err)
		}
		for i, row := range rows {
			it, err := f.item(row)
			if err != nil {
				return nil, fmt.Errorf("%s: %s[%d]: %w", t.local(f.file), name, i, err)
			}
			out[name] = append(out[name], it)
		}
	}
	return out, nil
}

// item reads a row: [path, label, class], of which the label may be a text.
func (f splitFile) item(row [3]any) (item, error) {
	name, named := row[0].(string)
	class, classed := row[2].(string)
	if !named || !classed || class == "" {
		return item{}, fmt.Errorf("%v: want [path, label, class]", row)
	}
	switch {
	case fs.ValidPath(name) && !strings.Contains(name, `\`):
	case strings.Contains(name, `\`):
		return item{}, fmt.Errorf(`%q: want a path within the dataset, with slashes: it has those of Windows, write / for each \`, name)
	case path.IsAbs(name):
		return item{}, fmt.Errorf("%q: want a path within the dataset, with slashes: take away what is above the folder %s", name, f.images)
	default:
		return item{}, fmt.Errorf("%q: want a path within the dataset, with slashes", name)
	}
	label, err := strconv.Atoi(fmt.Sprint(row[1]))
	if number, ok := row[1].(float64); ok {
		label, err = int(number), nil
		if number != math.Trunc(number) {
			err = fmt.Errorf("%v is no whole number", number)
		}
	}
	if err != nil || label < 0 || label > mostClasses {
		return item{}, fmt.Errorf("label %v: want a whole number from 0 on", row[1])
	}
	return item{path.Join(f.images, name), label, class}, nil
}

// mostClasses bounds labels, so that a wild number is an error and no gigabytes of class list.
const mostClasses = 1_000_000

// classesOf returns the class of every label that any split has. Its folder, below the folder `images`, is the one that all its pictures
// and no others are in; where there is no such folder, it is the name.
func classesOf(s splits, images string) ([]datasets.Class, error) {
	var classes []datasets.Class
	folders := folderOwners{}
	for _, split := range splitNames {
		for _, it := range s[split] {
			for len(classes) <= it.label {
				classes = append(classes, datasets.Class{})
			}
			c := &classes[it.label]
			if c.Name != "" && c.Name != it.class {
				return nil, fmt.Errorf("label %d is %q and, at %s of %s, %q", it.label, c.Name, it.path, split, it.class)
			}
			*c = datasets.Class{Folder: strings.TrimPrefix(path.Dir(it.path), images+"/"), Name: it.class}
			folders.add(c.Folder, it.label)
		}
	}
	for label := range classes {
		c := &classes[label]
		if c.Name == "" {
			c.Name = fmt.Sprintf("class %d", label) // no picture has this label
		}
		if c.Folder == "" || !folders.alone(c.Folder, label) {
			c.Folder = c.Name
		}
	}
	return classes, nil
}

// folderOwners says which labels' pictures a folder holds, and which folders hold a label's pictures.
type folderOwners map[string]map[int]bool

func (f folderOwners) add(folder string, label int) {
	if f[folder] == nil {
		f[folder] = map[int]bool{}
	}
	f[folder][label] = true
}

// alone reports whether a folder holds the pictures of one label, and that label's pictures are in no other.
func (f folderOwners) alone(folder string, label int) bool {
	for other, labels := range f {
		if labels[label] && (other != folder || len(labels) > 1) {
			return false
		}
	}
	return true
}
