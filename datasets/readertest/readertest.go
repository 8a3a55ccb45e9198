// Package readertest is the conformance suite of dataset readers. It runs a reader on golden folders, each a small copy of a dataset's
// layout with expected.json, the listing that the published readers give (testdata/goldens/datasets).
package readertest

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"regft/datasets"
	"regft/datasets/picture"
)

// golden is an expected.json.
type golden struct {
	Format  string
	Root    string
	Classes []string
	Splits  map[string][]row
	SameAs  map[string]string `json:"same_as"`
	Hidden  []row             `json:"hidden_listed"`
	Full    map[string]int    `json:"labels_in_full_copy"` // folder to label, where the published readers shift labels
	Without struct {
		Splits map[string][]row
	} `json:"without_split_file"`
	SplitFile string            `json:"split_file"`
	WiSEFT    map[string]string `json:"wise_ft_layout"` // folder that WiSE-FT's users name, to where it is in this copy
	Projected []int             // of ImageNet's logits i * 7919 mod 1000, what is left for the dataset's classes
	FewShot   []subset          `json:"few_shot"`
	Cases     []testCase

	folder string
}

// row is [path, label, name]; of shards, [shard, key.ext, label, name].
type row struct {
	name  string
	label int
	class string
}

func (r *row) UnmarshalJSON(data []byte) error {
	var parts []any
	if err := json.Unmarshal(data, &parts); err != nil {
		return err
	}
	if len(parts) == 4 {
		parts = append([]any{path.Join(parts[0].(string), parts[1].(string))}, parts[2:]...)
	}
	r.name, r.label = parts[0].(string), int(parts[1].(float64))
	if len(parts) > 2 {
		r.class = parts[2].(string)
	}
	return nil
}

// subset is what a published reader draws of the training pictures, and of those for validation.
type subset struct {
	Reader     string
	Seed       uint64
	Shots      int
	Train, Val []string
	After      []change
}

// testCase is a damage to a copy of the folder, and what the published readers make of it.
type testCase struct {
	Name     string
	Changes  []change
	Outcomes map[string]published
}

// published is what a published reader makes of a damage: by splits with commas between, rows that come and paths that go.
type published struct {
	Error   string
	Same    bool
	Differs map[string]struct {
		Added   []row
		Removed []string
	}
}

// Outcome is what our readers make of a damage: an error, or a listing whose labels are those from before. The listing is the one from
// before, too, unless the rows that a published reader adds and removes are right.
type Outcome struct {
	Error   string // a part of the message
	Warning string // a part of a warning
	Rows    string // the published reader
	Other   bool   // another test looks at it
}

// Cases says what our readers make of damages: format, then name of the case. A case that is not there must be refused, or change
// nothing, as it does in the published readers.
type Cases map[string]map[string]Outcome

// Run runs the suite over every golden folder below `folder`.
func Run(t *testing.T, folder string, cases Cases) {
	paths, err := filepath.Glob(filepath.Join(folder, "*", "expected.json"))
	if err != nil {
		t.Fatal(err)
	}
	if len(paths) == 0 {
		t.Fatalf("no goldens in %s", folder)
	}
	for _, p := range paths {
		data, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		g := &golden{folder: filepath.Dir(p)}
		if err := json.Unmarshal(data, g); err != nil {
			t.Fatalf("%s: %v", p, err)
		}
		g.fullLabels()
		t.Run(g.Format, func(t *testing.T) { g.run(t, cases[g.Format]) })
	}
}

// fullLabels replaces labels that are ranks among the folders present by those of a full copy.
func (g *golden) fullLabels() {
	for _, rows := range g.Splits {
		for i, r := range rows {
			if label, ok := g.Full[path.Base(path.Dir(r.name))]; ok {
				rows[i].label = label
			}
		}
	}
}

