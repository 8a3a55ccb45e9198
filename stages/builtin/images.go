package builtin

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"regft/cache"
	"regft/datasets"
	"regft/stages"
)

// An image is one picture of a set: its line of metadata.jsonl, and where its content is.
type image struct {
	datasets.Row
	blob cache.File
}

// imageSet is an images artifact in memory, without the pixels.
type imageSet struct {
	classes []datasets.Class
	images  []image
}

// readImages reads an images artifact.
func readImages(ctx context.Context, a stages.Artifact) (*imageSet, error) {
	s := &imageSet{}
	var err error
	if s.classes, err = classesOf(ctx, a); err != nil {
		return nil, err
	}
	text, err := a.ReadFile(ctx, datasets.MetadataFile)
	if err != nil {
		return nil, err
	}
	rows, err := datasets.ReadRows(bytes.NewReader(text))
	if err == nil {
		err = datasets.CheckLabels(rows, s.classes)
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s of a set of pictures: %w", datasets.MetadataFile, err)
	}
	for _, row := range rows {
		f, ok := a.Manifest.Lookup(row.FileName)
		if !ok {
			return nil, fmt.Errorf("%s names %s, which is not among the pictures", datasets.MetadataFile, row.FileName)
		}
		s.images = append(s.images, image{row, f})
	}
	return s, nil
}

// write makes s the output called out. Pictures are named anew after their place in the set and the seed that drew
// it, 0 for none; their content is in the store already.
func (s *imageSet) write(env *stages.Env, out string, seed uint64) error {
	dir, err := env.OutputDir(out)
	if err != nil {
		return err
	}
	rows := make([]datasets.Row, len(s.images))
	for i, im := range s.images {
		im.FileName = path.Join(s.folder(im), fmt.Sprintf("%04d_%06d%s", seed, i, strings.ToLower(path.Ext(im.blob.Name))))
		im.blob.Name = im.FileName
		env.Host.Output(out, im.blob)
		rows[i] = im.Row
	}
	var metadata bytes.Buffer
	if err := datasets.WriteRows(&metadata, rows); err != nil {
		return fmt.Errorf("writing %s: %w", datasets.MetadataFile, err)
	}
	classes, err := classLines(s.classes)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, datasets.MetadataFile), metadata.Bytes(), 0o666); err != nil {
		return fmt.Errorf("writing %s: %w", datasets.MetadataFile, err)
	}
	if err := os.WriteFile(filepath.Join(dir, datasets.ClassesFile), classes, 0o666); err != nil {
		return fmt.Errorf("writing %s: %w", datasets.ClassesFile, err)
	}
	return nil
}

// folder is the class's, as one path element; pictures without labels have none.
func (s *imageSet) folder(im image) string {
	if im.Label == datasets.Unlabelled {
		return ""
	}
	return strings.ReplaceAll(s.classes[im.Label].Folder, "/", "%2F")
}

// counts are the pictures of each class.
func (s *imageSet) counts() []int {
	n := make([]int, len(s.classes))
	for _, im := range s.images {
		if im.Label != datasets.Unlabelled {
			n[im.Label]++
		}
	}
	return n
}
