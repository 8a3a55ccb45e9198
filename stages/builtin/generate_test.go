package builtin_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"regft/datasets"
	pictures "regft/datasets/picture"

	"github.com/google/go-cmp/cmp"
)

func TestGenerate(t *testing.T) {
	for _, checkpoint := range diffusions(t) {
		t.Run(filepath.Base(checkpoint), func(t *testing.T) {
			l := newLab(t)
			params := func(rest string) string {
				return fmt.Sprintf(`{checkpoint: %q, classes: ["red_fox", "a/b"], prompt: "a photo of a {}.", steps: 1, seed: 7, batch_size: 2, %s}`, checkpoint, rest)
			}
			whole := only(l.run("generate", params("images_per_class: 3, size: 12"), nil))
			want := []datasets.Row{}
			for i := range 6 {
				class := []string{"red_fox", "a/b"}[i%2]
				row := datasets.Row{Label: i % 2, Class: class, Origin: "generate", FileName: fmt.Sprintf("%s/0007_%06d.png", []string{"red_fox", "a%2Fb"}[i%2], i)}
				row.Generation = &datasets.Generation{Prompt: []string{"a photo of a red fox.", "a photo of a a/b."}[i%2], Seed: 7 + uint64(i)}
				want = append(want, row)
			}
			if diff := cmp.Diff(want, rows(t, whole)); diff != "" {
				t.Error(diff)
			}
			if got := text(t, whole, "classes.txt"); got != "red_fox\na/b\n" {
				t.Errorf("classes.txt is %q", got)
			}
			few := only(l.run("generate", params("images_per_class: 2, size: 12"), nil))
			if all, some := digests(t, whole), digests(t, few); !slices.Equal(all[:4], some) {
				t.Error("pictures depend on how many there are")
			}
			batches := only(l.run("generate", params("images_per_class: 2, size: 12, batch_size: 3"), nil))
			for _, row := range rows(t, few) {
				if d := farthest(t, text(t, few, row.FileName), text(t, batches, row.FileName)); d > 1 {
					t.Errorf("%s differs by %d of 255 in batches of another size", row.FileName, d)
				}
			}
			if all := digests(t, whole); all[0] == all[1] || all[0] == all[2] {
				t.Error("pictures of other seeds are equal")
			}
			im, err := png.Decode(bytes.NewReader([]byte(text(t, whole, want[0].FileName))))
			if err != nil || im.Bounds().Dx() != 12 || im.Bounds().Dy() != 12 {
				t.Errorf("size 12 gives %v, %v", im.Bounds(), err)
			}
		})
	}
}

// farthest is the largest difference of two pictures' values.
func farthest(t testing.TB, a, b string) int {
	t.Helper()
	values := [2][]byte{decoded(t, a), decoded(t, b)}
	if len(values[0]) != len(values[1]) {
		t.Fatal("pictures of two sizes")
	}
	far := 0
	for i, v := range values[0] {
		far = max(far, int(v)-int(values[1][i]), int(values[1][i])-int(v))
	}
	return far
}

