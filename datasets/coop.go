package datasets

import (
	_ "embed" // data/
	"encoding/json"
	"sync"
)

//go:embed data/coop.json
var coopJSON []byte

var coopClasses = sync.OnceValue(func() map[string][]string {
	var in struct{ Classes map[string][]string }
	must(json.Unmarshal(coopJSON, &in))
	return in.Classes
})

// CoOpClasses returns the names of a dataset's classes in the order of the labels that CoOp's split file gives them; nil for formats that
// have no such list.
func CoOpClasses(format string) []Class {
	var classes []Class
	for _, name := range coopClasses()[format] {
		classes = append(classes, Class{Folder: name, Name: name})
	}
	return classes
}