func (g *golden) run(t *testing.T, cases map[string]Outcome) {
	root := filepath.Join(g.folder, g.Root)
	for split, rows := range g.Splits {
		t.Run(split, func(t *testing.T) { g.check(t, root, split, rows) })
	}
	for split, other := range g.SameAs {
		t.Run(split, func(t *testing.T) { g.check(t, root, split, g.Splits[other]) })
	}
	for split, rows := range g.Without.Splits {
		t.Run("without a split file/"+split, func(t *testing.T) {
			place := g.copied(t, []change{{Op: "delete", Path: g.SplitFile}})
			compare(t, list(t, g.Format, place, split), rows)
		})
	}
	for name, place := range g.WiSEFT {
		t.Run("WiSE-FT's "+name, func(t *testing.T) { g.checkWiSEFT(t, root, place) })
	}
	for _, s := range g.FewShot {
		t.Run(fmt.Sprintf("%d shots of %s with seed %d", s.Shots, s.Reader, s.Seed), func(t *testing.T) { g.checkSubset(t, s) })
	}
	for _, c := range g.Cases {
		t.Run(c.Name, func(t *testing.T) { g.checkCase(t, c, cases) })
	}
	g.checkProjection(t, root)
	g.checkCancelled(t, root)
}

// checkProjection projects logits of ImageNet's classes onto the dataset's.
func (g *golden) checkProjection(t *testing.T, root string) {
	if g.Projected == nil {
		return
	}
	l := list(t, g.Format, root, "test")
	projection, err := datasets.Projection(l.Classes, datasets.ImageNetClasses())
	if err != nil {
		t.Fatal(err)
	}
	got := make([]int, len(projection))
	for class, stand := range projection {
		for _, i := range stand {
			got[class] = max(got[class], i*7919%1000)
		}
	}
	if !slices.Equal(got, g.Projected) {
		t.Errorf("projected %v, want %v", got, g.Projected)
	}
}