// decoded are the values of a picture.
func decoded(t testing.TB, content string) []byte {
	t.Helper()
	im, err := pictures.Read(strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	return im.Pix
}

// TestGenerateSettings: each of these changes the pictures.
func TestGenerateSettings(t *testing.T) {
	l := newLab(t)
	draw := func(params string) string {
		a := only(l.run("generate", fmt.Sprintf(`{checkpoint: %q, steps: 2, batch_size: 1, %s}`, diffusions(t)[0], params), nil))
		return text(t, a, rows(t, a)[0].FileName)
	}
	plain := draw(`prompts: ["a photo of a tench"]`)
	for _, other := range []string{
		`prompts: ["a photo of a fox"]`, `prompts: ["a photo of a tench"], negative_prompt: "a photo of a fox"`, `prompts: ["a photo of a tench"], guidance_scale: 1`,
		`prompts: ["a photo of a tench"], seed: 1`, `prompts: ["a photo of a tench"], scheduler: euler`, `prompts: ["a photo of a tench"], steps: 3`,
	} {
		if draw(other) == plain {
			t.Errorf("%s gives the same picture", other)
		}
	}
	drawn, err := png.Decode(bytes.NewReader([]byte(draw(`prompts: ["x"], width: 32, height: 64, size: null`))))
	if err != nil || drawn.Bounds().Dx() != 32 || drawn.Bounds().Dy() != 64 {
		t.Errorf("width 32, height 64 and size null give %v, %v", drawn.Bounds(), err)
	}
	small, err := png.Decode(bytes.NewReader([]byte(draw(`prompts: ["x"], width: 32, height: 64, size: 9`))))
	if err != nil || small.Bounds().Dx() != 9 || small.Bounds().Dy() != 18 {
		t.Errorf("size 9 gives %v, %v", small.Bounds(), err)
	}
}

// TestGeneratePrompts: a list of prompts gives pictures without labels, and without folders.
func TestGeneratePrompts(t *testing.T) {
	l := newLab(t)
	a := only(l.run("generate", fmt.Sprintf(`{checkpoint: %q, prompts: ["a fox", "a tench"], steps: 1, batch_size: 2, seed: 3}`, diffusions(t)[0]), nil))
	want := []datasets.Row{
		{FileName: "0003_000000.png", Label: -1, Origin: "generate", Generation: &datasets.Generation{Prompt: "a fox", PromptID: 0, Seed: 3}},
		{FileName: "0003_000001.png", Label: -1, Origin: "generate", Generation: &datasets.Generation{Prompt: "a tench", PromptID: 1, Seed: 4}},
	}
	if diff := cmp.Diff(want, rows(t, a)); diff != "" {
		t.Error(diff)
	}
}

// TestGenerateStyles: styles with dataset give classes, folders and template, which prompt replaces.
func TestGenerateStyles(t *testing.T) {
	styles := write(t, `{"pets": {"template": "a {}, a pet.", "classnames": ["tabby cat"], "save_subdir": ["cat"]}}`, t.TempDir(), "prompt_styles.json")
	l := newLab(t)
	for prompt, want := range map[string]string{"": "a tabby cat, a pet.", `prompt: "my {}", `: "my tabby cat"} {
		a := only(l.run("generate", fmt.Sprintf(`{checkpoint: %q, styles: %q, dataset: pets, %simages_per_class: 1, steps: 1, batch_size: 1}`, diffusions(t)[0], styles, prompt), nil))
		got := rows(t, a)[0]
		if got.Prompt != want || got.Class != "tabby cat" || got.FileName != "cat/0000_000000.png" || text(t, a, "classes.txt") != "cat\ttabby cat\n" {
			t.Errorf("prompt %q: got %+v, prompt %q", prompt, got, got.Prompt)
		}
	}
}

// TestGenerateGoesOn: what an interrupted stage left is not drawn again, and neither is what a larger set has.
func TestGenerateGoesOn(t *testing.T) {
	l := newLab(t)
	params := func(perClass int) string {
		return fmt.Sprintf(`{checkpoint: %q, classes: [fox, tench], prompt: "a {}", images_per_class: %d, steps: 1, batch_size: 1}`, diffusions(t)[0], perClass)
	}
	whole := digests(t, only(l.run("generate", params(4), nil)))

	l.partial = t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	l.ctx = ctx
	l.drawn = func(done, _ int) {
		if done == 3 {
			cancel()
		}
	}
	if _, err := l.try("generate", params(4), nil); !errors.Is(err, context.Canceled) {
		t.Fatalf("interrupted: %v", err)
	}
	l.ctx = t.Context()
	l.drawn = nil
	left, err := filepath.Glob(filepath.Join(l.partial, "*.png"))
	if err != nil || len(left) < 3 {
		t.Fatalf("an interruption at the third picture left %d pictures", len(left))
	}
	mark := write(t, picture(t, 1), left[0]) // one that would not be drawn so
	if again := digests(t, only(l.run("generate", params(4), nil))); again[0] == whole[0] || !slices.Equal(again[1:], whole[1:]) {
		t.Error("a stage that goes on draws again what is there, or something else")
	}
	if err := os.Remove(mark); err != nil {
		t.Fatal(err)
	}
	if again := digests(t, only(l.run("generate", params(4), nil))); !slices.Equal(again, whole) {
		t.Error("a stage that goes on gives other pictures")
	}
	began := 0
	l.drawn = func(done, total int) { began = max(began, total-done) }
	if few := digests(t, only(l.run("generate", params(2), nil))); began != 0 || !slices.Equal(few, whole[:4]) {
		t.Errorf("2 a class after 4 draws %d pictures", began)
	}
}

func TestGenerateRefuses(t *testing.T) {
	l := newLab(t)
	sd := diffusions(t)[0]
	for params, want := range map[string]string{
		`{checkpoint: %q, prompts: []}`:                                  "empty list",
		`{checkpoint: %q, prompts: [x], prompt: "a {}"}`:                 "leave those out",
		`{checkpoint: %q, classes: [x]}`:                                 "need a prompt",
		`{checkpoint: %q, classes: [x], prompt: "a photo"}`:              "no {}",
		`{checkpoint: %q}`:                                               "in one way",
		`{checkpoint: %q, classes: [x], prompt: "{}", prompts: [x]}`:     "in one way",
		`{checkpoint: %q, classes: [], prompt: "{}"}`:                    "no classes",
		`{checkpoint: %q, styles: s.json}`:                               "styles needs dataset",
		`{checkpoint: %q, classes: [x], prompt: "{}", dataset: y}`:       "dataset names an entry of styles",
		`{checkpoint: %q, prompts: [x], width: 33}`:                      "33",
		`{checkpoint: %q, prompts: [x], scheduler: plms}`:                "plms",
		`{checkpoint: %q, classes: missing.txt, prompt: "{}", steps: 1}`: "missing.txt",
	} {
		_, err := l.try("generate", fmt.Sprintf(params, sd), nil)
		if err == nil {
			t.Errorf("%s: no error", params)
			continue
		}
		wantError(t, err, want)
	}
}

// TestGenerateSideBySide: stages that share an open checkpoint at once draw what each draws alone.
func TestGenerateSideBySide(t *testing.T) {
	params := func(i int) string {
		return fmt.Sprintf(`{checkpoint: %q, classes: [fox, tench], prompt: "a {}", images_per_class: 1, steps: %d, batch_size: 1, guidance_scale: %d}`, diffusions(t)[0], 1+i%2, 1+i)
	}
	together := newLab(t)
	var got [4]outcome
	var errs [4]error
	var group sync.WaitGroup
	for i := range got {
		group.Go(func() { got[i], errs[i] = together.try("generate", params(i), nil) })
	}
	group.Wait()
	for i, o := range got {
		if errs[i] != nil {
			t.Fatal(errs[i])
		}
		if alone := newLab(t).run("generate", params(i), nil); only(alone).Digest != only(o).Digest {
			t.Errorf("stage %d draws other pictures beside others", i)
		}
	}
}
