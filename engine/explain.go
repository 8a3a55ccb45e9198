package engine

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"regft/cache"
	"regft/specs"
	"regft/stages"
)

// An Explanation says why a node is what the plan says.
type Explanation struct {
	Name    string   `json:"name"`
	State   State    `json:"state"`
	Reason  string   `json:"reason,omitempty"`
	Error   string   `json:"error,omitempty"`   // of the last run, where the reason is that it failed
	Nearest string   `json:"nearest,omitempty"` // the action of the earlier result that comes nearest; "" where there is none
	Changes []Change `json:"changes,omitempty"` // from that result to the node

	Environment []string `json:"environment,omitempty"` // variables, not in its key, that differ from when its result, or Nearest, was made
}

// A Change is one field of a key that differs.
type Change struct {
	Field string         `json:"field"`          // such as param steps, input data[0], source classes, seed, stage
	Was   string         `json:"was,omitempty"`  // "" where the field is new
	Now   string         `json:"now,omitempty"`  // "" where it is gone
	Path  string         `json:"path,omitempty"` // of a source: the user's file or folder
	Place *specs.Place   `json:"place,omitempty"`
	Uses  []specs.Origin `json:"uses,omitempty"` // of a parameter: the vars, axes and files that the text at its place mentions
	From  *Explanation   `json:"from,omitempty"` // of an input: why its producer runs
}

// Explain explains the nodes of the instances that an address names.
func (p *Plan) Explain(ctx context.Context, address string) ([]Explanation, error) {
	named, err := specs.ParseAddress(address)
	if err != nil {
		return nil, err
	}
	var out []Explanation
	seen := map[*Node]bool{}
	for _, i := range p.order {
		if !named.Covers(i.Stage.Name, i.Coords) {
			continue
		}
		for k, pt := range i.parts {
			if seen[pt.node] || named.Part != "" && named.Part != i.label(k) {
				continue
			}
			seen[pt.node] = true
			e, err := p.explainNode(ctx, pt.node)
			if err != nil {
				return nil, err
			}
			out = append(out, e)
		}
	}
	if out == nil {
		return nil, fmt.Errorf("the spec has no %s", address)
	}
	return out, nil
}

func (p *Plan) explainNode(ctx context.Context, n *Node) (Explanation, error) {
	e := Explanation{Name: n.Name(), State: n.State, Reason: n.why()}
	if n.State == Hit {
		e.Environment = otherVariables(n.Result.Environment, environment(n.runner))
	}
	if !n.willRun() {
		return e, nil
	}
	if before, ok := p.options.Last.node(n.Name()); ok && n.Reason == "failed" {
		e.Error = before.Error
		return e, nil
	}
	now := fields(n.lines(n.work(), digestOf))
	near, err := p.nearest(ctx, n, now)
	if err != nil || near == nil {
		return e, err
	}
	e.Nearest, e.Environment = near.Action.String(), otherVariables(near.Environment, environment(n.runner))
	was := fields(keyLines(near))
	for _, field := range slices.Sorted(maps.Keys(union(was, now))) {
		if was[field] == now[field] {
			continue
		}
		c := Change{Field: field, Was: was[field], Now: now[field], Path: p.pathOf(n, field), Place: n.place(field)}
		if param, ok := strings.CutPrefix(field, "param "); ok {
			c.Uses = n.users[0].Origins(paramOf(param))
		}
		if producer := n.producerOf(field); producer != nil && producer.willRun() {
			from, err := p.explainNode(ctx, producer)
			if err != nil {
				return e, err
			}
			c.From = &from
		}
		e.Changes = append(e.Changes, c)
	}
	return e, nil
}

// environment are the variables that a stage lets through, nil where its type lets through none.
func environment(r stages.Runner) map[string]string {
	if x, ok := r.(stages.Environ); ok {
		return x.Environment()
	}
	return nil
}

// otherVariables are those that a record and the environment have different values of.
func otherVariables(was, now map[string]string) []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(now)) {
		if before, recorded := was[name]; recorded && before != now[name] {
			out = append(out, name)
		}
	}
	return out
}

