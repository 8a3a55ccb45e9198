package builtin_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"regft/cache"
	"regft/stages"
)

// TestEvaluateGoesOn: killed after any batch, also within one, evaluate and features go on after their last batch to the
// same bytes.
func TestEvaluateGoesOn(t *testing.T) {
	l := newLab(t)
	data, classifier := l.dataset(folderOf(t, 45, "cat", "dog")), l.zeroshot(clips(t)[0], "cat", "dog") // six batches of 16
	for _, stage := range []string{"evaluate", "features"} {
		inputs := given("classifier", classifier, "data", data)
		whole := l.run(stage, "{batch_size: 16}", inputs)
		for kill := range 5 {
			for _, torn := range []bool{false, true} {
				l.partial = t.TempDir()
				ctx, cancel := context.WithCancel(t.Context())
				l.ctx, l.drawn = ctx, func(done, _ int) {
					if done == (kill+1)*16 {
						cancel()
					}
				}
				if _, err := l.try(stage, "{batch_size: 16}", inputs); !errors.Is(err, context.Canceled) {
					t.Fatalf("%s killed after batch %d: %v", stage, kill, err)
				}
				if torn {
					cutEnd(t, filepath.Join(l.partial, "features"))
				}
				var seen []int
				l.ctx, l.drawn = t.Context(), func(done, _ int) { seen = append(seen, done) }
				rest := l.run(stage, "{batch_size: 16}", inputs)
				want := (kill + 1) * 16
				if torn {
					want -= 16
				}
				if seen[0] != want || seen[1] != min(want+16, 90) {
					t.Errorf("%s killed after batch %d, torn %v: it begins at %d, and the first batch ends at %d; want %d and a batch more", stage, kill, torn, seen[0], seen[1], want)
				}
				if only(rest).Digest != only(whole).Digest || stages.CanonicalJSON(rest.metrics) != stages.CanonicalJSON(whole.metrics) {
					t.Errorf("%s killed after batch %d, torn %v: another result", stage, kill, torn)
				}
			}
		}
		l.drawn = nil
	}
}

// cutEnd takes the last bytes of a file away.
func cutEnd(t *testing.T, path string) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, info.Size()-3); err != nil {
		t.Fatal(err)
	}
}

// TestPicturesAreDecodedOnce: however many classifiers look at a set, side by side, each picture is read once; and the
// alphas of a pair read its ends once.
func TestPicturesAreDecodedOnce(t *testing.T) {
	l := newLab(t)
	from, to := l.zeroshot(clips(t)[0], "cat", "dog"), tune(l, "{epochs: 1, batch_size: 4, warmup_steps: 0, learning_rate: 1e-2}", clips(t)[0])
	data := l.dataset(folderOf(t, 20, "cat", "dog"))
	var merged []stages.Artifact
	for _, alpha := range []float64{0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9} {
		merged = append(merged, l.merge(alpha, from, to))
	}
	l.shared, l.opened = stages.NewShared(1<<30), map[cache.Digest]int{}
	var wg sync.WaitGroup
	scores := make([]outcome, len(merged))
	for i, m := range merged {
		wg.Go(func() {
			ty, r, err := l.decode("evaluate", "", given("classifier", m, "data", data))
			if err == nil {
				scores[i], err = l.execute(ty, r)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, f := range data.Manifest.Files {
		if n := l.opened[f.Digest]; filepath.Ext(f.Name) == ".png" && n != 1 {
			t.Errorf("%s is read %d times", f.Name, n)
		}
	}
	for name, a := range map[string]stages.Artifact{"from": from, "to": to} {
		f, _ := a.Manifest.Lookup("model-00002-of-00002.safetensors")
		if n := l.opened[f.Digest]; n != 1 {
			t.Errorf("the weights of %s are read %d times", name, n)
		}
	}
	l.shared, l.opened = stages.NewShared(1<<30), nil
	for i, m := range merged {
		if alone := l.run("evaluate", "", given("classifier", m, "data", data)); only(alone).Digest != only(scores[i]).Digest {
			t.Errorf("evaluated beside others, ensemble %d has other scores", i)
		}
	}
	if d := []cache.Digest{only(scores[0]).Digest, only(scores[7]).Digest}; slices.Equal(d[:1], d[1:]) {
		t.Error("two alphas have one result")
	}
}
