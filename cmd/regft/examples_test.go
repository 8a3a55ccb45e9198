package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"regft/datasets"
)

// TestExamplesPlan plans every spec of examples/, whose data and checkpoints need not be there.
func TestExamplesPlan(t *testing.T) {
	planned := 0
	err := filepath.WalkDir("../../examples", func(path string, e fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".yaml" {
			return err
		}
		content, err := os.ReadFile(path)
		if !strings.Contains(string(content), "version: 1\n") {
			return err // what specs include
		}
		planned++
		t.Run(path, func(t *testing.T) {
			if counts := countsOf(t, path, t.TempDir()); counts.Points == 0 {
				t.Error("no points")
			}
		})
		return err
	})
	if err != nil || planned < 12 {
		t.Errorf("%d specs, %v", planned, err)
	}
}

// TestExamplesRun runs the published experiments through the real stages on a stand-in: the datasets' layouts with a few
// pictures of three shapes in them, and the checkpoints of the shipped world. Every cell of every table has a value.
func TestExamplesRun(t *testing.T) {
	place := newStandIn(t)
	headings := map[string]int{"gain": 4} // values of a cell, where there are several
	for _, e := range []struct {
		spec  string
		sets  []string
		cells map[string]int
	}{
		{"regft/main-table", []string{"vars.cafo=" + place.cafo(t)}, map[string]int{"main": 66, "alphas": 55, "oracle": 55}},
		{"regft/eurosat", []string{"vars.cafo=" + place.cafo(t)}, map[string]int{"main": 6, "alphas": 5, "oracle": 5}},
		{"regft/eurosat", []string{"vars.cafo=" + place.cafo(t), picturesMadeElsewhere}, map[string]int{"main": 6}},
		{"regft/prompt-styles", nil, map[string]int{"style": 36}},
		{"regft/guidance", nil, map[string]int{"guidance": 18}},
		{"regft/steps", []string{"sweep.axes.steps=[1, 2, 3]", "sweep.baseline.steps=2"}, map[string]int{"steps": 18}},
		{"regft/shots", []string{"sweep.axes.shots=[1, 2]"}, map[string]int{"shots": 12}},
		{"regft/generators", nil, map[string]int{"generators": 18}},
		{"regft/filtering", []string{"vars.steps=8", "vars.images_per_class=8", "vars.vc={variance: 0, covariance: 0}"}, map[string]int{"bands": 60, "pictures": 10}},
		{"wiseft/imagenet", nil, map[string]int{"curve": 18, "chosen": 6, "oracle": 6, "alphas": 6, "gain": 6, "robustness": 9}},
	} {
		t.Run(e.spec, func(t *testing.T) {
			path, err := filepath.Abs(filepath.Join("../../examples", e.spec+".yaml"))
			if err != nil {
				t.Fatal(err)
			}
			sets := append(place.sets(t), e.sets...)
			work := t.TempDir()
			for table, want := range e.cells {
				if got := countsOf(t, path, work, sets...).Tables[table]; got != want {
					t.Errorf("table %s is planned with %d cells, want %d", table, got, want)
				}
			}
			runRegft(t, work, place.cache, append([]string{"run", path}, setFlags(sets)...)...)
			found := filledCells(t, work)
			for table, want := range e.cells {
				if want *= max(1, headings[table]); found[table] != want {
					t.Errorf("table %s has %d values, want %d", table, found[table], want)
				}
			}
		})
	}
}

// TestRealDataPage runs the commands of docs/real-data.md that need no data: those of its sh blocks.
func TestRealDataPage(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(root, "docs", "real-data.md"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), picturesMadeElsewhere) {
		t.Errorf("the page no longer has --set %s, which TestExamplesRun runs", picturesMadeElsewhere)
	}
	ran, runs := 0, false
	for line := range strings.Lines(string(page)) {
		switch line = strings.TrimSpace(line); {
		case strings.HasPrefix(line, "```"):
			runs = line == "```sh"
		case runs:
			command, ok := strings.CutPrefix(line, "go run ./cmd/regft ")
			if !ok {
				t.Errorf("%q: want go run ./cmd/regft …", line)
			}
			t.Run(command, func(t *testing.T) { runRegft(t, root, t.TempDir(), words(command)...) })
			ran++
		}
	}
	if ran < 6 {
		t.Errorf("%d commands", ran)
	}
}

