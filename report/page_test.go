package report

import (
	"bytes"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files of testdata anew")

// golden compares got with a file of testdata; go test ./report -update writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// world is a page of the shape that the shipped example has, with made-up values.
func world(t testing.TB) Page {
	axes := []Axis{{Name: "method"}, {Name: "alpha"}, {Name: "draw", Replicates: true}}
	var final, curve []Entry
	for m, method := range []string{"zero-shot", "fine-tuned", "+ VC", "+ ensemble", "both"} {
		for draw := range 3 {
			score := func(alpha float64) map[string]any {
				out := map[string]any{}
				for i, style := range []string{"photo", "sketch", "painting", "rendering"} {
					fitted := 0.30*alpha*(1.2-alpha) - 0.1*alpha*float64(i)/3
					noise := alpha * float64((draw*7+m*3+i*5)%5) / 200
					out[style] = map[string]any{"top1": 0.7 - 0.05*float64(i) + fitted + noise, "nll": 1.1 - fitted}
				}
				return out
			}
			point := map[string]string{"method": method, "draw": fmt.Sprint(draw)}
			alphas := [][]float64{{0}, {1}, {1}, {0, 0.2, 0.4, 0.6, 0.8, 1}, {0, 0.2, 0.4, 0.6, 0.8, 1}}[m]
			best := []float64{0, 1, 1, 0.4, 0.6}[m]
			id := fmt.Sprint(m, draw)
			if m == 0 {
				id = "zero-shot"
			}
			final = append(final, Entry{Point: point, ID: id, Metrics: score(best), Chosen: map[string]string{"alpha": fmt.Sprint(best)}})
			for _, a := range alphas {
				curve = append(curve, Entry{Point: map[string]string{"method": method, "draw": fmt.Sprint(draw), "alpha": fmt.Sprint(a)}, ID: fmt.Sprint(id, a), Metrics: score(a)})
			}
		}
	}
	return Page{
		Title: "shapes", Summary: "Run 20261124T225812-1f0a ended after 2 min 31 s: 42 nodes ran, 7 came from the cache.",
		Axes:    axes,
		Groups:  []Group{{Title: "final", Columns: []string{"photo", "sketch"}, Entries: final}, {Title: "curve", Minor: true, Entries: curve}},
		Samples: samples(t),
		Stages: []Stage{
			{Name: "pictures", Type: "generate", Over: []string{"style"}, Ran: 4, Took: 91 * time.Second},
			{Name: "tuned", Type: "finetune", Over: []string{"method", "draw"}, Ran: 5, Cached: 1, Failed: 1, Took: 48 * time.Second, Saved: 7 * time.Second},
			{Name: "val", Type: "dataset", Cached: 4, Saved: 80 * time.Millisecond},
		},
		Provenance: []Field{{"command", "regft run examples/shapes/spec.yaml"}, {"version", "regft (devel), go1.26.5"}, {"host", "linux/amd64, 2 cores"}},
		Spec:       "version: 1\nname: shapes\nstages:\n  pictures: {uses: generate}\n",
	}
}

func samples(t testing.TB) []Sample {
	var out []Sample
	for s, style := range []string{"photo", "sketch"} {
		for c, class := range []string{"circle", "square", "triangle"} {
			img := image.NewRGBA(image.Rect(0, 0, 32, 32))
			for i := range 32 * 32 {
				img.Set(i%32, i/32, color.RGBA{uint8(80 * c), uint8(200 * s), uint8(8 * (i % 32)), 255})
			}
			var b bytes.Buffer
			if err := png.Encode(&b, img); err != nil {
				t.Fatal(err)
			}
			out = append(out, Sample{Group: "pictures[style=" + style + "]", Class: class, Detail: "a " + style + " of a " + class + ".", Read: content(b.Bytes())})
		}
	}
	return out
}

func content(b []byte) func() ([]byte, error) { return func() ([]byte, error) { return b, nil } }

func html(t testing.TB, p Page) string {
	t.Helper()
	var b strings.Builder
	if err := p.WriteHTML(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestPageGolden(t *testing.T) { golden(t, "world.html", html(t, world(t))) }

func TestPageIsSmallAndLoadsNothing(t *testing.T) {
	page := html(t, world(t))
	if len(page) > 100<<10 {
		t.Errorf("page has %d bytes", len(page))
	}
	for _, s := range []string{"http://", "https://", "<script", "<link", "@import", "url("} {
		if strings.Contains(page, s) {
			t.Errorf("page contains %q", s)
		}
	}
}

func TestPageEscapesNames(t *testing.T) {
	const evil = `<script>alert("x")</script>&'"` + "`"
	p := world(t)
	p.Title, p.Summary, p.Spec = evil, evil, evil
	p.Groups[0].Title = evil
	for i := range p.Groups[1].Entries {
		e := &p.Groups[1].Entries[i]
		e.Label, e.Point["method"] = evil, e.Point["method"]+evil
		e.Metrics[evil] = map[string]any{"top1": 0.5}
		e.Chosen = map[string]string{evil: evil}
	}
	p.Samples[0].Class, p.Samples[0].Detail, p.Samples[0].Group = evil, evil, evil
	p.Stages[0] = Stage{Name: evil, Type: evil, Over: []string{evil}}
	p.Provenance = []Field{{evil, evil}}
	page := html(t, p)
	if strings.Contains(page, "<script") || strings.Contains(page, `"x"`) {
		t.Error("a name got into the page unescaped")
	}
	if !strings.Contains(page, "&lt;script&gt;") {
		t.Error("the names are not in the page at all")
	}
}

func TestPageNamesABrokenSample(t *testing.T) {
	p := world(t)
	p.Samples[1].Read = content([]byte("not a picture"))
	err := p.WriteHTML(&strings.Builder{})
	if err == nil || !strings.Contains(err.Error(), `"square"`) {
		t.Errorf("got error %v, want one that names the class", err)
	}
}

func TestEmptyPage(t *testing.T) {
	if page := html(t, Page{Title: "nothing"}); strings.Contains(page, "<section") {
		t.Error("an empty page has sections")
	}
}

func TestGalleryBounds(t *testing.T) {
	var many []Sample
	img := samples(t)[0].Read
	for i := range maxSampleClasses + 5 {
		many = append(many, Sample{Group: "g", Class: fmt.Sprint(i), Read: img})
	}
	g, err := newGallery(many)
	if err != nil || len(g.Classes) != maxSampleClasses || g.Note != "Shown: the first 24 of 29 classes." {
		t.Errorf("got %d classes, note %q, error %v", len(g.Classes), g.Note, err)
	}
}
