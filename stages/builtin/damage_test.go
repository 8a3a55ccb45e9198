package builtin_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"regft/stages"
)

// TestDamagedPartialWork: what an earlier run left for a stage to go on from, and a disk has damaged since, is not used:
// the end is the same.
func TestDamagedPartialWork(t *testing.T) {
	l := newLab(t)
	data, classifier := l.dataset(folderOf(t, 20, "cat", "dog")), l.zeroshot(clips(t)[0], "cat", "dog")
	both := given("classifier", classifier, "data", data)
	for _, c := range []struct {
		stage, params string
		inputs        map[string][]stages.Input
		stopAt        int // of its progress; 0: it is not stopped
	}{
		{"generate", fmt.Sprintf(`{checkpoint: %q, classes: [fox, hen], prompt: "a {}", images_per_class: 3, steps: 1, seed: 7, batch_size: 2}`, diffusions(t)[0]), nil, 0},
		{"filter", "{by: clip_margin, keep: {fraction: 0.5}}", both, 0},
		{"filter", "{by: duplicate, keep: {fraction: 0.5}}", given("data", data), 0},
		{"finetune", "{epochs: 3, batch_size: 10, learning_rate: 1e-3, warmup_steps: 2, checkpoint_every: 3, seed: 5}", both, 7},
		{"evaluate", "{batch_size: 16}", both, 32},
	} {
		whole := l.run(c.stage, c.params, c.inputs)
		left := t.TempDir()
		l.partial = left
		if c.stopAt == 0 {
			l.run(c.stage, c.params, c.inputs)
		} else {
			ctx, cancel := context.WithCancel(t.Context())
			l.ctx, l.drawn = ctx, func(done, _ int) {
				if done == c.stopAt {
					cancel()
				}
			}
			if _, err := l.try(c.stage, c.params, c.inputs); !errors.Is(err, context.Canceled) {
				t.Fatalf("%s, stopped: %v", c.stage, err)
			}
			l.ctx, l.drawn = t.Context(), nil
		}
		files, err := filepath.Glob(filepath.Join(left, "*"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s leaves %v, %v", c.stage, files, err)
		}
		content, err := os.ReadFile(files[0])
		if err != nil {
			t.Fatal(err)
		}
		for what, damaged := range damages(content) {
			l.partial = t.TempDir()
			if err := os.CopyFS(l.partial, os.DirFS(left)); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(l.partial, filepath.Base(files[0])), damaged, 0o666); err != nil {
				t.Fatal(err)
			}
			got := l.run(c.stage, c.params, c.inputs)
			if only(got).Digest != only(whole).Digest || !maps.Equal(got.metrics, whole.metrics) {
				t.Errorf("%s with %s %s gives another result", c.stage, filepath.Base(files[0]), what)
			}
		}
		l.partial = ""
	}
}

// damages are what a disk may make of a file.
func damages(content []byte) map[string][]byte {
	out := map[string][]byte{
		"empty": {}, "of zeroes": make([]byte, len(content)), "cut": content[:len(content)/2], "with more after it": append(content[:len(content):len(content)], 0),
	}
	const flips = 12
	for k := range flips {
		at := k
		if k >= flips/2 { // the first bytes, where a head is, then all over
			at = (k - flips/2) * (len(content) - 1) / (flips/2 - 1)
		}
		flipped := append([]byte(nil), content...)
		flipped[at] ^= 1 << (k % 8)
		out[fmt.Sprintf("with a bit of byte %d turned", at)] = flipped
	}
	return out
}