// words splits a command at spaces outside single quotes.
func words(command string) (out []string) {
	for i, part := range strings.Split(command, "'") {
		if i%2 == 1 {
			out = append(out, part)
			continue
		}
		out = append(out, strings.Fields(part)...)
	}
	return out
}

type planCounts struct {
	Points int
	Tables map[string]int
}

// countsOf is what regft plan --json says.
func countsOf(t *testing.T, spec, work string, sets ...string) (counts planCounts) {
	t.Helper()
	path, err := filepath.Abs(spec)
	if err != nil {
		t.Fatal(err)
	}
	out := runRegft(t, work, filepath.Join(work, "cache"), append([]string{"plan", path, "--json"}, setFlags(sets)...)...)
	if err := json.Unmarshal(out, &counts); err != nil {
		t.Fatal(err)
	}
	return counts
}

func setFlags(sets []string) (flags []string) {
	for _, s := range sets {
		flags = append(flags, "--set", s)
	}
	return flags
}

// runRegft runs the command in a folder and returns what it prints.
func runRegft(t *testing.T, work, cache string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command("regft", args...)
	cmd.Dir, cmd.Env = work, append(os.Environ(), "REGFT_CACHE="+cache, "NO_COLOR=1")
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		t.Fatalf("regft %s: %v\n%s\n%s", args[0], err, exit.Stderr, out)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// filledCells counts the values in each table of the latest run, averages left out.
func filledCells(t *testing.T, work string) map[string]int {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(work, "runs", "*", "latest", "tables.csv"))
	if err != nil || len(paths) != 1 {
		t.Fatalf("%v, %v", paths, err)
	}
	content, err := os.ReadFile(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(bytes.NewReader(content)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]int{}
	table, column, mean := slices.Index(rows[0], "table"), slices.Index(rows[0], "column"), slices.Index(rows[0], "mean")
	for _, row := range rows[1:] {
		if row[mean] != "" && !slices.Contains([]string{"Average", "Under shift"}, row[column]) {
			found[row[table]]++
		}
	}
	return found
}

// picturesMadeElsewhere has the pictures of docs/real-data.md in place of generated ones.
const picturesMadeElsewhere = `stages.images={uses: dataset, with: {format: imagefolder, split: train, path: "${vars.data}/syn_datasets/${sweep.dataset.key}", classes: "${file(vars.styles)[sweep.dataset.styles].classnames}"}}`

// A standIn is a folder with small copies of the datasets.
type standIn struct {
	root, cache string
	world       string // the shipped world
	classes     []standInClass
}

// A standInClass is a shape of the world, which stands for a class of ImageNet and its shifts.
type standInClass struct {
	shape     string
	imageNet  datasets.Class
	label     int // in ImageNet
	objectNet datasets.Class
}

// coopLayouts are the datasets of CoOp's users with one split file: folder, folder of the pictures, file, entry of
// prompt_styles.json, file of sentences.
var coopLayouts = [][5]string{
	{"caltech-101", "101_ObjectCategories", "split_zhou_Caltech101.json", "caltech-101", "caltech"},
	{"oxford_pets", "images", "split_zhou_OxfordPets.json", "oxford_pets", "oxford_pets"},
	{"stanford_cars", ".", "split_zhou_StanfordCars.json", "stanford_cars", "stanford_cars"},
	{"oxford_flowers", "jpg", "split_zhou_OxfordFlowers.json", "oxford_flowers", "oxford_flowers"},
	{"food-101", "images", "split_zhou_Food101.json", "food-101", "food101"},
	{"sun397", "SUN397", "split_zhou_SUN397.json", "sun397", "sun397"},
	{"dtd", "images", "split_zhou_DescribableTextures.json", "dtd", "dtd"},
	{"eurosat", "2750", "split_zhou_EuroSAT.json", "eurosat", "eurosat"},
	{"ucf101", "UCF-101-midframes", "split_zhou_UCF101.json", "ucf101", "ucf101"},
}

func newStandIn(t *testing.T) *standIn {
	t.Helper()
	world, err := filepath.Abs("../../examples/shapes")
	if err != nil {
		t.Fatal(err)
	}
	s := &standIn{root: t.TempDir(), world: world}
	s.cache = filepath.Join(s.root, "cache")
	s.chooseClasses(t)
	s.writeImageNets(t)
	for i, layout := range coopLayouts {
		s.writeCoOp(t, layout[0], layout[1], layout[2], i, func(c standInClass) string { return c.shape })
	}
	s.writeCoOp(t, "dalle_imagenet", "data", "dalle_imagenet.json", 0, func(c standInClass) string { return c.imageNet.Folder })
	s.writeAircraft(t)
	for _, c := range s.classes {
		for i := range 2 {
			s.picture(t, c.shape, 16+i, "data/syn_datasets/eurosat/train", c.shape, fmt.Sprintf("0001_%04d.png", i))
		}
	}
	s.writePublished(t)
	return s
}

// chooseClasses gives each shape a class that ImageNet and all its shifts have.
func (s *standIn) chooseClasses(t *testing.T) {
	t.Helper()
	official, inA := datasets.ImageNetClasses(), datasets.ImageNetAClasses()
	for _, objectNet := range datasets.ObjectNetClasses() {
		for _, c := range datasets.ImageNetRClasses() {
			shapes := []string{"circle", "heart", "star"}
			_, err := datasets.Projection([]datasets.Class{objectNet}, []datasets.Class{c})
			if err == nil && slices.Contains(inA, c) && len(s.classes) < len(shapes) {
				s.classes = append(s.classes, standInClass{shapes[len(s.classes)], c, slices.Index(official, c), objectNet})
			}
		}
	}
	if len(s.classes) != 3 {
		t.Fatalf("%d classes are in ImageNet-A, ImageNet-R and ObjectNet, want 3", len(s.classes))
	}
}

// picture copies picture number i of a shape to a path below the root.
func (s *standIn) picture(t *testing.T, shape string, i int, path ...string) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(s.world, "real/photo/test", shape, fmt.Sprintf("%03d.png", i)))
	if err != nil {
		t.Fatal(err)
	}
	s.write(t, content, path...)
}

