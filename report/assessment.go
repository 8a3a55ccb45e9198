package report

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"image"
	"image/color"
	"image/png"
	"math"
	"slices"
	"strconv"
)

// AssessmentFile is the file of an assess stage that DecodeAssessment reads.
const AssessmentFile = "assessment.json"

// An Assessment is what became of the pictures of each class.
type Assessment struct {
	Title     string   `json:"title,omitempty"`
	Classes   []string `json:"classes"`
	Confusion [][]int  `json:"confusion"`          // [true class][predicted class], in pictures
	PerClass  []Rate   `json:"per_class"`          // fraction that is right
	Baseline  []Rate   `json:"baseline,omitempty"` // of the classifier that it is compared with
}

// A Rate is a fraction from 0 to 1; NaN where there is nothing to count, null in JSON.
type Rate float64

// MarshalJSON writes NaN as null.
func (r Rate) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(r)) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(r))
}

// UnmarshalJSON reads null as NaN.
func (r *Rate) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*r = Rate(math.NaN())
		return nil
	}
	return json.Unmarshal(b, (*float64)(r))
}

// Encode writes a as JSON.
func (a Assessment) Encode() ([]byte, error) {
	b, err := json.Marshal(a)
	return append(b, '\n'), err
}

// DecodeAssessment reads what Encode wrote.
func DecodeAssessment(content []byte) (a Assessment, err error) {
	if err := json.Unmarshal(content, &a); err != nil {
		return a, fmt.Errorf("reading an assessment: %w", err)
	}
	if n := len(a.Classes); len(a.Confusion) != n || len(a.PerClass) != n || a.Baseline != nil && len(a.Baseline) != n {
		return a, fmt.Errorf("reading an assessment: it has %d classes, and %d rows of confusion", n, len(a.Confusion))
	}
	return a, nil
}

// ConfusionRows is the confusion as a table: a row for each true class, a column for each predicted one.
func (a Assessment) ConfusionRows() [][]string {
	rows := [][]string{append([]string{"class"}, a.Classes...)}
	for i, counts := range a.Confusion {
		row := []string{a.Classes[i]}
		for _, n := range counts {
			row = append(row, strconv.Itoa(n))
		}
		rows = append(rows, row)
	}
	return rows
}

// ClassRows is a table with a row for each class: its label, name, pictures, top1, and with a baseline that one's and the
// difference.
func (a Assessment) ClassRows() [][]string {
	rows := [][]string{{"label", "class", "pictures", "top1"}}
	if a.Baseline != nil {
		rows[0] = append(rows[0], "baseline", "difference")
	}
	text := func(r Rate) string {
		if math.IsNaN(float64(r)) {
			return ""
		}
		return strconv.FormatFloat(float64(r), 'g', -1, 64)
	}
	for i, name := range a.Classes {
		row := []string{strconv.Itoa(i), name, strconv.Itoa(a.pictures(i)), text(a.PerClass[i])}
		if a.Baseline != nil {
			row = append(row, text(a.Baseline[i]), text(a.PerClass[i]-a.Baseline[i]))
		}
		rows = append(rows, row)
	}
	return rows
}

func (a Assessment) pictures(class int) int {
	n := 0
	for _, count := range a.Confusion[class] {
		n += count
	}
	return n
}

// Most of what a page shows of an assessment: classes of a confusion as a table, bars, and pairs that are mixed up.
const (
	tableClasses = 24
	shownBars    = 40
	shownPairs   = 10
)

// A heatCell is one cell of a confusion.
type heatCell struct {
	Count int
	Share template.CSS // of its row, from 0 to 1
	Right bool
}

// Heat is the confusion as cells, where there are few classes.
func (a Assessment) Heat() [][]heatCell {
	if len(a.Classes) > tableClasses {
		return nil
	}
	var out [][]heatCell
	for i, counts := range a.Confusion {
		var row []heatCell
		for j, n := range counts {
			share := float64(n) / float64(max(a.pictures(i), 1))
			row = append(row, heatCell{n, template.CSS(strconv.FormatFloat(share, 'f', 3, 64)), i == j})
		}
		out = append(out, row)
	}
	return out
}

// Picture is the confusion as a picture, a point for each cell, the darker the larger its share of the row.
func (a Assessment) Picture() (template.URL, error) {
	n := len(a.Classes)
	im := image.NewNRGBA(image.Rect(0, 0, n, n))
	for i, counts := range a.Confusion {
		total := float64(max(a.pictures(i), 1))
		for j, count := range counts {
			ink := math.Sqrt(float64(count) / total) // so that what is rare is seen
			im.Set(j, i, color.NRGBA{uint8(255 - 244*ink), uint8(255 - 157*ink), uint8(255 - 79*ink), 255})
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, im); err != nil {
		return "", err
	}
	return template.URL("data:image/png;base64," + base64.StdEncoding.EncodeToString(b.Bytes())), nil
}

// A pair is two classes that are mixed up.
type pair struct {
	True, Predicted string
	Count           int
}

// Pairs are those that are mixed up most.
func (a Assessment) Pairs() []pair {
	var out []pair
	for i, counts := range a.Confusion {
		for j, n := range counts {
			if i != j && n > 0 {
				out = append(out, pair{a.Classes[i], a.Classes[j], n})
			}
		}
	}
	slices.SortStableFunc(out, func(x, y pair) int { return cmp.Compare(y.Count, x.Count) })
	return out[:min(len(out), shownPairs)]
}

// A bar is one class's accuracy, or its gain over the baseline.
type bar struct {
	Class, Text string
	Left, Width template.CSS // in percent of the track
	Loss        bool
}

// BarsTitle says what the bars are.
func (a Assessment) BarsTitle() string {
	if a.Baseline != nil {
		return "top1 of each class less the baseline's, in points"
	}
	return "top1 of each class, in percent"
}

// Bars are the classes' accuracies, or where there is a baseline their gains, the least first. Of very many classes they
// are the ends.
func (a Assessment) Bars() []bar {
	type value struct {
		class string
		x     float64
	}
	var values []value
	for i, name := range a.Classes {
		x := float64(a.PerClass[i])
		if a.Baseline != nil {
			x -= float64(a.Baseline[i])
		}
		if !math.IsNaN(x) {
			values = append(values, value{name, x})
		}
	}
	slices.SortStableFunc(values, func(p, q value) int { return cmp.Compare(p.x, q.x) })
	if len(values) > shownBars {
		values = slices.Concat(values[:shownBars/2], values[len(values)-shownBars/2:])
	}
	low, high := 0.0, 0.0
	for _, v := range values {
		low, high = min(low, v.x), max(high, v.x)
	}
	percent := func(x float64) template.CSS {
		return template.CSS(strconv.FormatFloat(100*x/max(high-low, 1e-9), 'f', 2, 64))
	}
	var out []bar
	for _, v := range values {
		text := strconv.FormatFloat(100*v.x, 'f', 1, 64)
		if a.Baseline != nil && v.x > 0 {
			text = "+" + text
		}
		out = append(out, bar{v.class, text, percent(min(v.x, 0) - low), percent(math.Abs(v.x)), v.x < 0})
	}
	return out
}

// Hidden is how many classes Bars leaves out.
func (a Assessment) Hidden() int {
	n := 0
	for i := range a.Classes {
		if a.pictures(i) > 0 {
			n++
		}
	}
	return max(n-shownBars, 0)
}
