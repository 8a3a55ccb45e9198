package engine

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/mattn/go-runewidth"
)

// tableWidth is the width that a plan's table keeps to where names allow.
const tableWidth = 80

// WriteTable writes the counts of each stage for people, in the order of the spec, and what the work is expected to take.
func (p *Plan) WriteTable(ctx context.Context, w io.Writer) error {
	c := p.Counts()
	total := c.Total()
	reasons := p.reasons()
	columns := []struct {
		name  string
		count func(StageCounts) int
		shown bool
	}{
		{"instances", func(s StageCounts) int { return s.Instances }, c.shares()},
		{"nodes", func(s StageCounts) int { return s.Nodes }, true},
		{"hit", func(s StageCounts) int { return s.Hit }, true},
		{"run", func(s StageCounts) int { return s.Run }, true},
		{"maybe", func(s StageCounts) int { return s.Maybe }, true},
		{"blocked", func(s StageCounts) int { return s.Blocked }, total.Blocked > 0},
		{"unknown", func(s StageCounts) int { return s.Unknown }, total.Unknown > 0},
		{"skipped", func(s StageCounts) int { return s.Skipped }, total.Skipped > 0},
		{"idle", func(s StageCounts) int { return s.Idle }, total.Idle > 0},
	}
	rows := [][]string{{"stage"}}
	for _, col := range columns {
		if col.shown {
			rows[0] = append(rows[0], col.name)
		}
	}
	rows[0] = append(rows[0], "why", "over")
	add := func(name string, s StageCounts, tail ...string) {
		row := []string{name}
		for _, col := range columns {
			if col.shown {
				row = append(row, strconv.Itoa(col.count(s)))
			}
		}
		rows = append(rows, append(row, tail...))
	}
	for _, s := range p.Expansion.Spec.Stages {
		over := ""
		if len(s.Over) > 0 {
			over = "[" + strings.Join(s.Over, ", ") + "]"
		}
		add(shorten(s.Name), *c.Stages[s.Name], reasons[s.Name], over)
	}
	add("total", total, "", "")
	text := layOut(rows)
	if c.sum() != total.Nodes {
		text += "\ntotal counts a node that stages share once\n"
	}
	text += p.tableCells()
	cost, err := p.Cost(ctx)
	if err != nil {
		return err
	}
	if cost != (Cost{}) {
		text += "\n" + cost.String() + "\n"
	}
	_, err = io.WriteString(w, text)
	return err
}

// nameWidth is how much of a stage's name a plan's table shows.
const nameWidth = 32

func shorten(name string) string { return runewidth.Truncate(name, nameWidth, "…") }

// tableCells says how many cells the spec's tables have.
func (p *Plan) tableCells() string {
	rows := [][]string{{"table", "cells"}}
	for _, t := range p.Expansion.Spec.Tables {
		rows = append(rows, []string{shorten(t.Name), strconv.Itoa(len(p.Expansion.Cells[t.Name]))})
	}
	if len(rows) == 1 {
		return ""
	}
	text, _ := align(rows, 2, 2)
	return "\n" + text
}

// reasonWidth is how long the reasons of a stage may be together, but for a single one.
const reasonWidth = 50

// reasons joins the distinct reasons of each stage's nodes.
func (p *Plan) reasons() map[string]string {
	sets := map[string]map[string]bool{}
	for _, i := range p.order {
		for _, pt := range i.parts {
			if !i.needed || i.copyOf != nil {
				continue
			}
			if why := pt.node.word(p.Expansion.Spec.Dir); why != "" {
				if sets[i.Stage.Name] == nil {
					sets[i.Stage.Name] = map[string]bool{}
				}
				sets[i.Stage.Name][why] = true
			}
		}
	}
	out := map[string]string{}
	for name, set := range sets {
		words := slices.Sorted(maps.Keys(set))
		shown := 1
		for shown < len(words) && runewidth.StringWidth(strings.Join(words[:shown+1], ", ")) <= reasonWidth {
			shown++
		}
		out[name] = strings.Join(words[:shown], ", ")
		if more := len(words) - shown; more > 0 {
			out[name] += fmt.Sprintf(", %d more", more)
		}
	}
	return out
}

// word is why n runs, or cannot: what it lacks, or the stage that it waits for. Paths are shown from dir.
func (n *Node) word(dir string) string {
	switch n.State {
	case Work, Maybe:
		return n.Reason
	case Unknown:
		return n.sources.word(dir)
	case Blocked:
		if root := n.blocker(); root != n {
			return "needs " + root.users[0].Stage.Name
		}
	}
	return ""
}

// blocker is what keeps n, or what it takes, from running in the first place.
func (n *Node) blocker() *Node {
	for _, p := range n.producers {
		if p.State == Unknown || p.State == Blocked || p.State == Failed {
			return p.blocker()
		}
	}
	return n
}

// layOut aligns columns: the first and the last two, why and over, left, numbers right. What is too wide for the table
// of these two stands below it, a line for each stage.
func layOut(rows [][]string) string {
	whole := len(rows[0])
	for shown := whole; ; shown-- {
		text, width := align(rows, shown, whole-2)
		if width <= tableWidth || shown == whole-2 {
			return text + below(rows, shown)
		}
	}
}

