package stages

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// A Problem is one mistake in the parameters of a stage.
type Problem struct {
	Node  *yaml.Node // where
	Param string
	Text  string   // what is wrong
	Want  string   // what was expected, if that is not in Text
	Got   string   // a name that is not known …
	Names []string // … and those that are
}

// Error is the problem in one line, without its place.
func (p Problem) Error() string {
	if p.Want == "" {
		return p.Text
	}
	return p.Text + ": " + p.Want
}

// Context is what decoding needs to know of the spec.
type Context struct {
	Dir  string // where relative paths start
	Seed Seed   // of the spec

	// Decoded holds, by node, what lists that many instances share were decoded to, the zero value before the first.
	Decoded map[*yaml.Node]*reflect.Value
}

// Decode reads the parameters of one instance of t from a mapping in which nothing is left to evaluate, and reports
// every mistake. Artifacts and CEL are left out: they count as given, and SetInputs and SetExpr fill them in.
func (t Type) Decode(n *yaml.Node, c Context) (Runner, []Problem) {
	r := t.new()
	d := decoder{Context: c}
	d.mapping(reflect.ValueOf(r).Elem(), t.fields(), n, "")
	if s, ok := r.(SpecSeeder); ok {
		s.SetSpecSeed(c.Seed)
	}
	if v, ok := r.(ParamValidator); ok {
		for _, problem := range v.ValidateParams() {
			if !slices.ContainsFunc(d.problems, func(p Problem) bool { return p.Param == problem.Param }) {
				problem.Node = inside(n, problem.Param)
				d.problems = append(d.problems, problem)
			}
		}
	}
	if v, ok := r.(Validator); ok && len(d.problems) == 0 {
		for _, err := range Broken(v.Validate()) {
			problem, placed := errors.AsType[Problem](err)
			if !placed {
				problem.Text = err.Error()
			}
			problem.Node = inside(n, problem.Param)
			d.problems = append(d.problems, problem)
		}
	}
	return r, d.problems
}

// inside is the node at path, names and indices with dots between, in n; as far as that is there.
func inside(n *yaml.Node, path string) *yaml.Node {
	for step := range strings.SplitSeq(path, ".") {
		next := n
		for i := 0; i < len(n.Content); i++ {
			if n.Kind == yaml.SequenceNode && strconv.Itoa(i) == step {
				next = n.Content[i]
			}
			if n.Kind == yaml.MappingNode && i%2 == 1 && n.Content[i-1].Value == step {
				next = n.Content[i]
			}
		}
		n = next
	}
	return n
}

type decoder struct {
	Context
	problems []Problem
}

func (d *decoder) bad(at *yaml.Node, param, format string, args ...any) {
	d.problems = append(d.problems, Problem{Node: at, Param: param, Text: fmt.Sprintf(format, args...)})
}

func (d *decoder) mapping(v reflect.Value, fields []Field, n *yaml.Node, prefix string) {
	if n.Kind != yaml.MappingNode {
		d.bad(n, strings.TrimSuffix(prefix, "."), "%swant a mapping of parameters, got %s", strings.Replace(prefix, ".", ": ", 1), describe(n))
		return
	}
	given := map[string]bool{}
	d.defaults(v, fields)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, val := n.Content[i], n.Content[i+1]
		j := slices.IndexFunc(fields, func(f Field) bool { return f.Name == key.Value })
		if j < 0 {
			d.problems = append(d.problems, Problem{Node: key, Param: prefix + key.Value, Text: fmt.Sprintf("unknown parameter %q", prefix+key.Value), Got: key.Value, Names: names(fields)})
			continue
		}
		given[key.Value] = true
		d.value(v.FieldByIndex(fields[j].index), fields[j], val, prefix)
	}
	for _, f := range fields {
		if f.Required && !given[f.Name] {
			d.bad(n, prefix+f.Name, "parameter %q is required: %s", prefix+f.Name, f.Doc)
		}
	}
}

func (d *decoder) defaults(v reflect.Value, fields []Field) {
	for k := range fields {
		f := &fields[k]
		fv := v.FieldByIndex(f.index)
		switch {
		case f.Type == seedType:
			fv.SetUint(uint64(d.Seed))
		case f.constant.IsValid():
			fv.Set(f.constant)
		case f.HasDefault:
			_ = f.decodeDefault(fv) // check tried it
		}
	}
}

// decodeDefault sets v to f's default.
func (f Field) decodeDefault(v reflect.Value) error {
	return yaml.Unmarshal([]byte(f.Default), v.Addr().Interface())
}

// constantDefault is f's default, decoded once, where instances can share it: nothing writes through it. Else it is not
// valid.
func (f Field) constantDefault() reflect.Value {
	v := reflect.New(f.Type).Elem()
	if !f.HasDefault || !isPlain(f.Type) && (f.Type.Kind() != reflect.Slice || !isPlain(f.Type.Elem())) || f.decodeDefault(v) != nil {
		return reflect.Value{}
	}
	return v
}

