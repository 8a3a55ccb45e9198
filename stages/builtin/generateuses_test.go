package builtin_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"regft/cache"
	"regft/stages"

	"github.com/google/go-cmp/cmp"
)

// loraFile is the goldens' LoRA of sd21-tiny in a style of names.
func loraFile(t *testing.T, style string) string {
	return filepath.Join(abs(t, goldens), "lora", style+".safetensors")
}

func sd21(t *testing.T) string { return filepath.Join(abs(t, goldens), "sd21-tiny") }

// drawnFrom are prompt and prompt_id of every picture.
func drawnFrom(t *testing.T, a stages.Artifact) []string {
	var out []string
	for _, r := range rows(t, a) {
		out = append(out, fmt.Sprintf("%s %d %s", r.Class, r.PromptID, r.Prompt))
	}
	return out
}

// TestGeneratePromptsOfClasses: several prompts a class are drawn from in turn, and recorded.
func TestGeneratePromptsOfClasses(t *testing.T) {
	l := newLab(t)
	sentences := write(t, `{"red fox": ["A fox.", "Reddish."], "a/b": ["Only this."]}`, t.TempDir(), "gpt.json")
	for rest, want := range map[string][]string{
		`templates: ["a {}.", "my {}!"]`: {"red_fox 0 a red fox.", "a/b 0 a a/b.", "red_fox 1 my red fox!", "a/b 1 my a/b!", "red_fox 0 a red fox.", "a/b 0 a a/b."},
		`templates: ["a {medium} of a {}", "{}"], attributes: {medium: [photo, sketch]}`: {
			"red_fox 0 a photo of a red fox", "a/b 0 a photo of a a/b", "red_fox 1 a sketch of a red fox", "a/b 1 a sketch of a a/b", "red_fox 2 red fox", "a/b 2 a/b"},
		`prompt: "a {b} {a} {}", attributes: {a: [x], b: [y, z]}`: {"red_fox 0 a y x red fox", "a/b 0 a y x a/b", "red_fox 1 a z x red fox", "a/b 1 a z x a/b", "red_fox 0 a y x red fox", "a/b 0 a y x a/b"},
		fmt.Sprintf("sentences: %q", sentences):                   {"red_fox 0 A fox.", "a/b 0 Only this.", "red_fox 1 Reddish.", "a/b 0 Only this.", "red_fox 0 A fox.", "a/b 0 Only this."},
	} {
		a := only(l.run("generate", fmt.Sprintf(`{checkpoint: %q, classes: [red_fox, a/b], images_per_class: 3, steps: 1, batch_size: 6, guidance_scale: 1, %s}`, sd21(t), rest), nil))
		if diff := cmp.Diff(want, drawnFrom(t, a)); diff != "" {
			t.Errorf("%s: %s", rest, diff)
		}
	}
}

// firstOf is the first picture of a generated set of one.
func firstOf(t *testing.T, l *lab, params string, inputs map[string][]stages.Input) string {
	t.Helper()
	a := only(l.run("generate", params, inputs))
	return text(t, a, rows(t, a)[0].FileName)
}