// align lays out the first columns of rows; those from 1 up to left are numbers.
func align(rows [][]string, shown, left int) (text string, width int) {
	widths := make([]int, shown)
	for _, r := range rows {
		for k, cell := range r[:shown] {
			widths[k] = max(widths[k], runewidth.StringWidth(cell))
		}
	}
	var b strings.Builder
	for _, r := range rows {
		var line strings.Builder
		for k, cell := range r[:shown] {
			pad := strings.Repeat(" ", widths[k]-runewidth.StringWidth(cell))
			switch {
			case k == 0:
				line.WriteString(cell + pad)
			case k < left:
				line.WriteString("  " + pad + cell)
			default:
				line.WriteString("  " + cell + pad)
			}
		}
		trimmed := strings.TrimRight(line.String(), " ")
		width = max(width, runewidth.StringWidth(trimmed))
		b.WriteString(trimmed + "\n")
	}
	return b.String(), width
}

// below lists the columns from shown on, of the stages that have something there.
func below(rows [][]string, shown int) string {
	names := 0
	for _, r := range rows {
		names = max(names, runewidth.StringWidth(r[0]))
	}
	var lines [][]string
	for _, r := range rows[1:] {
		var cells []string
		for k := shown; k < len(r); k++ {
			if r[k] != "" {
				cells = append(cells, rows[0][k]+" "+r[k])
			}
		}
		if len(cells) == 0 {
			continue
		}
		name := r[0]
		for _, line := range wrap(strings.Join(cells, "; "), tableWidth-names-2) {
			lines = append(lines, []string{name, line})
			name = ""
		}
	}
	if lines == nil {
		return ""
	}
	text, _ := align(lines, 2, 1)
	return "\n" + text
}

// wrap breaks text after commas and semicolons, and where those are too far apart after slashes, into lines of at most
// width.
func wrap(text string, width int) []string {
	var lines []string
	for runewidth.StringWidth(text) > width {
		room := runewidth.Truncate(text, width, "")
		at := max(strings.LastIndex(room, ", "), strings.LastIndex(room, "; ")) + 1
		if at == 0 {
			at = strings.LastIndex(room, "/") + 1
		}
		if at == 0 {
			at = len(room)
		}
		lines = append(lines, text[:at])
		text = strings.TrimPrefix(text[at:], " ")
	}
	return append(lines, text)
}

// WritePoints writes every point, an axis a column.
func (p *Plan) WritePoints(w io.Writer) error {
	header := []string{"point"}
	for _, a := range p.Expansion.Spec.Axes {
		header = append(header, a.Name)
	}
	rows := [][]string{header}
	for k, pt := range p.Expansion.Points {
		row := []string{strconv.Itoa(k)}
		for _, v := range pt {
			key := "-"
			if v != nil {
				key = v.Key
			}
			row = append(row, key)
		}
		rows = append(rows, row)
	}
	text, _ := align(rows, len(header), 1)
	_, err := io.WriteString(w, text)
	return err
}

// A Graph is the plan's graph of stages, each with how many nodes it has.
type Graph struct {
	Stages []GraphStage
	Edges  [][2]string // producer, consumer
}

// GraphStage is one box of a Graph.
type GraphStage struct {
	Name  string
	Uses  string
	Nodes int
}

// Graph folds p's nodes into their stages.
func (p *Plan) Graph() Graph {
	var g Graph
	c := p.Counts()
	for _, s := range p.Expansion.Spec.Stages {
		g.Stages = append(g.Stages, GraphStage{s.Name, s.Type.Name, c.Stages[s.Name].Nodes})
	}
	seen := map[[2]string]bool{}
	for _, i := range p.order {
		for _, ref := range i.Refs {
			if ref.Instance == nil {
				continue
			}
			if e := [2]string{ref.Instance.Stage.Name, i.Stage.Name}; !seen[e] {
				seen[e] = true
				g.Edges = append(g.Edges, e)
			}
		}
	}
	return g
}

// Mermaid is g in the language of mermaid.js, which Git hosts draw.
func (g Graph) Mermaid() string {
	var b strings.Builder
	b.WriteString("flowchart LR\n")
	for k, s := range g.Stages {
		fmt.Fprintf(&b, "  s%d[\"%s<br/>%s × %d\"]\n", k, s.Name, s.Uses, s.Nodes)
	}
	for _, e := range g.Edges {
		fmt.Fprintf(&b, "  s%d --> s%d\n", g.index(e[0]), g.index(e[1]))
	}
	return b.String()
}

// DOT is g in the language of Graphviz.
func (g Graph) DOT() string {
	var b strings.Builder
	b.WriteString("digraph plan {\n  rankdir=LR\n  node [shape=box]\n")
	for _, s := range g.Stages {
		fmt.Fprintf(&b, "  %q [label=%q]\n", s.Name, fmt.Sprintf("%s\n%s × %d", s.Name, s.Uses, s.Nodes))
	}
	for _, e := range g.Edges {
		fmt.Fprintf(&b, "  %q -> %q\n", e[0], e[1])
	}
	b.WriteString("}\n")
	return b.String()
}

func (g Graph) index(name string) int {
	return slices.IndexFunc(g.Stages, func(s GraphStage) bool { return s.Name == name })
}
