package builtin_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"regft/models/rng"
	"regft/stages"
)

// tune fine-tunes the zero-shot classifier of a CLIP folder on five pictures of cats and five of dogs.
func tune(l *lab, params, checkpoint string) stages.Artifact {
	l.t.Helper()
	data, classifier := l.dataset(folderOf(l.t, 5, "cat", "dog")), l.zeroshot(checkpoint, "cat", "dog")
	return only(l.run("finetune", params, given("classifier", classifier, "data", data)))
}

// TestFineTuneGoesOn: a training that is killed at any step goes on from its last checkpoint, to the same bits.
func TestFineTuneGoesOn(t *testing.T) {
	l := newLab(t)
	data, classifier := l.dataset(folderOf(t, 5, "cat", "dog")), l.zeroshot(clips(t)[0], "cat", "dog")
	const params = "{epochs: 3, batch_size: 4, warmup_steps: 2, learning_rate: 1e-3, checkpoint_every: 3, seed: 5}" // nine steps
	inputs := given("classifier", classifier, "data", data, "validate", data)
	whole := l.run("finetune", params, inputs)
	if number(t, whole, "steps") != 9 || len(whole.series) != 9+3 {
		t.Fatalf("3 epochs of 10 pictures in batches of 4 take %v steps", whole.metrics["steps"])
	}
	for _, step := range []string{"1", "3", "6", "9"} { // the first, and the last of each epoch
		if line := regexp.MustCompile(`"step":` + step + `,"of":9,"loss":[^,]+,"learning_rate":[^,]+,"grad_norm":[^,]+,"message":"trained"`); !line.MatchString(l.told.String()) {
			t.Errorf("the log does not tell of step %s:\n%s", step, &l.told)
		}
	}
	for kill := range 9 {
		l.partial = t.TempDir()
		ctx, cancel := context.WithCancel(t.Context())
		first := -1
		l.ctx, l.stepped = ctx, func(step int, _ map[string]float64) {
			if step == kill {
				cancel()
			}
		}
		if _, err := l.try("finetune", params, inputs); !errors.Is(err, context.Canceled) {
			t.Fatalf("killed at step %d: %v", kill, err)
		}
		l.ctx, l.stepped = t.Context(), func(step int, _ map[string]float64) {
			if first < 0 {
				first = step
			}
		}
		rest := l.run("finetune", params, inputs)
		if want := min((kill+1)/3*3, 6); first != want {
			t.Errorf("killed at step %d with a checkpoint every 3: goes on at %d, want %d", kill, first, want)
		}
		if only(rest).Digest != only(whole).Digest {
			t.Errorf("killed at step %d: another classifier", kill)
		}
		if got, want := stages.CanonicalJSON(rest.metrics), stages.CanonicalJSON(whole.metrics); got != want {
			t.Errorf("killed at step %d: metrics %s, want %s", kill, got, want)
		}
	}
}

// TestFineTuneShuffle: the order of every epoch is torch.randperm's, from one generator.
func TestFineTuneShuffle(t *testing.T) {
	g := rng.New(3)
	g.Randperm(6)
	second := g.Randperm(6)
	dir := t.TempDir()
	for place, i := range second { // file names, and so the order of the set, are those of the second epoch
		write(t, picture(t, uint64(i)), dir, "cat", fmt.Sprintf("%d.png", place))
	}
	inOrder := t.TempDir()
	for i := range 6 {
		write(t, picture(t, uint64(i)), inOrder, "cat", fmt.Sprintf("%d.png", i))
	}
	l := newLab(t)
	classifier := l.zeroshot(clips(t)[0], "cat")
	// Without learning a step's measures depend on its pictures alone.
	losses := func(dir, params string) (out []float64) {
		o := l.run("finetune", "{batch_size: 2, learning_rate: 0, augment: none, seed: 3, "+params+"}", given("classifier", classifier, "data", l.dataset(dir)))
		for _, s := range o.series {
			out = append(out, s["loss"])
		}
		return out
	}
	shuffled, plain := losses(inOrder, "epochs: 2"), losses(dir, "epochs: 1, shuffle: false")
	if !slices.Equal(shuffled[3:], plain) {
		t.Errorf("the second epoch has losses %v, want those of the second torch.randperm, %v", shuffled[3:], plain)
	}
	if slices.Equal(shuffled[:3], shuffled[3:]) {
		t.Error("both epochs have one order")
	}
}

func TestFineTuneTrains(t *testing.T) {
	const tower, layer = "model-00002-of-00002.safetensors", "vision_model.post_layernorm.weight"
	for train, want := range map[string][2]bool{"all": {true, true}, "head": {false, true}, "encoder": {true, false}} {
		l := newLab(t)
		start := l.zeroshot(clips(t)[0], "cat", "dog")
		tuned := tune(l, fmt.Sprintf("{epochs: 1, batch_size: 4, warmup_steps: 0, learning_rate: 1e-2, train: %s}", train), clips(t)[0])
		moved := [2]bool{
			!slices.Equal(floats(t, start, tower, layer), floats(t, tuned, tower, layer)),
			!slices.Equal(head(t, start), head(t, tuned)),
		}
		if moved != want {
			t.Errorf("train: %s moves tower and head: %v, want %v", train, moved, want)
		}
		for _, f := range start.Manifest.Files {
			if g, ok := tuned.Manifest.Lookup(f.Name); !ok || f.Name != tower && f.Name != "head.safetensors" && f.Digest != g.Digest {
				t.Errorf("train: %s: %s is not the start's", train, f.Name)
			}
		}
	}
}

