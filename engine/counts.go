package engine

import "regft/specs"

// Counts is what a plan says in numbers.
type Counts struct {
	Points int                     `json:"points"`
	Stages map[string]*StageCounts `json:"stages"`
	Tables map[string]int          `json:"tables"` // cells

	All StageCounts `json:"-"` // those of all stages, a node that they share once
}

// StageCounts counts what something needs of a stage's own type: an ensemble that is its parent counts there. A node
// that two stages share counts under both.
type StageCounts struct {
	Uses      string   `json:"uses"`
	Over      []string `json:"over"`
	Instances int      `json:"instances"`
	Nodes     int      `json:"nodes"`
	Hit       int      `json:"hit"`
	Run       int      `json:"run"`
	Maybe     int      `json:"maybe"`
	Blocked   int      `json:"blocked"`
	Unknown   int      `json:"unknown"`
	Skipped   int      `json:"skipped,omitempty"`
	Idle      int      `json:"idle,omitempty"` // nothing that can run needs them
}

// Counts counts p's nodes by stage and state.
func (p *Plan) Counts() Counts {
	e := p.Expansion
	c := Counts{Points: len(e.Points), Stages: map[string]*StageCounts{}, Tables: map[string]int{}}
	for name, cells := range e.Cells {
		c.Tables[name] = len(cells)
	}
	for _, s := range e.Spec.Stages {
		over := s.Over
		if over == nil {
			over = []string{}
		}
		c.Stages[s.Name] = &StageCounts{Uses: s.Type.Name, Over: over}
	}
	type member struct {
		stage *specs.Stage // nil: any
		node  *Node
	}
	seen := map[member]bool{}
	first := func(s *specs.Stage, n *Node) bool {
		m := member{s, n}
		if len(n.users) == 1 {
			return true
		}
		was := seen[m]
		seen[m] = true
		return !was
	}
	for _, i := range p.order {
		if !i.needed || i.copyOf != nil {
			continue
		}
		s := c.Stages[i.Stage.Name]
		s.Instances++
		c.All.Instances++
		for _, pt := range i.parts {
			if first(i.Stage, pt.node) {
				s.add(pt.node.State)
			}
			if first(nil, pt.node) {
				c.All.add(pt.node.State)
			}
		}
	}
	return c
}

func (s *StageCounts) add(state State) {
	s.Nodes++
	switch state {
	case Hit, Done:
		s.Hit++
	case Work, Failed:
		s.Run++
	case Maybe:
		s.Maybe++
	case Blocked:
		s.Blocked++
	case Unknown:
		s.Unknown++
	case Skipped:
		s.Skipped++
	case Idle:
		s.Idle++
	}
}

// Total counts all nodes, those that stages share once.
func (c Counts) Total() StageCounts { return c.All }

// sum adds up the nodes of all stages.
func (c Counts) sum() int {
	sum := 0
	for _, s := range c.Stages {
		sum += s.Nodes
	}
	return sum
}

// shares says that instances of some stage share nodes, or have several.
func (c Counts) shares() bool {
	for _, s := range c.Stages {
		if s.Instances != s.Nodes {
			return true
		}
	}
	return false
}

// Pending says that a run would have something to do, or might: what --check tells.
func (c Counts) Pending() bool {
	t := c.Total()
	return t.Run+t.Maybe+t.Blocked+t.Unknown > 0
}