// isPlain says that values of t hold no pointers to what may change.
func isPlain(t reflect.Type) bool {
	return t.Kind() >= reflect.Bool && t.Kind() <= reflect.Float64 || t.Kind() == reflect.String
}

// value decodes one parameter. yaml.v3's own messages name Go types, so the kind of node is checked first.
func (d *decoder) value(v reflect.Value, f Field, n *yaml.Node, prefix string) {
	name := prefix + f.Name
	if shared := d.Decoded[n]; shared != nil {
		if shared.IsValid() && shared.Type() == v.Type() {
			v.Set(*shared)
			return
		}
		found := len(d.problems)
		defer func() {
			if len(d.problems) == found {
				*shared = reflect.ValueOf(v.Interface()) // no part of this instance
			}
		}()
	}
	if at, what := unfit(n, f.Kinds == nil && f.Sub == nil && !texts(f.Type)); at != nil {
		d.bad(at, name, "%s: %s", name, what)
		return
	}
	switch {
	case f.Kinds != nil, f.CEL != "" && n.Kind == yaml.ScalarNode:
		given(v)
		return
	case n.Tag == "!!null":
		if f.Null == "" {
			d.bad(n, name, "%s: null is no value of it; leave it out for %s", name, f.orElse())
			return
		}
		v.SetZero()
		return
	case f.Type == pathType || f.Type == listType:
		d.path(v, f, n, name)
		return
	case f.Sub != nil:
		if v.Kind() == reflect.Pointer {
			v.Set(reflect.New(v.Type().Elem()))
			v = v.Elem()
		}
		d.mapping(v, f.Sub, n, name+".")
		return
	}
	if problem := mismatch(f.Type, n); problem != "" {
		d.bad(n, name, "%s: want %s, got %s", name, f.TypeName(), problem)
		return
	}
	if !d.elements(f, n, name) {
		return
	}
	if f.Type.Kind() == reflect.Map && reflect.PointerTo(f.Type.Elem()).Implements(nodeType) {
		d.entries(v, f, n, name)
		return
	}
	if err := whole(f.Type, n).Decode(v.Addr().Interface()); err != nil {
		d.failed(err, f, n, name, name)
		return
	}
	d.limits(f, n, name)
}

// entries decodes those of a map one by one, so that each mistake in them is told.
func (d *decoder) entries(v reflect.Value, f Field, n *yaml.Node, name string) {
	v.Set(reflect.MakeMap(f.Type))
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, val := n.Content[i], n.Content[i+1]
		e := reflect.New(f.Type.Elem())
		if err := val.Decode(e.Interface()); err != nil {
			element := f
			element.Type = f.Type.Elem()
			d.failed(err, element, val, name, name+"."+key.Value)
			continue
		}
		v.SetMapIndex(reflect.ValueOf(key.Value), e.Elem())
	}
}

// failed notes why n, which is called so, is no value of parameter f.
func (d *decoder) failed(err error, f Field, n *yaml.Node, param, called string) {
	for _, err := range Broken(err) {
		if own, knows := errors.AsType[Problem](err); knows { // where, and what would be right
			own.Param, own.Text = param, called+": "+own.Text
			d.problems = append(d.problems, own)
			continue
		}
		d.bad(n, param, "%s: %s", called, reason(err, f, n))
	}
}

// unfit finds in n what no parameter takes, and says what it is: a NUL character, or where numbers may stand one that is
// not finite. nil: there is nothing of that kind.
func unfit(n *yaml.Node, numbers bool) (at *yaml.Node, what string) {
	if n.Kind == yaml.ScalarNode {
		text := strings.ToLower(n.Value)
		switch {
		case strings.ContainsRune(text, 0):
			return n, "there is a NUL character in it"
		case numbers && n.Tag == "!!float" && (text == ".nan" || strings.HasSuffix(text, ".inf")):
			return n, "want a finite number, got " + n.Value
		}
	}
	for _, c := range n.Content {
		if at, what := unfit(c, numbers); at != nil {
			return at, what
		}
	}
	return nil, ""
}

// texts reports whether values of t are texts, or lists of them.
func texts(t reflect.Type) bool {
	t = deref(t)
	if t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	return t.Kind() == reflect.String || t == listType
}

// elements checks those of a list one by one, so that what is wrong has its own place.
func (d *decoder) elements(f Field, n *yaml.Node, name string) bool {
	t := deref(f.Type)
	if n.Kind != yaml.SequenceNode || t.Kind() != reflect.Slice {
		return true
	}
	ok := true
	for _, e := range n.Content {
		problem := mismatch(t.Elem(), e)
		if e.Tag == "!!null" {
			problem = "null"
		}
		if problem != "" {
			d.bad(e, name, "%s: want %s, got %s", name, f.TypeName(), problem)
			ok = false
		}
	}
	return ok
}