// TestFineTuneValidates: validate_top1 is what evaluate gives.
func TestFineTuneValidates(t *testing.T) {
	l := newLab(t)
	dir := folderOf(t, 5, "cat", "dog")
	data, classifier := l.dataset(dir), l.zeroshot(clips(t)[0], "cat", "dog")
	o := l.run("finetune", "{epochs: 2, batch_size: 4, warmup_steps: 0, learning_rate: 1e-3}", given("classifier", classifier, "data", data, "validate", data))
	scores := l.run("evaluate", "", given("classifier", only(o), "data", data))
	if a, b := number(t, o, "validate_top1"), number(t, scores, "top1"); a != b {
		t.Errorf("validate_top1 is %v, evaluate gives %v", a, b)
	}
	last := o.series[len(o.series)-2]
	if number(t, o, "loss") != last["loss"] {
		t.Errorf("loss is %v, the last step's is %v", o.metrics["loss"], last["loss"])
	}
}

// TestFineTuneDiverges: NaN stops the training with step and loss, and its last checkpoint stays.
func TestFineTuneDiverges(t *testing.T) {
	l := newLab(t)
	l.partial = t.TempDir()
	data, classifier := l.dataset(folderOf(t, 5, "cat", "dog")), l.zeroshot(clips(t)[0], "cat", "dog")
	_, err := l.try("finetune", "{epochs: 50, batch_size: 5, warmup_steps: 0, schedule: constant, learning_rate: 1e30, clip_grad_norm: 0, checkpoint_every: 1}",
		given("classifier", classifier, "data", data))
	wantError(t, err, "diverged at step", "loss", "learning_rate")
	if left, _ := filepath.Glob(filepath.Join(l.partial, "*.safetensors")); len(left) != 1 {
		t.Errorf("%d checkpoints are left", len(left))
	}
}

func TestFineTuneRefuses(t *testing.T) {
	l := newLab(t)
	began := false
	l.stepped = func(int, map[string]float64) { began = true }
	nine := folderOf(t, 4, "cat", "dog")
	write(t, picture(t, 77), nine, "dog", "09.png")
	data, classifier := l.dataset(nine), l.zeroshot(clips(t)[0], "cat", "dog")
	refused := func(params string, inputs map[string][]stages.Input, want ...string) {
		t.Helper()
		_, err := l.try("finetune", params, inputs)
		wantError(t, err, want...)
		if began {
			t.Errorf("%q was found after training began", want)
		}
	}
	inputs := given("classifier", classifier, "data", data)
	refused("{batch_size: 4}", inputs, "9 pictures in batches of 4", "last batch of one", "batch_size to 5")
	refused("{batch_size: 1}", inputs, "9 pictures in batches of 1", "batch_size to 3")
	refused("", given("classifier", l.zeroshot(clips(t)[0], "cat"), "data", l.dataset(folderOf(t, 1, "cat"))), "one picture in all")
	refused("", given("classifier", classifier, "data", l.dataset(folderOf(t, 4, "cat", "dgo"))), `label 1 is "dog" in the first and "dgo" in the second`)
	refused("", given("classifier", l.zeroshot(clips(t)[0], "cat", "d\u00f4g"), "data", l.dataset(folderOf(t, 4, "cat", "do\u0302g"))), `"d\u00f4g" in the first and "do\u0302g" in the second`)
	refused("", given("classifier", classifier, "data", l.dataset(folderOf(t, 4, "cat", "dog", "owl"))), "2 and 3 classes")
	refused("{batch_size: 3}", given("classifier", classifier, "data", data, "validate", l.dataset(folderOf(t, 1, "cat", "cow"))), "classifier and validate", `"cow"`)
	l.stepped = nil
	for _, params := range []string{"{batch_size: 4, epochs: 1, vc_reg: {variance: 0, covariance: 0}}", "{batch_size: 3, epochs: 1}"} {
		if _, err := l.try("finetune", params, inputs); err != nil {
			t.Errorf("%s: %v", params, err)
		}
	}
}

// TestFineTuneBatchSizes: every size that an error proposes is one.
func TestFineTuneBatchSizes(t *testing.T) {
	l := newLab(t)
	data, classifier := l.dataset(folderOf(t, 7, "cat")), l.zeroshot(clips(t)[0], "cat")
	for _, size := range []int{1, 2, 3, 6} {
		_, err := l.try("finetune", fmt.Sprintf("{batch_size: %d}", size), given("classifier", classifier, "data", data))
		if err == nil {
			t.Fatalf("7 pictures in batches of %d: no error", size)
		}
		var n, was, proposed int
		if _, err := fmt.Sscanf(err.Error(), "%d pictures in batches of %d leave a last batch of one, which has no variance for vc_reg: set batch_size to %d", &n, &was, &proposed); err != nil {
			t.Fatal(err)
		}
		if 7%proposed == 1 {
			t.Errorf("batches of %d are proposed for 7 pictures", proposed)
		}
	}
}
