package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"regft/cache"
	"regft/stages"
)

// work is what a node does once its inputs are decided: its runner and inputs, less the members that a condition left
// out, and the lines of its key that no content changes.
type work struct {
	runner stages.Runner
	inputs []input
	own    []string
}

// work gives n's work as things stand.
func (n *Node) work() work {
	all := work{n.runner, n.inputs, n.own}
	if n.users[0].whenever {
		return all
	}
	dropped := droppedMembers(n.inputs)
	if !slices.Contains(dropped, true) {
		return all
	}
	var w work
	byField := map[string][]stages.Input{}
	for i, bound := range n.Type.Inputs(n.runner) {
		if !dropped[i] {
			w.inputs = append(w.inputs, n.inputs[i])
			byField[bound.Field.Name] = append(byField[bound.Field.Name], *bound.Input)
		}
	}
	label(w.inputs, elementLabel)
	w.runner = n.Type.Clone(n.runner)
	for _, f := range n.Type.Fields() {
		if f.Kinds != nil && f.List() {
			n.Type.SetInputs(w.runner, f, byField[f.Name])
		}
	}
	w.own = ownLines(n.Type, w.runner)
	return w
}

// ownLines are the lines of a key that neither inputs nor the user's files change.
func ownLines(t *stages.Type, r stages.Runner) []string {
	return append(t.ParamLines(r, false), fmt.Sprintf("stage %s v%d", t.Name, t.Version))
}

// droppedMembers says which gathered inputs a condition leaves out: those that are skipped, and in the other lists
// those all of whose counterparts, the members that agree on the axes that both have, are skipped.
func droppedMembers(in []input) []bool {
	dropped := make([]bool, len(in))
	for i, x := range in {
		dropped[i] = x.member != nil && x.gathered() && x.member.fate == skipped
	}
	if !slices.Contains(dropped, true) {
		return dropped
	}
	for i, x := range in {
		dropped[i] = dropped[i] || x.gathered() && lostCounterparts(in, x)
	}
	return dropped
}

func lostCounterparts(in []input, x input) bool {
	all, lost := map[string]int{}, map[string]int{}
	for _, y := range in {
		if y.field.Name == x.field.Name || !y.gathered() || !shareAxis(x.coords, y.coords) || !stages.Agree(x.coords, y.coords) {
			continue
		}
		all[y.field.Name]++
		if y.member != nil && y.member.fate == skipped {
			lost[y.field.Name]++
		}
	}
	for name, n := range all {
		if lost[name] == n {
			return true
		}
	}
	return false
}

func shareAxis(a, b []stages.Coord) bool {
	return slices.ContainsFunc(a, func(x stages.Coord) bool {
		return slices.ContainsFunc(b, func(y stages.Coord) bool { return x.Axis == y.Axis })
	})
}

// keyText joins the lines of a key: the stage's, then all others sorted.
func keyText(lines []string) string {
	var t lineSorter
	for _, l := range lines {
		t.line(l)
	}
	return string(t.sorted())
}

// lineSorter is room for the texts of keys and recipes, one after the other.
type lineSorter struct {
	lines []byte
	ends  []int // of the lines
	order []int // the lines, sorted
	text  []byte
}

func (t *lineSorter) line(text string) {
	t.lines = append(t.lines, text...)
	t.end()
}

// end ends the line that was written to t.lines.
func (t *lineSorter) end() { t.ends = append(t.ends, len(t.lines)) }

// at is the k-th line.
func (t *lineSorter) at(k int) []byte {
	if k == 0 {
		return t.lines[:t.ends[0]]
	}
	return t.lines[t.ends[k-1]:t.ends[k]]
}

// sorted gives the lines as the text of a key, and forgets them. The text is there until the next is sorted.
func (t *lineSorter) sorted() []byte {
	t.order = t.order[:0]
	for k := range t.ends {
		t.order = append(t.order, k)
	}
	slices.SortFunc(t.order, func(a, b int) int { return compareLines(t.at(a), t.at(b)) })
	t.text = t.text[:0]
	for _, k := range t.order {
		t.text = append(append(t.text, t.at(k)...), '\n')
	}
	t.lines, t.ends = t.lines[:0], t.ends[:0]
	return t.text
}