// whole is n with whole numbers written without a fraction: 25.0 is 25.
func whole(t reflect.Type, n *yaml.Node) *yaml.Node {
	t = deref(t)
	switch {
	case n.Tag == "!!float" && t.Kind() >= reflect.Int && t.Kind() <= reflect.Uint64:
		x, err := strconv.ParseFloat(n.Value, 64)
		if err != nil || x != math.Trunc(x) || math.Abs(x) > 1<<53 {
			return n
		}
		out := *n
		out.Tag, out.Value = "!!int", strconv.FormatInt(int64(x), 10)
		return &out
	case n.Kind == yaml.SequenceNode && t.Kind() == reflect.Slice:
		out := *n
		out.Content = nil
		for _, e := range n.Content {
			out.Content = append(out.Content, whole(t.Elem(), e))
		}
		return &out
	}
	return n
}

// given marks a parameter that is filled in later, for Validate to see that it is there.
func given(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
	}
}

// reason is the text of an error of a parameter's own UnmarshalYAML; yaml.v3's own name Go types.
func reason(err error, f Field, n *yaml.Node) string {
	if _, foreign := errors.AsType[*yaml.TypeError](err); foreign {
		return "want " + f.TypeName() + ", got " + describe(n)
	}
	return err.Error()
}

func (d *decoder) limits(f Field, n *yaml.Node, name string) {
	if x, err := strconv.ParseFloat(n.Value, 64); err == nil && n.Kind == yaml.ScalarNode && (f.Min != nil && x < *f.Min || f.Max != nil && x > *f.Max) {
		d.bad(n, name, "%s: %s is outside %s", name, n.Value, f.Range())
	}
	if f.Enum == nil {
		return
	}
	elems := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		elems = n.Content
	}
	for _, e := range elems {
		if !slices.Contains(f.Enum, e.Value) {
			d.problems = append(d.problems, Problem{Node: e, Param: name, Text: fmt.Sprintf("%s: %q is not a value of it", name, e.Value), Want: "one of " + strings.Join(f.choices(), ", "), Got: e.Value, Names: f.choices()})
		}
	}
}

// choices are the values of an enum that people write.
func (f Field) choices() []string {
	return slices.DeleteFunc(slices.Clone(f.Enum), func(s string) bool { return s == "" })
}

func (d *decoder) path(v reflect.Value, f Field, n *yaml.Node, name string) {
	abs := func(s string) Path {
		if filepath.IsAbs(s) {
			return Path(filepath.Clean(s))
		}
		return Path(filepath.Join(d.Dir, s))
	}
	switch {
	case n.Kind == yaml.ScalarNode && n.Value == "":
		d.bad(n, name, "%s: an empty path", name)
	case n.Kind == yaml.ScalarNode && f.Type == pathType:
		v.SetString(string(abs(n.Value)))
	case n.Kind == yaml.ScalarNode:
		v.Set(reflect.ValueOf(ListOrFile{File: abs(n.Value)}))
	case n.Kind == yaml.SequenceNode && f.Type == listType:
		l := ListOrFile{List: []string{}}
		for _, e := range n.Content {
			if e.Kind != yaml.ScalarNode || e.Tag == "!!null" {
				d.bad(e, name, "%s: want text, got %s", name, describe(e))
				continue
			}
			l.List = append(l.List, e.Value)
		}
		v.Set(reflect.ValueOf(l))
	default:
		d.bad(n, name, "%s: want %s, got %s", name, f.TypeName(), describe(n))
	}
}

// mismatch says what n is where it cannot be a t, "" where it can.
func mismatch(t reflect.Type, n *yaml.Node) string {
	if reflect.PointerTo(deref(t)).Implements(nodeType) {
		return ""
	}
	ok := true
	switch deref(t).Kind() {
	case reflect.Int, reflect.Int64, reflect.Uint64:
		ok = whole(t, n).Tag == "!!int"
	case reflect.Float64:
		ok = n.Tag == "!!int" || n.Tag == "!!float"
	case reflect.Bool:
		ok = n.Tag == "!!bool"
	case reflect.String:
		ok = n.Kind == yaml.ScalarNode
	case reflect.Slice:
		ok = n.Kind == yaml.SequenceNode
	case reflect.Map:
		ok = n.Kind == yaml.MappingNode
	}
	if ok {
		return ""
	}
	return describe(n)
}

func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.SequenceNode:
		return "a list"
	case yaml.MappingNode:
		return "a mapping"
	}
	if n.Tag != "!!str" {
		return n.Value
	}
	if _, err := strconv.ParseFloat(n.Value, 64); errors.Is(err, strconv.ErrRange) {
		return n.Value + ", which is too large for a number"
	}
	return strconv.Quote(n.Value)
}

func names(fs []Field) []string {
	var out []string
	for _, f := range fs {
		out = append(out, f.Name)
	}
	return out
}

// orElse says what leaving a parameter out means.
func (f Field) orElse() string {
	switch {
	case f.HasDefault && f.Default == "":
		return "the default, an empty text"
	case f.HasDefault:
		return "the default, " + f.Default
	}
	return "none"
}