func (s *standIn) write(t *testing.T, content []byte, path ...string) {
	t.Helper()
	file := filepath.Join(s.root, filepath.Join(path...))
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o777), os.WriteFile(file, content, 0o666)); err != nil {
		t.Fatal(err)
	}
}

func (s *standIn) writeJSON(t *testing.T, content any, path ...string) {
	t.Helper()
	text, err := json.Marshal(content)
	if err != nil {
		t.Fatal(err)
	}
	s.write(t, text, path...)
}

// writeImageNets writes four training pictures of each class, and two for each test set.
func (s *standIn) writeImageNets(t *testing.T) {
	t.Helper()
	for _, c := range s.classes {
		for i := range 4 {
			s.picture(t, c.shape, i, "data/imagenet/images/train", c.imageNet.Folder, fmt.Sprintf("%d.JPEG", i))
		}
		for i := range 2 {
			name := fmt.Sprintf("%d.jpg", i)
			s.picture(t, c.shape, 4+i, "data/imagenet/images/val", c.imageNet.Folder, name)
			s.picture(t, c.shape, 6+i, "data/imagenetv2/imagenetv2-matched-frequency-format-val", fmt.Sprint(c.label), name)
			s.picture(t, c.shape, 8+i, "data/imagenet-rendition/imagenet-r", c.imageNet.Folder, name)
			s.picture(t, c.shape, 10+i, "data/imagenet-adversarial/imagenet-a", c.imageNet.Folder, name)
			s.picture(t, c.shape, 12+i, "data/imagenet-sketch/images", c.imageNet.Folder, name)
			s.picture(t, c.shape, 14+i, "data/objectnet-1.0/images", c.objectNet.Folder, name)
		}
	}
}

