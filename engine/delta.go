package engine

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"

	"regft/cache"
)

// A Delta is what a change from one plan to another costs, its results so far known.
type Delta struct {
	Stages []StageDelta `json:"stages"` // in the order of the new spec; those that only the old one has come last
	Cost   Cost         `json:"cost"`   // of what is new and not there
}

// A StageDelta counts the nodes of a stage by what a change makes of them.
type StageDelta struct {
	Stage string `json:"stage"`
	Same  int    `json:"same"` // in both
	New   int    `json:"new"`
	There int    `json:"there"` // of those that are new: their results are
	Gone  int    `json:"gone"`  // that only the old plan has
}

// Since says what p asks for that before does not, and what that costs. Nodes are the same that have one recipe,
// whatever they are called.
func (p *Plan) Since(ctx context.Context, before *Plan) (Delta, error) {
	old, now := before.recipes(), p.recipes()
	var d Delta
	at := map[string]int{}
	stage := func(n *Node) *StageDelta {
		name := n.Stage().Name
		if _, ok := at[name]; !ok {
			at[name] = len(d.Stages)
			d.Stages = append(d.Stages, StageDelta{Stage: name})
		}
		return &d.Stages[at[name]]
	}
	var fresh []*Node
	for _, n := range p.Nodes {
		switch {
		case !n.needed():
		case old[n.Recipe]:
			stage(n).Same++
		default:
			fresh = append(fresh, n)
			stage(n).New++
			if n.State == Hit {
				stage(n).There++
			}
		}
	}
	for _, n := range before.Nodes {
		if n.needed() && !now[n.Recipe] {
			stage(n).Gone++
		}
	}
	var err error
	d.Cost, err = p.costOf(ctx, fresh, p, before)
	return d, err
}

// Pending says that something new is not there.
func (d Delta) Pending() bool {
	return slices.ContainsFunc(d.Stages, func(s StageDelta) bool { return s.New > s.There })
}

// recipes are those of the nodes that something needs.
func (p *Plan) recipes() map[cache.RecipeID]bool {
	out := map[cache.RecipeID]bool{}
	for _, n := range p.Nodes {
		if n.needed() {
			out[n.Recipe] = true
		}
	}
	return out
}

// WriteTable writes d for people.
func (d Delta) WriteTable(w io.Writer) error {
	rows := [][]string{{"stage", "same", "new", "there", "gone"}}
	total := StageDelta{Stage: "total"}
	for _, s := range d.Stages {
		rows = append(rows, s.row())
		total.Same += s.Same
		total.New += s.New
		total.There += s.There
		total.Gone += s.Gone
	}
	text, _ := align(append(rows, total.row()), 5, 5)
	if d.Cost != (Cost{}) {
		text += "\nthe change: " + d.Cost.String() + "\n"
	}
	_, err := fmt.Fprint(w, text)
	return err
}

func (s StageDelta) row() []string {
	return []string{s.Stage, strconv.Itoa(s.Same), strconv.Itoa(s.New), strconv.Itoa(s.There), strconv.Itoa(s.Gone)}
}