func TestGenerateLoRA(t *testing.T) {
	l := newLab(t)
	with := func(rest string, loras ...stages.Input) string {
		return firstOf(t, l, fmt.Sprintf(`{checkpoint: %q, prompts: ["a photo of a tench"], steps: 3, batch_size: 1, size: null, seed: 1%s}`, sd21(t), rest), map[string][]stages.Input{"lora": loras})
	}
	of := func(style string) stages.Input { return stages.Input{Path: loraFile(t, style)} }
	plain := with("")
	for _, style := range []string{"kohya", "peft", "old"} {
		if farthest(t, with("", of(style)), plain) < 2 {
			t.Errorf("%s changes nothing", style)
		}
		if d := farthest(t, with(", lora_scale: 0", of(style)), plain); d != 0 {
			t.Errorf("%s with a scale of 0 is %d off", style, d)
		}
	}
	if d := farthest(t, with("", of("peft")), with("", of("old"))); d > 2 {
		t.Errorf("one LoRA in two styles of names gives pictures %d apart", d)
	}
	// Several add up: twice a half is one, and each has its own weight.
	one := with("", of("old"))
	if d := farthest(t, with(", lora_scale: 0.5", of("old"), of("old")), one); d > 2 {
		t.Errorf("two halves of a LoRA are %d off the whole", d)
	}
	if d := farthest(t, with(", lora_scale: [1, 0]", of("old"), of("kohya")), one); d > 2 {
		t.Errorf("a LoRA beside one that weighs 0 is %d off", d)
	}
	if farthest(t, with("", of("old"), of("kohya")), one) < 2 {
		t.Error("the second of two changes nothing")
	}
	// One that a stage made.
	d, size, err := l.store.PutFile(l.ctx, loraFile(t, "old"))
	if err != nil {
		t.Fatal(err)
	}
	made := l.artifact(stages.Files, []cache.File{{Name: "style.safetensors", Digest: d, Size: size}}, nil)
	if d := farthest(t, with("", stages.Input{Parts: []stages.Artifact{made}}), one); d != 0 {
		t.Errorf("a stage's LoRA is %d off the same file's", d)
	}
	key := func(rest string, loras ...stages.Input) string {
		return strings.Join(l.lines("generate", fmt.Sprintf("{checkpoint: %q, prompts: [x]%s}", sd21(t), rest), map[string][]stages.Input{"lora": loras}, false), "\n")
	}
	if key("", of("old"), of("peft")) == key("", of("peft"), of("old")) || key("", of("old"), of("peft")) == key(", lora_scale: [1, 2]", of("old"), of("peft")) {
		t.Error("which LoRA weighs what is not in the key")
	}
	other := filepath.Join(abs(t, goldens), "sd15-tiny")
	_, err = l.try("generate", fmt.Sprintf(`{checkpoint: %q, prompts: [x], steps: 1}`, other), map[string][]stages.Input{"lora": {of("peft")}})
	wantError(t, err, "it was trained on another", "peft.safetensors")
	_, err = l.try("generate", fmt.Sprintf(`{checkpoint: %q, prompts: [x], steps: 1}`, other), map[string][]stages.Input{"lora": {{Path: "/nowhere.safetensors"}}})
	wantError(t, err, "nowhere.safetensors")
	_, err = l.try("generate", fmt.Sprintf(`{checkpoint: %q, prompts: [x], steps: 1, lora_scale: [1, 2, 3]}`, other), map[string][]stages.Input{"lora": {of("peft"), of("old")}})
	wantError(t, err, "lora_scale has 3 numbers, and lora 2 adapters")
	_, err = l.try("generate", fmt.Sprintf(`{checkpoint: %q, prompts: [x], steps: 1, lora_scale: 2}`, other), nil)
	wantError(t, err, "lora_scale is for a lora")
}

// TestGenerateInit: pictures start from those of their class in turn, and keep more of them the smaller strength is.
func TestGenerateInit(t *testing.T) {
	l := newLab(t)
	init := given("init", l.dataset(folderOf(t, 2, "fox", "tench")))
	params := func(rest string) string {
		return fmt.Sprintf(`{checkpoint: %q, steps: 10, batch_size: 4, guidance_scale: 1, size: null, scheduler: ddim, %s}`, sd21(t), rest)
	}
	of := func(rest string) []string {
		a := only(l.run("generate", params(`classes: [fox, tench], prompt: "a {}", images_per_class: 3, `+rest), init))
		var all []string
		for _, r := range rows(t, a) {
			all = append(all, text(t, a, r.FileName))
		}
		return all
	}
	little, much := of("strength: 0.1"), of("strength: 1")
	for i, p := range little {
		if i < 4 && farthest(t, p, much[i]) < 2 {
			t.Errorf("picture %d does not depend on strength", i)
		}
	}
	if near, far := mean(t, little[0], little[4]), mean(t, little[0], little[2]); near >= far { // round 2 starts from the first picture again
		t.Errorf("pictures from one picture are %g apart, from two %g", near, far)
	}
	if mean(t, of("strength: 0.8")[0], of("seed: 0")[0]) != 0 {
		t.Error("the default strength is not 0.8")
	}
	unlabelled := firstOf(t, l, params("prompts: [x], strength: 0.1"), init)
	if mean(t, unlabelled, little[0]) >= mean(t, unlabelled, little[1]) {
		t.Error("prompts do not start from the first picture")
	}
	for want, rest := range map[string]string{
		`label 1 is "tench", and of the pictures to draw "cat"`: `classes: [fox, cat], prompt: "{}"`,
		"2 classes, and the pictures to draw have 1":            `classes: [fox], prompt: "{}"`,
		"less than one": "prompts: [x], strength: 0.05",
		"strength is 0": "prompts: [x], strength: 0",
	} {
		_, err := l.try("generate", params(rest), init)
		wantError(t, err, want)
	}
}

