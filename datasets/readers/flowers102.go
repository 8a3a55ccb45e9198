package readers

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"

	"regft/datasets"
	"regft/datasets/python"
)

func init() {
	datasets.Register("flowers102", splitFile{images: "jpg", file: "split_zhou_OxfordFlowers.json", fallback: flowerLabels, format: "flowers102"})
}

// flowerLabels reads imagelabels.mat, the classes of the pictures image_00001.jpg, … from 1 on, and cat_to_name.json, their names.
func flowerLabels(_ context.Context, t *tree) (splits, error) {
	const labelFile, nameFile = "imagelabels.mat", "cat_to_name.json"
	labels, err := readMAT(t.local(labelFile), "labels")
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(t.local(nameFile))
	if err != nil {
		return nil, err
	}
	var names map[string]string
	if err := json.Unmarshal(data, &names); err != nil {
		return nil, fmt.Errorf("reading %s: %w", t.local(nameFile), err)
	}
	var items []item
	for i, number := range labels.numbers {
		name, ok := names[strconv.Itoa(int(number))]
		if !ok || number < 1 || number > mostClasses {
			return nil, fmt.Errorf("%s: picture %d is of class %v, which %s does not name", t.local(labelFile), i+1, number, nameFile)
		}
		picture := fmt.Sprintf("jpg/image_%05d.jpg", i+1)
		if !t.exists(picture) {
			return nil, fmt.Errorf("%s is missing, of which %s has the class", t.local(picture), labelFile)
		}
		items = append(items, item{picture, int(number) - 1, name})
	}
	random, out := python.NewRandom(seed), splits{}
	for _, group := range byFirstSeen(items) {
		if err := out.halve(random, group, group[0].class); err != nil {
			return nil, err
		}
	}
	return out, nil
}
