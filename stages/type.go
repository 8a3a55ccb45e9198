package stages

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync"
)

// A Runner is the struct of parameters of a stage type, decoded and given its inputs: it knows how to run.
type Runner interface {
	Run(ctx context.Context, env *Env) error
}

// A Type describes a stage type.
type Type struct {
	Name    string
	Doc     string         // one sentence, with its source
	Version int            // changes when results change beyond the tolerances, or a default does
	Out     Kind           // of its output
	OutAs   string         // in place of Out: the parameter whose kind the output has
	fields  func() []Field // read from the tags once, when first asked for: a process that runs nothing needs none
	new     func() Runner

	defaultTexts func() []string // canonicalDefaults, once
}

var types = map[string]Type{}

// Register adds the stage type whose parameters are P. It is called from a package-level variable declaration and
// panics on a mistake in the type; one in its tags panics when they are first read, which every test of a stage does.
func Register[P any, PP interface {
	*P
	Runner
}](t Type) Type {
	if _, dup := types[t.Name]; dup || t.Name == "" || t.Version == 0 || t.Doc == "" || (t.Out == "") == (t.OutAs == "") {
		panic(fmt.Sprintf("stages: bad or duplicate type %q", t.Name))
	}
	t.fields = sync.OnceValue(func() []Field { return mustFields(t.Name, reflect.TypeFor[P]()) })
	t.new = func() Runner { return PP(new(P)) }
	t.defaultTexts = sync.OnceValue(t.canonicalDefaults)
	types[t.Name] = t
	return t
}

// Lookup finds a registered type.
func Lookup(name string) (Type, bool) { t, ok := types[name]; return t, ok }

// Names lists the registered types, sorted.
func Names() []string { return slices.Sorted(maps.Keys(types)) }

// Fields describes the parameters of t in the order of their declaration.
func (t Type) Fields() []Field { return t.fields() }

// Field finds a parameter by name.
func (t Type) Field(name string) (Field, bool) {
	i := slices.IndexFunc(t.fields(), func(f Field) bool { return f.Name == name })
	if i < 0 {
		return Field{}, false
	}
	return t.fields()[i], true
}

// FixedOut is the kind of t's only output, where no parameter and no input decides it.
func (t Type) FixedOut() (Kind, bool) {
	_, varies := t.new().(Outputter)
	return t.Out, !varies && t.OutAs == ""
}

// Outputs are the artifacts that r, a Runner of type t, gives. Kind is empty where it is that of an input (OutAs).
func (t Type) Outputs(r Runner) []Output {
	if o, ok := r.(Outputter); ok {
		return o.Outputs()
	}
	return []Output{{Kind: t.Out}}
}