// mean is the mean difference of two pictures' values.
func mean(t *testing.T, a, b string) float64 {
	t.Helper()
	x, y := decoded(t, a), decoded(t, b)
	sum := 0.0
	for i := range x {
		sum += max(float64(x[i])-float64(y[i]), float64(y[i])-float64(x[i]))
	}
	return sum / float64(len(x))
}

// TestGenerateNoise: what another source of noise gives, and the seeds that are recorded.
func TestGenerateNoise(t *testing.T) {
	l := newLab(t)
	seen := map[string]string{}
	for rng, seeds := range map[string][2]uint64{"torch_cpu": {7, 8}, "philox": {7, 8}, "torch_cuda": {7, 7}} {
		a := only(l.run("generate", fmt.Sprintf(`{checkpoint: %q, prompts: [x, x], steps: 2, batch_size: 2, seed: 7, rng: %s}`, sd21(t), rng), nil))
		r := rows(t, a)
		if r[0].Seed != seeds[0] || r[1].Seed != seeds[1] {
			t.Errorf("%s: seeds %d and %d, want %v", rng, r[0].Seed, r[1].Seed, seeds)
		}
		second := string(decoded(t, text(t, a, r[1].FileName)))
		if other, twice := seen[second]; twice {
			t.Errorf("%s and %s give one picture", rng, other)
		}
		seen[second] = rng
	}
}

// TestGenerateText: a PNG says what it was made from, and nothing of where and when.
func TestGenerateText(t *testing.T) {
	l := newLab(t)
	content := firstOf(t, l, fmt.Sprintf(`{checkpoint: %q, prompts: ["a café"], negative_prompt: blurry, steps: 2, batch_size: 1, seed: 5, width: 8, height: 16}`, sd21(t)), nil)
	want := "tEXtparameters\x00a caf\xe9\nNegative prompt: blurry\nSteps: 2, Sampler: PNDMScheduler, CFG scale: 5, Seed: 5, Size: 8x16, Model hash: "
	if !strings.Contains(content, want) {
		t.Errorf("the text is not in %q", content[:300])
	}
	if strings.Contains(content, sd21(t)) {
		t.Error("a path is in the picture")
	}
	wide := firstOf(t, l, fmt.Sprintf(`{checkpoint: %q, prompts: ["鯉"], steps: 1, batch_size: 1}`, sd21(t)), nil)
	if !strings.Contains(wide, "iTXtparameters\x00\x00\x00\x00\x00鯉\nSteps: 1") {
		t.Errorf("the text is not in %q", wide[:300])
	}
}

// TestGenerateDescribes wants one description, and what belongs together.
func TestGenerateDescribes(t *testing.T) {
	l := newLab(t)
	for params, want := range map[string]string{
		`classes: [x], prompt: "{}", templates: ["{}"]`:               "in one way",
		`classes: [x], templates: ["a photo"]`:                        "no {}",
		`classes: [x], templates: []`:                                 "empty list",
		`classes: [x], prompt: "{}", attributes: {style: [a]}`:        "no template has {style}",
		`classes: [x], prompt: "{} {style}", attributes: {style: []}`: "leaves no templates",
		`classes: [x], sentences: s.json, attributes: {style: [a]}`:   "leave them out",
		`prompts: [x], attributes: {style: [a]}`:                      "prompts are whole texts",
		`prompts: [x], strength: 0.5`:                                 "give them as init",
		`prompts: [x], lora_scale: 0.5`:                               "lora_scale is for a lora",
		`prompts: [x], rng: cuda`:                                     "cuda",
		fmt.Sprintf("classes: [tench], sentences: %q", write(t, `{"fox": ["A fox."]}`, t.TempDir(), "s.json")): `no sentences for 1 of 1 classes: "tench"`,
	} {
		_, err := l.try("generate", fmt.Sprintf("{checkpoint: %q, %s}", sd21(t), params), nil)
		if err == nil {
			t.Errorf("%s: no error", params)
			continue
		}
		wantError(t, err, want)
	}
}
