package datasets

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// fixed is a reader that lists what it is told to.
type fixed struct{ listing Listing }

func (f fixed) List(context.Context, Request) (*Listing, error) {
	l := f.listing
	l.Samples = slices.Clone(l.Samples)
	return &l, nil
}

// register makes a format of a listing for one test.
func register(t interface{ Cleanup(func()) }, l Listing) string {
	name := fmt.Sprintf("test-%d", len(readers))
	Register(name, fixed{l})
	t.Cleanup(func() { delete(readers, name) })
	return name
}

func class(names ...string) (classes []Class) {
	for _, n := range names {
		folder, name, both := strings.Cut(n, "=")
		if !both {
			name = folder
		}
		classes = append(classes, Class{folder, name})
	}
	return classes
}

func samples(counts ...int) (all []Sample) {
	for label, n := range counts {
		for i := range n {
			all = append(all, Sample{Name: fmt.Sprintf("%c/%02d.png", 'a'+label, i), Label: label})
		}
	}
	return all
}

func sampleNames(l *Listing) (names []string) {
	for _, s := range l.Samples {
		names = append(names, s.Name)
	}
	return names
}

func TestListTakesClassesInTurn(t *testing.T) {
	l, err := List(context.Background(), Request{Format: register(t, Listing{Classes: class("a", "b=B", "c"), Samples: samples(3, 1, 2)}), Root: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(sampleNames(l), " "); got != "a/00.png b/00.png c/00.png a/01.png c/01.png a/02.png" {
		t.Error(got)
	}
	if l.Samples[1].Class != "B" {
		t.Errorf("class %q", l.Samples[1].Class)
	}
}

func TestListOfWantedClasses(t *testing.T) {
	format := register(t, Listing{Classes: class("n1=missile", "n2=missile", "n3=fox", "n4=empty"), Samples: samples(2, 2, 1, 0)})
	for _, c := range []struct {
		wanted  []Class
		want    string // label:name of every sample
		problem string
	}{
		{class("n3", "n1"), "0:c/00.png 1:a/00.png 1:a/01.png", ""},
		{class("fox", "n2"), "0:c/00.png 1:b/00.png 1:b/01.png", ""},
		{class("missile"), "", `stands for the folders n1 and n2`},
		{class("n1", "dog", "cat"), "", `"dog", "cat"`},
		{class("n3", "fox"), "", "labels 0 and 1"},
		{class("n4"), "", `"n4" of the class list has no pictures`},
	} {
		l, err := List(context.Background(), Request{Format: format, Root: t.TempDir(), Classes: c.wanted})
		if c.problem != "" {
			if err == nil || !strings.Contains(err.Error(), c.problem) {
				t.Errorf("%v: got %v, want %q", c.wanted, err, c.problem)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range l.Samples {
			got = append(got, fmt.Sprintf("%d:%s", s.Label, s.Name))
		}
		slices.Sort(got)
		if strings.Join(got, " ") != c.want {
			t.Errorf("%v: got %v, want %s", c.wanted, got, c.want)
		}
		if len(l.Warnings) != 1 || !strings.Contains(l.Warnings[0], "2 classes are not in the class list") {
			t.Errorf("warnings %q", l.Warnings)
		}
		if l.Classes[0].Name != "fox" {
			t.Errorf("the folder's name is not taken: %q", l.Classes[0].Name)
		}
	}
}

func TestListWarnsOfClassesWithoutPictures(t *testing.T) {
	l, err := List(context.Background(), Request{Format: register(t, Listing{Classes: class("a", "b", "c"), Samples: samples(1, 0, 0)}), Root: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if len(l.Warnings) != 1 || !strings.Contains(l.Warnings[0], `2 of 3 classes have no pictures: "b", "c"`) {
		t.Errorf("%q", l.Warnings)
	}
}

func TestListRefuses(t *testing.T) {
	empty := register(t, Listing{Classes: class("a")})
	some := register(t, Listing{Classes: class("a", "b"), Samples: samples(3, 5)})
	root := t.TempDir()
	file := filepath.Join(root, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for want, r := range map[string]Request{
		`did you mean "` + some[:5]: {Format: "test-", Root: root},
		"no such file":              {Format: some, Root: filepath.Join(root, "nowhere")},
		"is a file":                 {Format: some, Root: file},
		"no pictures":               {Format: empty, Root: root},
		`class "a" has 3 pictures`:  {Format: some, Root: root, Skip: 3},
		"neither can be below zero": {Format: some, Root: root, Shots: -1},
	} {
		if _, err := List(context.Background(), r); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestFewerThanShotsIsAWarning(t *testing.T) {
	l, err := List(context.Background(), Request{Format: register(t, Listing{Classes: class("a", "b"), Samples: samples(3, 5)}), Root: t.TempDir(), Shots: 4})
	if err != nil {
		t.Fatal(err)
	}
	if len(l.Samples) != 7 || len(l.Warnings) != 1 || !strings.Contains(l.Warnings[0], "a (3)") {
		t.Errorf("%d samples, warnings %q", len(l.Samples), l.Warnings)
	}
}

// TestSubsets checks that subsets of one seed nest, that what skip leaves out is what shots takes, and that both are independent of the
// order in which a reader lists.
func TestSubsets(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		counts := rapid.SliceOfN(rapid.IntRange(8, 15), 1, 4).Draw(rt, "counts")
		seed := rapid.Uint64().Draw(rt, "seed")
		all := samples(counts...)
		reversed := slices.Clone(all)
		slices.Reverse(reversed)
		classes := class("a", "b", "c", "d")[:len(counts)]
		format, other := register(t, Listing{Classes: classes, Samples: all}), register(t, Listing{Classes: classes, Samples: reversed})
		defer delete(readers, format)
		defer delete(readers, other)
		take := func(format string, skip, shots int, seed uint64) []string {
			l, err := List(context.Background(), Request{Format: format, Root: os.TempDir(), Skip: skip, SkipSeed: 1, Shots: shots, Seed: seed})
			if err != nil {
				rt.Fatal(err)
			}
			return sampleNames(l)
		}
		few, shots := rapid.IntRange(1, 4).Draw(rt, "few"), rapid.IntRange(4, 7).Draw(rt, "shots")
		small, large := take(format, 0, few, seed), take(format, 0, shots, seed)
		if len(small) != few*len(counts) || !slices.Equal(large, take(other, 0, shots, seed)) {
			rt.Fatal("the wrong number, or another order of listing draws others")
		}
		if len(without(small, large)) > 0 {
			rt.Fatal("subsets of one seed do not nest")
		}
		taken, rest := take(format, 0, few, 1), take(format, few, 0, 0)
		if len(taken)+len(rest) != len(all) || len(without(rest, taken)) != len(rest) {
			rt.Fatal("skip does not leave out what shots takes")
		}
		if kept := take(format, few, 1, seed); len(without(kept, rest)) > 0 {
			rt.Fatal("shots takes what skip leaves out")
		}
	})
}

func without(a, b []string) (rest []string) {
	for _, v := range a {
		if !slices.Contains(b, v) {
			rest = append(rest, v)
		}
	}
	return rest
}

// TestSubsetsNeverChange holds what a seed chose when it was first released: results in people's caches, and in papers, depend on it.
func TestSubsetsNeverChange(t *testing.T) {
	l, err := List(context.Background(), Request{
		Format: register(t, Listing{Classes: class("a", "b"), Samples: samples(9, 9)}), Root: t.TempDir(), Skip: 3, SkipSeed: 1, Shots: 2, Seed: 7})
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(sampleNames(l), " "); got != "a/01.png b/06.png a/02.png b/07.png" {
		t.Error(got)
	}
}

func TestOpenPartOfAFile(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "0.tar"), []byte("0123456789"), 0o600); err != nil {
		t.Fatal(err)
	}
	l := Listing{Root: root}
	f, err := l.Open(Sample{Name: "0.tar/x.png", Part: &Part{File: "0.tar", Offset: 3, Size: 4}})
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(f)
	if err != nil || string(data) != "3456" {
		t.Errorf("%q, %v", data, err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

func TestClasses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "classes.txt")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("\ufeffn1\tmissile\r\nn2\tmissile\r\ncrème brûlée\r\n\r\n")
	classes, err := ReadClasses(path)
	if err != nil {
		t.Fatal(err)
	}
	if want := class("n1=missile", "n2=missile", "crème brûlée"); !slices.Equal(classes, want) {
		t.Errorf("%v", classes)
	}
	for text, want := range map[string]string{
		"":             "no classes",
		"a\n\nb\n":     "line 2 is empty",
		"a\tx\na\ty\n": `line 2: the folder "a" is line 1 already`,
		"a\tx\ty\n":    "line 1",
		"\tname\n":     "line 1",
	} {
		write(text)
		if _, err := ReadClasses(path); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%q: got %v, want %q and the file's name", text, err, want)
		}
	}
	var out strings.Builder
	if err := WriteClasses(&out, classes); err != nil || out.String() != "n1\tmissile\nn2\tmissile\ncrème brûlée\n" {
		t.Errorf("%q, %v", out.String(), err)
	}
	if err := WriteClasses(io.Discard, class("a\nb")); err == nil {
		t.Error("a name with a line end is written")
	}
}

func TestProjection(t *testing.T) {
	imagenet := ImageNetClasses()
	for name, c := range map[string]struct {
		dataset, classifier []Class
		want                string
		problem             string
	}{
		"one list":         {class("x=a", "y=a"), class("a=a", "b=a"), "[[0] [1]]", ""},
		"part":             {class("c", "a"), class("a", "b", "c"), "[[2] [0]]", ""},
		"by folder":        {class("n2=missile"), class("n1=missile", "n2=missile"), "[[1]]", ""},
		"missing":          {class("a", "z"), class("a", "b", "c"), "", `1 of the dataset's 2 classes are none of the classifier's: "z"`},
		"never by name":    {class("x=a"), class("a", "b"), "", `"x"`},
		"ambiguous":        {class("a"), class("a", "a"), "", "classes 0 and 1"},
		"objectnet chairs": {[]Class{ObjectNetClasses()[17]}, imagenet, "[[423 559 765]]", ""},
		"imagenet-a":       {ImageNetAClasses()[:3], imagenet, "[[6] [11] [13]]", ""},
		"imagenet-r":       {ImageNetRClasses()[199:], imagenet, "[[988]]", ""},
	} {
		got, err := Projection(c.dataset, c.classifier)
		if c.problem != "" {
			if err == nil || !strings.Contains(err.Error(), c.problem) {
				t.Errorf("%s: got %v, want %q", name, err, c.problem)
			}
			continue
		}
		if err != nil || fmt.Sprint(got) != c.want {
			t.Errorf("%s: got %v, %v; want %s", name, got, err, c.want)
		}
	}
}

func TestNamesStopsAtTen(t *testing.T) {
	if got := Names(strings.Split("abcdefghijklm", "")); !strings.HasSuffix(got, `"j", and 3 more`) {
		t.Error(got)
	}
}