func compareLines(a, b []byte) int {
	as, bs := bytes.HasPrefix(a, stageLine), bytes.HasPrefix(b, stageLine)
	switch {
	case as != bs && as:
		return -1
	case as != bs:
		return 1
	}
	return bytes.Compare(a, b)
}

// stageLine is how the line begins that names the stage's type and version.
var stageLine = []byte("stage ")

// inputLines has a line for each artifact among inputs; content names it, "" leaves it open.
func inputLines(inputs []input, content func(n *Node, output string) string) []string {
	var lines []string
	for _, in := range inputs {
		if in.from == nil {
			continue
		}
		for k, pt := range in.from.parts {
			label := in.label
			if len(in.from.parts) > 1 {
				label += fmt.Sprintf(".%d", k)
			}
			if pt.fate != lost {
				lines = append(lines, "input "+label+" "+content(pt.node, in.output))
			}
		}
	}
	return lines
}

// lines are those of n's key with content for the inputs of w.
func (n *Node) lines(w work, content func(n *Node, output string) string) []string {
	lines := append(slices.Clone(w.own), inputLines(w.inputs, content)...)
	if n.sources != nil {
		lines = append(lines, n.sources.lines...)
	}
	return lines
}

// digestOf is the content of an output, "" where it is not known.
func digestOf(n *Node, output string) string {
	if n.Result == nil {
		return ""
	}
	d, ok := n.Result.Outputs[output]
	if !ok {
		return ""
	}
	return d.String()
}

// known says that the content of all that w takes is.
func (w work) known() bool {
	for k := range w.inputs {
		in := &w.inputs[k]
		if in.from == nil {
			continue
		}
		for _, pt := range in.from.parts {
			if pt.fate != lost && digestOf(pt.node, in.output) == "" {
				return false
			}
		}
	}
	return true
}

// setKey computes n's action key, if the content of all its inputs is known.
func (n *Node) setKey(w work) bool {
	if !w.known() {
		n.Key, n.Action = "", cache.ActionID{}
		return false
	}
	n.Key = keyText(n.lines(w, digestOf))
	n.Action = cache.NewActionID(n.Key)
	return true
}

// partialText is the text of the key of n's partial work.
func (n *Node) partialText(w work) string {
	w.own = append(n.Type.ParamLines(w.runner, true), fmt.Sprintf("stage %s v%d partial", n.Type.Name, n.Type.Version))
	return keyText(n.lines(w, digestOf))
}

// lookUp finds n's result: by its action key, or, where a producer has no record, by its recipe.
func (n *Node) lookUp(ctx context.Context, store *cache.Survey, w work) error {
	if n.setKey(w) {
		r, err := store.Result(ctx, n.Action)
		if errors.Is(err, cache.ErrMiss) {
			return nil
		}
		n.Result = r
		return err
	}
	action, err := store.Recipe(ctx, n.Recipe)
	if err != nil {
		return ignoreMiss(err)
	}
	n.recorded = true
	r, err := store.Result(ctx, action)
	if err != nil {
		return ignoreMiss(err)
	}
	if matches(r.Key, n.lines(w, digestOf)) {
		n.Result, n.Key, n.Action = r, r.Key, r.Action
	}
	return nil
}

func ignoreMiss(err error) error {
	if errors.Is(err, cache.ErrMiss) {
		return nil
	}
	return err
}

// matches says whether key is made of lines, those that end in a space having any content.
func matches(key string, lines []string) bool {
	have := strings.Split(strings.TrimSuffix(key, "\n"), "\n")
	if len(have) != len(lines) {
		return false
	}
	rest := map[string]int{}
	for _, l := range have {
		rest[l]++
	}
	for _, want := range lines {
		got := want
		if strings.HasPrefix(want, "input ") && strings.HasSuffix(want, " ") {
			i := slices.IndexFunc(have, func(l string) bool { return strings.HasPrefix(l, want) })
			if i < 0 {
				return false
			}
			got = have[i]
		}
		if rest[got]--; rest[got] < 0 {
			return false
		}
	}
	return true
}
