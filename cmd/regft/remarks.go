package main

import (
	"fmt"

	"regft/engine"
)

// remarks are what a run's stages warned of, or failed with: each text once, however many nodes said it.
type remarks struct {
	order []remark
	nodes map[remark]int
	first map[remark]string // the name of the first node
}

type remark struct{ stage, text string }

// add takes the warning of an event.
func (r *remarks) add(e engine.Event) {
	if e.Kind == engine.NodeWarning {
		r.note(e.Stage, e.Name, e.Text)
	}
}

// note adds what a node has to say.
func (r *remarks) note(stage, node, text string) {
	if r.nodes == nil {
		r.nodes, r.first = map[remark]int{}, map[remark]string{}
	}
	m := remark{stage, text}
	if r.nodes[m] == 0 {
		r.order = append(r.order, m)
		r.first[m] = node
	}
	r.nodes[m]++
}

// texts are sentences, in the order of their first appearance.
func (r *remarks) texts() []string {
	var out []string
	for _, m := range r.order {
		text := r.first[m] + ": " + m.text
		if n := r.nodes[m] - 1; n > 0 {
			text += fmt.Sprintf(" (and so %d more of %s)", n, m.stage)
		}
		out = append(out, text)
	}
	return out
}