// check compares a split's listing with the golden's, and opens and decodes every picture.
func (g *golden) check(t *testing.T, root, split string, rows []row) {
	l := list(t, g.Format, root, split)
	compare(t, l, rows)
	checkOrder(t, l)
	for _, s := range l.Samples {
		f, err := l.Open(s)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := picture.Read(f); err != nil {
			t.Errorf("%s: %v", s.Name, err)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		if l.Classes[s.Label].Name != s.Class {
			t.Errorf("%s: class %q, label %d is %q", s.Name, s.Class, s.Label, l.Classes[s.Label].Name)
		}
	}
}

// checkSubset draws a subset. Tip-Adapter's reader draws as CoOp's, but repeats the pictures of classes that have too few: those it does
// not check.
func (g *golden) checkSubset(t *testing.T, s subset) {
	if repeats := len(slices.Compact(sorted(s.Train))) < len(s.Train); repeats {
		return
	}
	root := g.copied(t, s.After)
	for split, want := range map[string][]string{"train": s.Train, "val": s.Val} {
		if want == nil {
			continue
		}
		l, err := datasets.List(context.Background(), datasets.Request{Format: g.Format, Root: root, Split: split, Shots: s.Shots, Seed: s.Seed, CoOp: true})
		if err != nil {
			t.Fatal(err)
		}
		if got := paths(listed(l)); !slices.Equal(sorted(got), sorted(want)) {
			t.Errorf("%s: got %q, want %q", split, got, want)
		}
	}
}

// checkWiSEFT lists the folder that WiSE-FT's users have, in which there is no classnames.txt.
func (g *golden) checkWiSEFT(t *testing.T, root, place string) {
	for split, rows := range g.Splits {
		want := slices.Clone(rows)
		for i := range want {
			if place != "." {
				want[i].name = strings.TrimPrefix(want[i].name, place+"/")
			}
		}
		compare(t, list(t, g.Format, filepath.Join(root, place), split), want)
	}
}

func list(t *testing.T, format, root, split string) *datasets.Listing {
	t.Helper()
	l, err := datasets.List(context.Background(), datasets.Request{Format: format, Root: root, Split: split})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func rendered(rows []row) []string {
	out := make([]string, len(rows))
	for i, r := range rows {
		out[i] = fmt.Sprintf("%s %d %s", r.name, r.label, r.class)
	}
	slices.Sort(out)
	return out
}

func listed(l *datasets.Listing) []row {
	rows := make([]row, len(l.Samples))
	for i, s := range l.Samples {
		rows[i] = row{s.Name, s.Label, s.Class}
	}
	return rows
}

func compare(t *testing.T, l *datasets.Listing, want []row) {
	t.Helper()
	if got, want := rendered(listed(l)), rendered(want); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// checkOrder checks that samples come class by class in turn, those of a class bytewise by name.
func checkOrder(t *testing.T, l *datasets.Listing) {
	t.Helper()
	rounds := make([]int, len(l.Classes))
	last := make([]string, len(l.Classes))
	round, label := 0, -1
	for _, s := range l.Samples {
		if r := rounds[s.Label]; r < round || r == round && s.Label <= label {
			t.Fatalf("%s of label %d comes too late", s.Name, s.Label)
		} else if r > round {
			round = r
		}
		label = s.Label
		if s.Name < last[s.Label] {
			t.Fatalf("%s comes after %s", s.Name, last[s.Label])
		}
		rounds[s.Label]++
		last[s.Label] = s.Name
	}
}

// checkCase applies a damage to a copy and compares all splits with the listing before.
func (g *golden) checkCase(t *testing.T, c testCase, cases map[string]Outcome) {
	want, ours := cases[c.Name]
	if !ours {
		want = c.published(t)
	}
	if want.Other {
		return
	}
	before := g.Splits
	if c.Changes[0].Op == "delete" && c.Changes[0].Path == g.SplitFile {
		before = g.Without.Splits
	}
	place := g.copied(t, c.Changes)
	var errs, warnings []string
	for split, rows := range before {
		l, err := datasets.List(context.Background(), datasets.Request{Format: g.Format, Root: place, Split: split})
		if err != nil {
			errs = append(errs, err.Error())
			continue
		}
		warnings = append(warnings, l.Warnings...)
		added, removed := g.difference(c.Outcomes[want.Rows], split)
		if want.Error == "" {
			compareChange(t, split, rows, listed(l), added, removed)
		}
	}
	if text := strings.Join(errs, "\n"); (want.Error == "") != (text == "") || !strings.Contains(text, want.Error) {
		t.Fatalf("errors %q, want %q", text, want.Error)
	}
	if text := strings.Join(warnings, "\n"); !strings.Contains(text, want.Warning) {
		t.Fatalf("warnings %q, want %q", text, want.Warning)
	}
}

// difference returns the paths that a published reader adds to a split, and those that it removes.
func (g *golden) difference(p published, split string) (added, removed []string) {
	for splits, d := range p.Differs {
		for _, theirs := range strings.Split(splits, ", ") {
			if _, ours := g.Splits[theirs]; !ours {
				theirs = g.SameAs[theirs]
			}
			if theirs != split {
				continue
			}
			for _, r := range d.Added {
				added = append(added, r.name)
			}
			removed = append(removed, d.Removed...)
			break
		}
	}
	return added, removed
}

// compareChange checks that just those paths came and went, and that what stayed has its label and class still.
func compareChange(t *testing.T, split string, before, after []row, added, removed []string) {
	t.Helper()
	was, is := paths(before), paths(after)
	if got := without(is, was); !slices.Equal(sorted(got), sorted(added)) {
		t.Errorf("%s: added %q, want %q", split, got, added)
	}
	if got := without(was, is); !slices.Equal(sorted(got), sorted(removed)) {
		t.Errorf("%s: removed %q, want %q", split, got, removed)
	}
	labels := map[string]row{}
	for _, r := range before {
		labels[r.name] = r
	}
	for _, r := range after {
		if old, ok := labels[r.name]; ok && r != old {
			t.Errorf("%s: %v has become %v", split, old, r)
		}
	}
}

func paths(rows []row) []string {
	out := make([]string, len(rows))
	for i, r := range rows {
		out[i] = r.name
	}
	return out
}

func sorted(list []string) []string { return slices.Sorted(slices.Values(list)) }

// without returns the elements of a that b has fewer of.
func without(a, b []string) (rest []string) {
	left := map[string]int{}
	for _, v := range b {
		left[v]++
	}
	for _, v := range a {
		if left[v]--; left[v] < 0 {
			rest = append(rest, v)
		}
	}
	return rest
}

// published is the published readers' outcome, if they refuse the damage or do not mind.
func (c testCase) published(t *testing.T) Outcome {
	t.Helper()
	refused, same := false, false
	for _, o := range c.Outcomes {
		refused, same = refused || o.Error != "", same || o.Same
	}
	if refused == same {
		t.Fatalf("say in Cases what is right: the published readers refuse it, do not mind, or list something else")
	}
	if refused {
		return Outcome{Error: " "}
	}
	return Outcome{}
}

func (g *golden) checkCancelled(t *testing.T, root string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for split := range g.Splits {
		if _, err := datasets.List(ctx, datasets.Request{Format: g.Format, Root: root, Split: split}); err == nil {
			t.Errorf("listing %s goes on though its context is cancelled", split)
		}
	}
}
