package datasets

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestCoOpClasses: as many as published, all different but for case, and those of the goldens among them.
func TestCoOpClasses(t *testing.T) {
	for format, n := range map[string]int{"caltech101": 100, "dtd": 47, "eurosat": 10, "fgvcaircraft": 100, "flowers102": 102, "food101": 101, "oxfordpets": 37,
		"stanfordcars": 196, "sun397": 397, "ucf101": 101} {
		var names []string
		for _, c := range CoOpClasses(format) {
			names = append(names, c.Name)
		}
		if distinct := slices.Compact(slices.Sorted(slices.Values(names))); len(names) != n || len(distinct) != n {
			t.Errorf("%s has %d names, %d of them distinct: want %d", format, len(names), len(distinct), n)
		}
		content, err := os.ReadFile(filepath.Join("../testdata/goldens/datasets", format, "expected.json"))
		if err != nil {
			t.Fatal(err)
		}
		var golden struct{ Classes []string }
		if err := json.Unmarshal(content, &golden); err != nil || len(golden.Classes) == 0 {
			t.Fatalf("%s: %v", format, err)
		}
		at := -1
		for _, name := range golden.Classes {
			label := slices.Index(names, strings.ReplaceAll(name, "_", " "))
			if label < 0 || label < at && format != "sun397" && format != "caltech101" {
				t.Errorf("%s: %q has label %d", format, name, label)
			}
			at = label
		}
	}
	if CoOpClasses("imagefolder") != nil || CoOpClasses("source") != nil {
		t.Error("classes of what is no such dataset")
	}
}
