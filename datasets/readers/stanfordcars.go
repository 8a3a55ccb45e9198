package readers

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"regft/datasets"
)

func init() {
	datasets.Register("stanfordcars", splitFile{images: ".", file: "split_zhou_StanfordCars.json", fallback: carAnnotations, format: "stanfordcars"})
}

// carAnnotations reads the development kit's annotations. Names have their year moved to the front, as in CoOp.
func carAnnotations(_ context.Context, t *tree) (splits, error) {
	meta, err := readMAT(t.local("devkit/cars_meta.mat"), "class_names")
	if err != nil {
		return nil, err
	}
	var names []string
	for _, cell := range meta.cells {
		words := strings.Fields(cell.text)
		if len(words) == 0 {
			return nil, fmt.Errorf("%s: class %d has no name", t.local("devkit/cars_meta.mat"), len(names)+1)
		}
		last := len(words) - 1
		names = append(names, strings.Join(append([]string{words[last]}, words[:last]...), " "))
	}
	trainval, err := cars(t, "cars_train", "devkit/cars_train_annos.mat", names)
	if err != nil {
		return nil, err
	}
	test, err := cars(t, "cars_test", "cars_test_annos_withlabels.mat", names)
	if err != nil {
		return nil, err
	}
	return heldOut(trainval, test)
}

// cars reads one annotation file: structs with the picture's file name and its class from 1 on.
func cars(t *tree, folder, file string, names []string) ([]item, error) {
	annotations, err := readMAT(t.local(file), "annotations")
	if err != nil {
		return nil, err
	}
	classes, files := annotations.fields["class"], annotations.fields["fname"]
	if len(classes) != len(files) || len(files) == 0 {
		return nil, fmt.Errorf("%s: want annotations with class and fname", t.local(file))
	}
	items := make([]item, len(files))
	for i := range files {
		number := classes[i].numbers
		if len(number) != 1 || number[0] < 1 || int(number[0]) > len(names) || !fs.ValidPath(files[i].text) {
			return nil, fmt.Errorf("%s: annotation %d has the class %v and the picture %q: want a class from 1 to %d", t.local(file), i+1, number, files[i].text, len(names))
		}
		label := int(number[0]) - 1
		items[i] = item{path.Join(folder, files[i].text), label, names[label]}
	}
	return items, nil
}
