package builtin

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"regft/datasets"
	"regft/stages"

	"golang.org/x/text/unicode/norm"
)

// classesOf reads classes.txt of an artifact. Pictures without labels have an empty one.
func classesOf(ctx context.Context, a stages.Artifact) ([]datasets.Class, error) {
	text, err := a.ReadFile(ctx, datasets.ClassesFile)
	if err != nil || len(bytes.TrimSpace(text)) == 0 {
		return nil, err
	}
	classes, err := datasets.ParseClasses(datasets.Lines(string(text)))
	if err != nil {
		return nil, fmt.Errorf("reading %s of a %s artifact: %w", datasets.ClassesFile, a.Kind, err)
	}
	return classes, nil
}

// sameClasses refuses two artifacts whose class lists differ, naming the first difference.
func sameClasses(ctx context.Context, nameA string, a stages.Artifact, nameB string, b stages.Artifact) error {
	ca, err := classesOf(ctx, a)
	if err != nil {
		return fmt.Errorf("%s: %w", nameA, err)
	}
	cb, err := classesOf(ctx, b)
	if err != nil {
		return fmt.Errorf("%s: %w", nameB, err)
	}
	for i := range min(len(ca), len(cb)) {
		if !sameClass(ca[i], cb[i]) {
			first, second := strconv.Quote(ca[i].Folder), strconv.Quote(cb[i].Folder)
			if norm.NFC.String(first) == norm.NFC.String(second) { // they look alike: show how they are written
				first, second = strconv.QuoteToASCII(ca[i].Folder), strconv.QuoteToASCII(cb[i].Folder)
			}
			return fmt.Errorf("the class lists of %s and %s do not match: label %d is %s in the first and %s in the second: give both stages the same classes, in the same order",
				nameA, nameB, i, first, second)
		}
	}
	if len(ca) != len(cb) {
		return fmt.Errorf("the class lists of %s and %s do not match: %d and %d classes; give both stages the same", nameA, nameB, len(ca), len(cb))
	}
	return nil
}

// wnid is what identifies a class of ImageNet.
var wnid = regexp.MustCompile(`^n\d{8}$`)

// projectionOf says which of a classifier's classes stand for each of data's: nil where the lists are one. Only
// classifiers of ImageNet's classes, known by their wnids, are measured on others, as ImageNet-R, -A and ObjectNet need.
func projectionOf(ctx context.Context, classifier, data stages.Artifact) ([][]int, error) {
	mismatch := sameClasses(ctx, "classifier", classifier, "data", data)
	if mismatch == nil {
		return nil, nil
	}
	own, err := classesOf(ctx, classifier)
	if err != nil {
		return nil, err
	}
	others, err := classesOf(ctx, data)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(own, func(c datasets.Class) bool { return !wnid.MatchString(c.Folder) }) || len(others) == 0 {
		return nil, mismatch
	}
	return datasets.Projection(others, own)
}

// project makes logits [n, classes] those of a projection: the largest of the classes that stand for one.
func project(logits []float32, classes int, projection [][]int) []float32 {
	var out []float32
	for row := range slices.Chunk(logits, classes) {
		for _, stand := range projection {
			best := row[stand[0]]
			for _, k := range stand[1:] {
				best = max(best, row[k])
			}
			out = append(out, best)
		}
	}
	return out
}

// sameClass tells whether two lines of class lists mean one class: lists that people wrote name folders, names or
// both, with _ for a space.
func sameClass(a, b datasets.Class) bool {
	spaced := func(s string) string { return strings.ReplaceAll(s, "_", " ") }
	return a.Folder == b.Folder || spaced(a.Name) == spaced(b.Name)
}
