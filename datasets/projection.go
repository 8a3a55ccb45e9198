package datasets

import "fmt"

// Projection returns, for every class of a dataset, the classes of a classifier that stand for it: a dataset's logit is the largest of
// these logits.
//
// Lists that agree line by line, in folders or in names, are one list. Else classes are the same if their folders are, never because
// their names are: ImageNet has two called missile. A class of ObjectNet may stand for several of ImageNet. Classes of the dataset that
// the classifier lacks are an error that names them.
func Projection(dataset, classifier []Class) ([][]int, error) {
	out := make([][]int, len(dataset))
	if agree(dataset, classifier) {
		for i := range out {
			out[i] = []int{i}
		}
		return out, nil
	}
	position := make(map[string]int, len(classifier))
	for i, c := range classifier {
		if other, twice := position[c.Folder]; twice {
			return nil, fmt.Errorf("the classifier has %q as classes %d and %d: folders are needed to tell them apart", c.Folder, other, i)
		}
		position[c.Folder] = i
	}
	var missing []string
	for i, c := range dataset {
		if out[i] = stands(c, position); out[i] == nil {
			missing = append(missing, c.Folder)
		}
	}
	if missing != nil {
		return nil, fmt.Errorf("%d of the dataset's %d classes are none of the classifier's: %s", len(missing), len(dataset), Names(missing))
	}
	return out, nil
}

// stands returns the positions of the classes that stand for a dataset's.
func stands(c Class, position map[string]int) (at []int) {
	if i, ok := position[c.Folder]; ok {
		return []int{i}
	}
	f := facts()
	for _, label := range f.maps[c.Folder] {
		if i, ok := position[f.classes[label].Folder]; ok {
			at = append(at, i)
		}
	}
	return at
}

// agree reports whether two lists are the same, line by line, in folders or in names.
func agree(a, b []Class) bool {
	if len(a) != len(b) {
		return false
	}
	folders, names := true, true
	for i := range a {
		folders = folders && a[i].Folder == b[i].Folder
		names = names && a[i].Name == b[i].Name
	}
	return folders || names
}
