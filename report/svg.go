package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// The chart's measures, in CSS pixels.
const (
	chartWidth, chartHeight                  = 360, 240
	plotLeft, plotTop, plotRight, plotBottom = 46.0, 12.0, 350.0, 200.0
)

// A drawing is a chart as the page's template places it.
type drawing struct {
	Title, Description string
	Width, Height      int
	XLabel, YLabel     string
	XTicks, YTicks     []tick
	Lines              []path
}

type tick struct {
	At    string // position in pixels
	Label string
}

// A path is one line of a drawing.
type path struct {
	Name  string
	Class string
	Line  string // of polyline points
	Band  string // of the deviation, "" where there is none
	Marks []mark
}

type mark struct{ X, Y, Text string }

// scale maps values to pixels.
type scale struct{ from, to, low, high float64 }

func (s scale) at(v float64) float64 { return s.from + (v-s.low)/(s.high-s.low)*(s.to-s.from) }

func newDrawing(c chart) drawing {
	xTicks, yTicks := c.extent()
	x := scale{plotLeft, plotRight, xTicks[0], xTicks[len(xTicks)-1]}
	y := scale{plotBottom, plotTop, yTicks[0], yTicks[len(yTicks)-1]}
	d := drawing{
		Title: c.Title, Width: chartWidth, Height: chartHeight, XLabel: c.XLabel, YLabel: c.yLabel(),
		Description: fmt.Sprintf("%s of %s over %s, %d lines", c.yLabel(), c.Title, c.XLabel, len(c.Lines)),
	}
	for _, v := range xTicks {
		d.XTicks = append(d.XTicks, tick{px(x.at(v)), strconv.FormatFloat(v, 'g', -1, 64)})
	}
	for _, v := range yTicks {
		d.YTicks = append(d.YTicks, tick{px(y.at(v)), c.tickLabel(v)})
	}
	for i := len(c.Lines) - 1; i >= 0; i-- { // the first is drawn last, on top
		d.Lines = append(d.Lines, c.Lines[i].path(x, y, c.Column))
	}
	return d
}

func (c chart) yLabel() string {
	if c.Column.Percent {
		return c.Column.Metric + " %"
	}
	return c.Column.Metric
}

func (c chart) tickLabel(v float64) string {
	if c.Column.Percent {
		v = round12(v * 100)
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}

// extent finds ticks that span all points and their bands.
func (c chart) extent() (x, y []float64) {
	xLow, xHigh, yLow, yHigh := math.Inf(1), math.Inf(-1), math.Inf(1), math.Inf(-1)
	for _, l := range c.Lines {
		for _, p := range l.Points {
			xLow, xHigh = min(xLow, p.X), max(xHigh, p.X)
			yLow, yHigh = min(yLow, p.Y-p.Deviation), max(yHigh, p.Y+p.Deviation)
		}
	}
	return ticks(xLow, xHigh, 5), ticks(yLow, yHigh, 4)
}

func (l line) path(x, y scale, c Column) path {
	p := path{Name: l.Name, Class: seriesClass(l.Rank)}
	var up, down []string
	banded := false
	for i, pt := range l.Points {
		back := l.Points[len(l.Points)-1-i]
		up = append(up, px(x.at(pt.X))+","+px(y.at(pt.Y+pt.Deviation)))
		down = append(down, px(x.at(back.X))+","+px(y.at(back.Y-back.Deviation)))
		banded = banded || pt.Deviation > 0
		p.Marks = append(p.Marks, mark{px(x.at(pt.X)), px(y.at(pt.Y)), pt.text(l.Name, c)})
		p.Line += px(x.at(pt.X)) + "," + px(y.at(pt.Y)) + " "
	}
	p.Line = strings.TrimSpace(p.Line)
	if banded {
		p.Band = strings.Join(append(up, down...), " ")
	}
	return p
}

func (p point) text(name string, c Column) string {
	digits := c.digits([]float64{p.Y})
	s := fmt.Sprintf("%s at %s: %s", name, strconv.FormatFloat(p.X, 'g', -1, 64), c.format(p.Y, digits))
	if p.Deviation > 0 {
		s += " ± " + c.format(p.Deviation, digits)
	}
	return s
}

const restClass = "rest"

// seriesClass is the style class of the line of that rank.
func seriesClass(rank int) string {
	if rank >= palette {
		return restClass
	}
	return "s" + strconv.Itoa(rank)
}

func px(v float64) string { return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64) }