// writeCoOp writes a dataset with a split file, two pictures of each class in each split, from picture `first` on.
func (s *standIn) writeCoOp(t *testing.T, folder, pictures, file string, first int, classFolder func(standInClass) string) {
	t.Helper()
	splits := map[string][][3]any{}
	for k, split := range []string{"train", "val", "test"} {
		for label, c := range s.classes {
			for i := range 2 {
				name := fmt.Sprintf("%s/%s_%d.jpg", classFolder(c), split, i)
				s.picture(t, c.shape, first+2*k+i, "data", folder, pictures, name)
				splits[split] = append(splits[split], [3]any{name, label, c.shape})
			}
		}
	}
	s.writeJSON(t, splits, "data", folder, file)
}

func (s *standIn) writeAircraft(t *testing.T) {
	t.Helper()
	var variants strings.Builder
	lists := map[string]string{}
	for label, c := range s.classes {
		fmt.Fprintln(&variants, c.shape)
		for k, split := range []string{"train", "val", "test"} {
			for i := range 2 {
				id := fmt.Sprintf("%07d", 100*label+2*k+i)
				s.picture(t, c.shape, 12+2*k+i, "data/fgvc_aircraft/images", id+".jpg")
				lists[split] += id + " " + c.shape + "\n"
			}
		}
	}
	s.write(t, []byte(variants.String()), "data/fgvc_aircraft/variants.txt")
	for split, list := range lists {
		s.write(t, []byte(list), "data/fgvc_aircraft/images_variant_"+split+".txt")
	}
}

// writePublished writes class names and sentences as the published repository has them.
func (s *standIn) writePublished(t *testing.T) {
	t.Helper()
	var names, folders []string
	sentences := map[string][]string{}
	for _, c := range s.classes {
		names, folders = append(names, c.shape), append(folders, c.imageNet.Folder)
		sentences[c.shape] = []string{"a photo of a " + c.shape + ".", "a " + c.shape + "."}
	}
	styles := map[string]any{"imagenet": map[string]any{"template": "a photo of a {}.", "classnames": names, "save_subdir": folders}}
	files := []string{"imagenet", "fgvc"}
	entry := map[string]any{"template": "a photo of a {}.", "classnames": names}
	styles["fgvc_aircraft"] = entry
	for _, layout := range coopLayouts {
		styles[layout[3]] = entry
		files = append(files, layout[4])
	}
	s.writeJSON(t, styles, "regft-for-gen/1_generate_datasets/prompt_styles.json")
	for _, f := range files {
		s.writeJSON(t, sentences, "regft-for-gen/2_finetune_classifier/gpt_file", f+"_prompt.json")
	}
}

// sets are the settings that point a spec to the stand-in and cut its sizes.
func (s *standIn) sets(t *testing.T) []string {
	t.Helper()
	var folders, objectNet []string
	for _, c := range s.classes {
		folders, objectNet = append(folders, c.imageNet.Folder), append(objectNet, c.objectNet.Folder)
	}
	resnet, err := filepath.Abs("../../testdata/goldens/resnet-a")
	if err != nil {
		t.Fatal(err)
	}
	return []string{
		"vars.root=" + s.root, "vars.dino=" + resnet,
		"vars.clip=" + s.world + "/checkpoints/clip-nano", "vars.sd21=" + s.world + "/checkpoints/sd-nano", "vars.sd15=" + s.world + "/checkpoints/sd-nano",
		"vars.classes=[" + strings.Join(folders, ", ") + "]", "vars.objectnet_classes=[" + strings.Join(objectNet, ", ") + "]",
		"vars.images_per_class=2", "vars.steps=2", "vars.epochs=1", "vars.learning_rate=1.0e-3", "vars.alphas=[0, 0.5, 1]", "vars.val_shots=2", "sweep.axes.draw.replicates=[0]",
	}
}

// cafo are CaFo's settings, cut to one epoch and one view.
func (s *standIn) cafo(t *testing.T) string {
	t.Helper()
	all := map[string]any{}
	for _, name := range []string{"imagenet", "caltech101", "pets", "cars", "flowers", "food101", "aircraft", "sun397", "dtd", "eurosat", "ucf101"} {
		all[name] = map[string]any{"beta": 12, "alpha": 5, "init": 1, "epochs": 1, "views": 1}
	}
	text, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