// why is n's reason: of a node that does not run, what keeps it from that.
func (n *Node) why() string {
	switch n.State {
	case Idle:
		return "nothing that can run needs it"
	case Skipped:
		return "a condition says so"
	case Unknown:
		return n.sources.problem()
	case Blocked:
		for _, p := range n.producers {
			switch p.State {
			case Unknown, Blocked, Failed:
				return p.Name() + ": " + p.why()
			}
		}
	}
	return n.Reason
}

// nearest is the earlier result that n is compared with: that of the same name in the last run, else the one of the
// same type whose key differs in the fewest fields, the newest of those; nil where that has nothing but the type in
// common with n, and several fields differ.
func (p *Plan) nearest(ctx context.Context, n *Node, now map[string]string) (*cache.Result, error) {
	if before, ok := p.options.Last.node(n.Name()); ok && before.Uses == n.Type.Name && !before.Action.IsZero() {
		if r, err := p.store.Result(ctx, before.Action); err == nil || ignoreMiss(err) != nil {
			return r, err
		}
	}
	var best *cache.Result
	fewest := 0
	for r, err := range p.store.Results(ctx) {
		if err != nil {
			return nil, fmt.Errorf("looking for earlier results: %w", err)
		}
		if !strings.HasPrefix(r.Key, "stage "+n.Type.Name+" ") {
			continue
		}
		d, alike := distance(fields(keyLines(r)), now)
		if !alike && d > 1 {
			continue
		}
		if best == nil || d < fewest || d == fewest && r.Created.After(best.Created) {
			best, fewest = r, d
		}
	}
	return best, nil
}

// fields splits the lines of a key: kind and name, and value.
func fields(lines []string) map[string]string {
	out := make(map[string]string, len(lines))
	for _, l := range lines {
		kind, rest, _ := strings.Cut(l, " ")
		name, value, named := strings.Cut(rest, " ")
		switch kind {
		case "param", "input", "source":
			out[kind+" "+name] = value
		default:
			if !named {
				name, value = "", rest
			}
			out[strings.TrimSuffix(kind+" "+name, " ")] = value
		}
	}
	return out
}

func union(a, b map[string]string) map[string]string {
	out := maps.Clone(a)
	maps.Copy(out, b)
	return out
}

// distance counts the fields that differ; alike says that one is the same that is not the type's.
func distance(a, b map[string]string) (n int, alike bool) {
	for field := range union(a, b) {
		switch {
		case a[field] != b[field]:
			n++
		case a[field] != "" && !strings.HasPrefix(field, "stage "):
			alike = true
		}
	}
	return n, alike
}

// pathOf is the user's file or folder that a field holds the content of, from the folder of the spec where it is below
// that; "" of other fields.
func (p *Plan) pathOf(n *Node, field string) string {
	param, ok := strings.CutPrefix(field, "source ")
	if !ok || n.sources == nil || n.sources.paths[param] == "" {
		return ""
	}
	return shortPath(p.Expansion.Spec.Dir, n.sources.paths[param])
}

// place is where the spec says a field: its parameter, if it is one's.
func (n *Node) place(field string) *specs.Place {
	kind, name, _ := strings.Cut(field, " ")
	if kind == "seed" || kind == "stage" {
		name = kind
	}
	at := n.users[0].ParamPlace(paramOf(name))
	return &at
}

// paramOf is the parameter of a field such as inputs.data.0 or data[1].
func paramOf(field string) string {
	return strings.FieldsFunc(field+".", func(r rune) bool { return r == '.' || r == '[' })[0]
}

// producerOf is the node whose content an input field holds; nil for other fields.
func (n *Node) producerOf(field string) *Node {
	label, ok := strings.CutPrefix(field, "input ")
	if !ok {
		return nil
	}
	for _, in := range n.work().inputs {
		if in.from == nil {
			continue
		}
		for k, pt := range in.from.parts {
			if label == in.label || label == fmt.Sprintf("%s.%d", in.label, k) {
				return pt.node
			}
		}
	}
	return nil
}
