package stages

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// A Field is what one parameter says about itself.
type Field struct {
	Name    string
	Default string // YAML text; HasDefault tells "" from none
	Unit    string
	Doc     string
	Null    string // what null means, "" where it is no value
	Enum    []string
	Min     *float64
	Max     *float64
	Kinds   []Kind            // of the artifacts it takes; nil for a plain parameter
	Map     bool              // artifacts come in a mapping
	Path    bool              // plain text is a path
	Each    bool              // one node for every artifact
	CEL     string            // the variable of its CEL
	Names   []string          // what that variable has; nil for anything …
	Types   map[string]string // … and of which type: number, text or bool
	Pool    string            // the parameter that lists axes which these artifacts are gathered over as well
	Axes    string            // it lists axes: "any" or "replicates"
	InKey   bool
	Partial bool // in the key of partial work
	Sub     []Field
	Type    reflect.Type

	HasDefault bool
	Required   bool
	index      []int
	constant   reflect.Value // the default, where it can be shared
}

// Takes reports whether the parameter takes an artifact of kind k.
func (f Field) Takes(k Kind) bool {
	for _, x := range f.Kinds {
		if x == k || x == Any {
			return true
		}
	}
	return false
}

// List reports whether the parameter takes several artifacts.
func (f Field) List() bool { return f.Type == reflect.TypeFor[[]Input]() }

var (
	pathType  = reflect.TypeFor[Path]()
	listType  = reflect.TypeFor[ListOrFile]()
	seedType  = reflect.TypeFor[Seed]()
	exprType  = reflect.TypeFor[Expr]()
	inputType = reflect.TypeFor[Input]()
	nodeType  = reflect.TypeFor[yaml.Unmarshaler]()
)

// mustFields reads the tags of struct t; a mistake in them is the programmer's and panics.
func mustFields(owner string, t reflect.Type) []Field {
	var fs []Field
	for _, sf := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(sf.Tag.Get("yaml"), ",")
		if name == "" || name == "-" {
			continue
		}
		f := field(owner+"."+name, name, sf)
		fs = append(fs, f)
	}
	return fs
}

func field(owner, name string, sf reflect.StructField) Field {
	def, hasDef := sf.Tag.Lookup("default")
	f := Field{
		Name: name, Default: def, HasDefault: hasDef, Type: sf.Type, index: sf.Index,
		Unit: sf.Tag.Get("unit"), Doc: sf.Tag.Get("doc"), Null: sf.Tag.Get("null"), CEL: sf.Tag.Get("cel"), Pool: sf.Tag.Get("pool"), Axes: sf.Tag.Get("axes"),
		Min: bound(owner, sf.Tag.Get("min")), Max: bound(owner, sf.Tag.Get("max")),
		Map: sf.Tag.Get("shape") == "map", Path: sf.Tag.Get("path") == "true", Each: sf.Tag.Get("each") == "node",
		InKey: sf.Tag.Get("key") != "-", Partial: sf.Tag.Get("partial") != "-",
	}
	if e := sf.Tag.Get("enum"); e != "" {
		f.Enum = strings.Split(e, ",")
	}
	if names := sf.Tag.Get("names"); names != "" {
		f.Types = map[string]string{}
		for text := range strings.SplitSeq(names, ",") {
			name, is, _ := strings.Cut(text, " ")
			f.Names = append(f.Names, name)
			f.Types[name] = is
		}
	}
	for k := range strings.SplitSeq(sf.Tag.Get("in"), ",") {
		if k != "" {
			f.Kinds = append(f.Kinds, Kind(k))
		}
	}
	if isStruct(sf.Type) {
		f.Sub = mustFields(owner, deref(sf.Type))
	}
	f.Required = !hasDef && sf.Type.Kind() != reflect.Pointer && sf.Type != seedType && sf.Tag.Get("optional") != "true"
	check(owner, f)
	f.constant = f.constantDefault()
	return f
}

func isStruct(t reflect.Type) bool {
	t = deref(t)
	return t.Kind() == reflect.Struct && t != listType && t != exprType && t != inputType && !reflect.PointerTo(t).Implements(nodeType)
}

func deref(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Pointer {
		return t.Elem()
	}
	return t
}

func check(owner string, f Field) {
	if f.Doc == "" {
		panic(fmt.Sprintf("stages: %s has no doc", owner))
	}
	if isInput := deref(f.Type) == inputType || f.List(); isInput != (f.Kinds != nil) {
		panic(fmt.Sprintf("stages: %s: in: belongs to fields of type Input, *Input or []Input", owner))
	}
	if f.HasDefault {
		if err := f.decodeDefault(reflect.New(f.Type).Elem()); err != nil {
			panic(fmt.Sprintf("stages: %s: default %q: %v", owner, f.Default, err))
		}
	}
}

func bound(owner, s string) *float64 {
	if s == "" {
		return nil
	}
	x, err := strconv.ParseFloat(s, 64)
	if err != nil {
		panic(fmt.Sprintf("stages: %s: bound %q: %v", owner, s, err))
	}
	return &x
}
