package report

import (
	"encoding/csv"
	"strconv"
	"strings"
)

// CSV writes t for other programs: a heading line, numbers in full and as recorded (fractions stay fractions), and for
// each column its mean, the sample deviation and the number of results.
func (t Table) CSV() string {
	var b strings.Builder
	w := csv.NewWriter(&b)
	heading := make([]string, 0, len(t.Heads)+3*len(t.Columns))
	for _, h := range t.Heads {
		if h == labelHead {
			h = "label"
		}
		heading = append(heading, h)
	}
	for _, c := range t.Columns {
		heading = append(heading, c.Name, c.Name+" deviation", c.Name+" n")
	}
	for _, axis := range t.Chosen {
		heading = append(heading, axis+" chosen")
	}
	_ = w.Write(append(heading, "oracle")) // a strings.Builder takes everything
	for _, r := range t.Rows {
		line := append([]string{}, r.Heads...)
		for _, c := range r.Cells {
			line = append(line, c.csv()...)
		}
		line = append(line, r.Chosen...)
		_ = w.Write(append(line, strconv.FormatBool(r.Oracle)))
	}
	w.Flush()
	return b.String()
}

func (c Cell) csv() []string {
	mean, deviation := "", ""
	if len(c.Values) > 0 {
		mean = strconv.FormatFloat(round12(c.Mean), 'g', -1, 64)
	}
	if len(c.Values) > 1 {
		deviation = strconv.FormatFloat(round12(c.Deviation), 'g', -1, 64)
	}
	return []string{mean, deviation, strconv.Itoa(len(c.Values))}
}
