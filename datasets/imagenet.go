package datasets

import (
	_ "embed" // data/
	"encoding/json"
	"fmt"
	"sync"
)

// Where each file comes from is written in its "source".
var (
	//go:embed data/imagenet.json
	imageNetJSON []byte
	//go:embed data/objectnet.json
	objectNetJSON []byte
)

// imageNet is what is known of ImageNet and of the datasets that have a part of its classes.
type imageNet struct {
	classes   []Class // folder: WordNet id; name: CLIP's
	label     map[string]int
	a, r      []int            // ImageNet-A's and -R's classes, as labels of ImageNet
	objectNet []Class          // folder: ObjectNet's
	maps      map[string][]int // ObjectNet's folder to labels of ImageNet
}

// facts reads the embedded files. They are part of the program, so a mistake in them is one of the program.
var facts = sync.OnceValue(func() *imageNet {
	var in struct {
		Classes [][2]string
		A, R    []int
	}
	must(json.Unmarshal(imageNetJSON, &in))
	f := &imageNet{a: in.A, r: in.R, label: map[string]int{}, maps: map[string][]int{}}
	for i, c := range in.Classes {
		f.classes = append(f.classes, Class{Folder: c[0], Name: c[1]})
		f.label[c[0]] = i
	}
	var on struct{ Classes [][3]json.RawMessage }
	must(json.Unmarshal(objectNetJSON, &on))
	for _, row := range on.Classes {
		var c Class
		var labels []int
		must(json.Unmarshal(row[0], &c.Folder))
		must(json.Unmarshal(row[1], &c.Name))
		must(json.Unmarshal(row[2], &labels))
		f.objectNet = append(f.objectNet, c)
		f.maps[c.Folder] = labels
	}
	return f
})

func must(err error) {
	if err != nil {
		panic(fmt.Sprintf("datasets: embedded data: %v", err))
	}
}

// ImageNetClasses returns the 1,000 classes of ImageNet: folder is the WordNet id, name is CLIP's.
func ImageNetClasses() []Class { return append([]Class(nil), facts().classes...) }

// ImageNetAClasses returns the 200 classes of ImageNet-A.
func ImageNetAClasses() []Class { return facts().part(facts().a) }

// ImageNetRClasses returns the 200 classes of ImageNet-R.
func ImageNetRClasses() []Class { return facts().part(facts().r) }

func (f *imageNet) part(labels []int) []Class {
	classes := make([]Class, len(labels))
	for i, label := range labels {
		classes[i] = f.classes[label]
	}
	return classes
}

// ObjectNetClasses returns the 113 classes of ObjectNet that are classes of ImageNet, too.
func ObjectNetClasses() []Class { return append([]Class(nil), facts().objectNet...) }
