package engine

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"regft/cache"
)

// A Snapshot is what is compared: instances by address, in order, what their keys hold and what they measured.
type Snapshot struct {
	order     []string
	instances map[string]facts
}

// facts are the fields of an instance's key, its metrics by path, and what it was given beside its key.
type facts struct {
	fields, metrics map[string]string
	environment     map[string]string // variables that the key does not hold, by fingerprints of their values
}

// A Difference is what tells an instance in one snapshot from that of the other.
type Difference struct {
	Address string   `json:"address"`
	Only    string   `json:"only,omitempty"`    // a or b, where the other has no such instance
	Fields  []Change `json:"fields,omitempty"`  // of the key; Was is a's
	Metrics []Change `json:"metrics,omitempty"` // Field is the metric's path

	Environment []string `json:"environment,omitempty"` // variables, not in the key, that had other values
}

func (s *Snapshot) add(address string, f facts) {
	if s.instances == nil {
		s.instances = map[string]facts{}
	}
	s.order = append(s.order, address)
	s.instances[address] = f
}

// Snapshot is that of the run's instances, or of those that an address names if it is not "". Of an instance without a
// result only its existence is known.
func (p *Past) Snapshot(ctx context.Context, store *cache.Dir, address string) (*Snapshot, error) {
	plan, err := p.Plan()
	if err != nil {
		return nil, err
	}
	instances := plan.Instances
	if address != "" {
		if instances, err = p.Find(address); err != nil {
			return nil, err
		}
	}
	s := &Snapshot{}
	for _, i := range instances {
		if !i.Needed && address == "" {
			continue
		}
		f := newFacts()
		for k, index := range i.Nodes {
			r, err := p.Result(ctx, store, plan.Nodes[index])
			if errors.Is(err, cache.ErrMiss) {
				continue
			}
			if err != nil {
				return nil, err
			}
			f.add(partName(i.Parts, k), fields(keyLines(r)), r.Metrics, plan.Nodes[index].Environment)
		}
		s.add(i.Address, f)
	}
	return s, nil
}

func keyLines(r *cache.Result) []string { return strings.Split(strings.TrimSuffix(r.Key, "\n"), "\n") }

// partName goes before the fields and metrics of one of several parts.
func partName(parts []string, k int) string {
	if k < len(parts) {
		return parts[k] + "."
	}
	return ""
}

func newFacts() facts { return facts{map[string]string{}, map[string]string{}, map[string]string{}} }

func (f facts) add(prefix string, fields map[string]string, metrics map[string]any, environment map[string]string) {
	for name, v := range environment {
		f.environment[prefix+name] = v
	}
	for name, v := range fields {
		f.fields[prefix+name] = v
	}
	maps.Copy(f.metrics, flatten(prefix, cache.EncodeMetrics(metrics)))
}

// Snapshot is that of what p would do. Inputs are compared by content where it is known, else by what makes it.
func (p *Plan) Snapshot() *Snapshot {
	s := &Snapshot{}
	for _, i := range p.order {
		if !i.needed {
			continue
		}
		f := newFacts()
		for k, pt := range i.parts {
			var names []string
			if len(i.parts) > 1 {
				names = make([]string, len(i.parts))
				names[k] = i.label(k)
			}
			var metrics map[string]any
			given := environment(pt.node.runner)
			if r := pt.node.Result; r != nil {
				metrics, given = r.Metrics, r.Environment
			}
			f.add(partName(names, k), fields(pt.node.lines(pt.node.work(), contentOf)), metrics, given)
		}
		s.add(i.Address(), f)
	}
	return s
}

// recipeOf stands for an output by what makes it: equal for equal work, whether it was done or not.
func recipeOf(n *Node, output string) string {
	return strings.TrimSuffix(n.Recipe.String()+" "+output, " ")
}

// contentOf is the content of an output where that is sure to stay, else what makes it.
func contentOf(n *Node, output string) string {
	if digest := digestOf(n, output); digest != "" && !n.unsure() {
		return digest
	}
	return RecipePrefix + recipeOf(n, output)
}

// RecipePrefix begins what stands in a Difference for an input whose content is not known: what makes it.
const RecipePrefix = "recipe "

// Diff compares two snapshots by address; where both are of one instance, whatever its address, these two. Metrics that
// only one side has yet are no difference.
func Diff(a, b *Snapshot) []Difference {
	if len(a.order) == 1 && len(b.order) == 1 {
		name := a.order[0]
		if b.order[0] != name {
			name += " → " + b.order[0]
		}
		return appendDifference(nil, name, a.instances[a.order[0]], b.instances[b.order[0]])
	}
	var out []Difference
	for _, address := range a.order {
		if other, ok := b.instances[address]; ok {
			out = appendDifference(out, address, a.instances[address], other)
		} else {
			out = append(out, Difference{Address: address, Only: "a"})
		}
	}
	for _, address := range b.order {
		if _, ok := a.instances[address]; !ok {
			out = append(out, Difference{Address: address, Only: "b"})
		}
	}
	return out
}

func appendDifference(out []Difference, address string, a, b facts) []Difference {
	d := Difference{Address: address}
	if len(a.fields) > 0 && len(b.fields) > 0 {
		d.Fields = changes(a.fields, b.fields)
	}
	if len(a.metrics) > 0 && len(b.metrics) > 0 {
		d.Metrics = changes(a.metrics, b.metrics)
	}
	if d.Environment = otherVariables(a.environment, b.environment); d.Fields == nil && d.Metrics == nil && d.Environment == nil {
		return out
	}
	return append(out, d)
}

func changes(a, b map[string]string) []Change {
	var out []Change
	for _, name := range slices.Sorted(maps.Keys(union(a, b))) {
		if a[name] != b[name] {
			out = append(out, Change{Field: name, Was: a[name], Now: b[name]})
		}
	}
	return out
}
