package readers

import (
	"context"
	"fmt"
	"math"
	"path"
	"slices"
	"strings"

	"regft/datasets/python"
)

// seed is the one with which CoOp's train.py and Tip-Adapter's main.py draw splits.
const seed = 1

// classFolders draws the splits of a folder for each class below `images` as CoOp does (DTD.read_and_split_data): each class's pictures
// are shuffled, and half are for training, a fifth for validation. Folders in `ignored` are none; `rename` gives the names of classes
// that are not called as their folders.
func classFolders(images string, ignored []string, rename map[string]string) func(context.Context, *tree) (splits, error) {
	return func(ctx context.Context, t *tree) (splits, error) {
		folders, stray, err := t.split(ctx, images)
		if err != nil {
			return nil, err
		}
		if stray != nil {
			return nil, fmt.Errorf("%d pictures lie beside the class folders in %s: %s", len(stray), t.local(images), strings.Join(stray, ", "))
		}
		folders = slices.DeleteFunc(folders, func(f string) bool { return slices.Contains(ignored, path.Base(f)) })
		random, out := python.NewRandom(seed), splits{}
		for label, folder := range folders {
			inner, pictures, err := t.split(ctx, folder)
			if err != nil {
				return nil, err
			}
			if inner != nil {
				return nil, fmt.Errorf("the folder %s lies among the pictures of a class", t.local(inner[0]))
			}
			name := path.Base(folder)
			if other, ok := rename[name]; ok {
				name = other
			}
			var items []item
			for _, p := range pictures {
				items = append(items, item{p, label, name})
			}
			if err := out.halve(random, items, name); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
}

// halve shuffles a class's pictures and adds half of them to train, a fifth to val, the rest to test; Python rounds halves to even.
func (s splits) halve(random *python.Random, items []item, class string) error {
	python.Shuffle(random, items)
	train, val := int(math.RoundToEven(float64(len(items))*0.5)), int(math.RoundToEven(float64(len(items))*0.2))
	if train == 0 || val == 0 || len(items) <= train+val {
		return fmt.Errorf("class %q has %d pictures: too few to split into train, val and test", class, len(items))
	}
	s["train"] = append(s["train"], items[:train]...)
	s["val"] = append(s["val"], items[train:train+val]...)
	s["test"] = append(s["test"], items[train+val:]...)
	return nil
}

// heldOut returns the official training and test pictures as splits: a fifth of each class's training pictures is for validation, as
// CoOp draws them (OxfordPets.split_trainval).
func heldOut(trainval, test []item) (splits, error) {
	random, out := python.NewRandom(seed), splits{"test": test}
	for _, items := range byFirstSeen(trainval) {
		val := int(math.RoundToEven(float64(len(items)) * 0.2))
		if val == 0 {
			return nil, fmt.Errorf("class %q has %d training pictures: too few to keep a fifth for validation", items[0].class, len(items))
		}
		python.Shuffle(random, items)
		out["val"] = append(out["val"], items[:val]...)
		out["train"] = append(out["train"], items[val:]...)
	}
	return out, nil
}

// byFirstSeen groups items by label, labels in the order in which they first occur.
func byFirstSeen(items []item) [][]item {
	var groups [][]item
	at := map[int]int{}
	for _, it := range items {
		i, seen := at[it.label]
		if !seen {
			i = len(groups)
			at[it.label] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], it)
	}
	return groups
}

// listed reads a text file line by line; parse makes an item of a line without its spaces. Errors name the line.
func (t *tree) listed(name string, parse func(line string) (item, error)) ([]item, error) {
	lines, err := t.lines(name)
	if err != nil {
		return nil, err
	}
	items := make([]item, len(lines))
	for i, line := range lines {
		if items[i], err = parse(strings.TrimSpace(line)); err != nil {
			return nil, fmt.Errorf("%s:%d: %q: %w", t.local(name), i+1, line, err)
		}
	}
	return items, nil
}

// numbered reads a list of names, one a line, whose numbers are labels. Empty lines after the last are allowed, names that repeat are not.
func (t *tree) numbered(name string) ([]string, map[string]int, error) {
	lines, err := t.lines(name)
	if err != nil {
		return nil, nil, err
	}
	var names []string
	labels := map[string]int{}
	for i, line := range lines {
		line = strings.TrimSpace(line)
		if line == "" && strings.TrimSpace(strings.Join(lines[i:], "")) == "" {
			break
		}
		if other, twice := labels[line]; twice || line == "" {
			return nil, nil, fmt.Errorf("%s:%d: %q is empty, or line %d already", t.local(name), i+1, line, other+1)
		}
		labels[line] = i
		names = append(names, line)
	}
	return names, labels, nil
}
