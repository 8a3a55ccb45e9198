package report

import (
	"encoding/csv"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
)

// CheckCSV is Check for what WriteCSV wrote; ok is false where the text is something else. Numbers are compared to as many
// digits as the text gives, and of a table that is there, each cell must be.
func CheckCSV(tables []Table, text string) (found []string, differences []Difference, ok bool) {
	in := csv.NewReader(strings.NewReader(text))
	head, err := in.Read()
	if err != nil || !slices.Equal(head, csvHead) {
		return nil, nil, false
	}
	left := map[string][][]string{} // lines of the results, by what names their cell
	for _, t := range tables {
		for _, line := range t.csvLines() {
			left[cellName(line)] = append(left[cellName(line)], line)
		}
	}
	for {
		line, err := in.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			var at *csv.ParseError
			number := 0
			if errors.As(err, &at) {
				number = at.Line
			}
			return found, append(differences, Difference{number, "the file", err.Error(), "a line for each cell"}), true
		}
		number, _ := in.FieldPos(0)
		if !slices.Contains(found, line[0]) {
			found = append(found, line[0])
		}
		name := cellName(line)
		if len(left[name]) == 0 {
			differences = append(differences, Difference{number, name, "that there is such a cell", "that there is none"})
			continue
		}
		differences = append(differences, compareCSV(number, name, line, left[name][0])...)
		left[name] = left[name][1:]
	}
	for _, t := range tables {
		if slices.Contains(found, t.Title) {
			differences = append(differences, t.unrun(1)...)
		}
		for _, line := range t.csvLines() {
			if name := cellName(line); slices.Contains(found, t.Title) && len(left[name]) > 0 {
				differences = append(differences, Difference{1, name, "nothing", strings.Join(line[3:4], "")})
				left[name] = left[name][1:]
			}
		}
	}
	return found, differences, true
}

// cellName is the table, row and column of a line.
func cellName(line []string) string {
	name := "table " + line[0]
	for _, part := range line[1:3] {
		if part != "" {
			name += ", " + part
		}
	}
	return name
}

// compareCSV compares what two lines of one cell say. What computed it is not compared: it is told by other means.
func compareCSV(number int, name string, paper, want []string) []Difference {
	var out []Difference
	for k, head := range csvHead[3:] {
		got, want := paper[3+k], want[3+k]
		x, err := strconv.ParseFloat(want, 64)
		if same := got == want || err == nil && got != "" && rounds(x, got); !same && head != "actions" {
			out = append(out, Difference{number, name + ", " + head, shown(got), shown(want)})
		}
	}
	return out
}
