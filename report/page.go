package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
)

var (
	//go:embed page.html
	pageHTML string
	//go:embed page.css
	pageCSS string

	pageTemplate = sync.OnceValue(func() *template.Template {
		return template.Must(template.New("page").Funcs(template.FuncMap{
			"css":      func() template.CSS { return template.CSS(pageCSS) },
			"duration": duration,
			"join":     func(s []string) string { return strings.Join(s, ", ") },
			"oracle":   func() string { return oracleMark },
		}).Parse(pageHTML))
	})
)

// pageView is what the template places.
type pageView struct {
	Page
	Sections []section
	Gallery  gallery
}

// A section is one group: its table, further metrics, charts.
type section struct {
	Group
	Table  Table
	More   []Table
	Charts []drawing
	Legend []path
	Rest   int  // lines beyond the palette
	Told   bool // a table of the spec says what Table does
}

// WriteHTML draws p as one file that loads nothing else.
func (p Page) WriteHTML(w io.Writer) error {
	g, err := newGallery(p.Samples)
	if err != nil {
		return fmt.Errorf("drawing the report: %w", err)
	}
	view := pageView{Page: p, Gallery: g}
	for _, group := range p.Groups {
		if len(group.Entries) == 0 {
			continue
		}
		s := newSection(group, p.Axes)
		s.Told = slices.ContainsFunc(p.Tables, func(t Table) bool { return t.Tells(s.Table) })
		if !s.Told || len(s.Charts)+len(s.More) > 0 {
			view.Sections = append(view.Sections, s)
		}
	}
	if err := pageTemplate().Execute(w, view); err != nil {
		return fmt.Errorf("drawing the report: %w", err)
	}
	return nil
}

// Folded tells whether s starts out folded away: a minor group without a chart, or what a table of the spec leaves over.
func (s section) Folded() bool { return (s.Minor || s.Told) && len(s.Charts) == 0 }

// TableFolded tells whether the charts stand for the table, which is then folded away.
func (s section) TableFolded() bool { return s.Minor && !s.Told && len(s.Charts) > 0 }

// Distinct tells whether there are lines to tell apart.
func (s section) Distinct() bool { return len(s.Legend) > 1 || s.Rest > 0 }

// Heading is the section's title.
func (s section) Heading() string {
	title := s.Group.Title
	if title == "" {
		title = "Results"
	}
	if (s.Minor || s.Told) && len(s.Charts) > 0 {
		title += " over " + s.Charts[0].XLabel
	}
	return title
}

func newSection(g Group, axes []Axis) section {
	s := section{Group: g, Table: NewTable(g, axes, "")}
	for i, metric := range metricsOf(g.Entries) {
		if i > 0 {
			t := NewTable(g, axes, metric)
			t.Title = metric
			s.More = append(s.More, t)
		}
	}
	drawn := map[string]path{}
	for _, c := range charts(g, axes) {
		d := newDrawing(c)
		s.Charts = append(s.Charts, d)
		for _, l := range d.Lines {
			drawn[l.Name] = l
		}
	}
	for _, l := range drawn {
		if l.Class == restClass {
			s.Rest++
		} else {
			s.Legend = append(s.Legend, l)
		}
	}
	slices.SortFunc(s.Legend, func(a, b path) int { return strings.Compare(a.Class, b.Class) })
	return s
}

// Measure names the metric that t shows, if it is one.
func (t Table) Measure() string {
	metric := ""
	for _, c := range t.Columns {
		switch {
		case c.Name == c.Metric:
		case metric != "" && c.Metric != metric:
			return ""
		default:
			metric = c.Metric
		}
	}
	return metric
}

// State is a stage's outcome in a few words.
func (s Stage) State() string {
	var parts []string
	for _, p := range []struct {
		n    int
		word string
	}{{s.Ran, "ran"}, {s.Cached, "from the cache"}, {s.Failed, "failed"}, {s.Skipped, "skipped"}} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.word))
		}
	}
	return strings.Join(parts, ", ")
}

// duration writes d as people say it: 850 ms, 3.2 s, 4 min 5 s, 2 h 3 min.
func duration(d time.Duration) string {
	switch {
	case d == 0:
		return ""
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
}
