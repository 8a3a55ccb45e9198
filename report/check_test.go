package report

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// results are n results around x.
func results(id string, values ...any) []Result {
	var out []Result
	for i, x := range values {
		out = append(out, Result{ID: fmt.Sprint(id, i), Value: x, Actions: []string{"sha256:" + id}})
	}
	return out
}

// paper is a table as a spec arranges it, and a study.
func paper() []Table {
	main := Table{Title: "main", Heads: []string{"method", "steps"}, Columns: []Column{
		{Name: "photo", Percent: true}, {Name: "a_b & 5%", Percent: true}, {Name: "images", Metric: "images", Plain: true}, {Name: "alpha", Metric: "alpha", Plain: true}}}
	oracle := results("o", 0.9, 0.95)
	oracle[0].Oracle = true
	main.Rows = []Row{
		{Heads: []string{"zero-shot", "10"}, Cells: []Cell{FoldResults(results("a", 0.7)), FoldResults(results("b", 0.5)), FoldResults(results("c", 64.0)), FoldResults(nil)}},
		{Heads: []string{"+ VC_{reg} #1", "10"}, Cells: []Cell{FoldResults(results("d", 0.71, 0.73)), FoldResults(results("e", 0.61, 0.63)), FoldResults(results("f", 128.0)), FoldResults(results("g", "both", "one"))}},
		{Heads: []string{"[both] ~^", "25"}, Cells: []Cell{FoldResults(oracle), {Refused: true}, FoldResults(results("h", 1.0)), FoldResults(results("i", 0.25))}},
	}
	main.Remarks = []string{"1 of 9 results are missing"}
	study := Table{Title: "study", Heads: []string{"changed", "from"}, Columns: []Column{{Name: "top1", Percent: true, Plain: true, Difference: true}, {Name: "pairs", Plain: true}}}
	for k, d := range [][]any{{0.01, 0.03, 0.02}, {-0.04, 0.01}, {0.5}} {
		study.Rows = append(study.Rows, Row{Heads: []string{fmt.Sprint("a=", k), "a=x"}, Cells: []Cell{FoldDifferences(results(fmt.Sprint("s", k), d...)), {Words: []string{fmt.Sprint(len(d))}}}})
	}
	main.Finish()
	study.Finish()
	return []Table{main, study}
}

func TestPaperGoldens(t *testing.T) {
	var text, latex, markdown, html, csv strings.Builder
	for _, table := range paper() {
		text.WriteString(table.Text(false))
		latex.WriteString(table.LaTeX())
		markdown.WriteString(table.MarkedMarkdown())
		drawn, err := table.HTML()
		if err != nil {
			t.Fatal(err)
		}
		html.WriteString(drawn)
	}
	if err := WriteCSV(&csv, paper()); err != nil {
		t.Fatal(err)
	}
	golden(t, "paper.txt", text.String())
	golden(t, "paper.tex", latex.String())
	golden(t, "paper.md", markdown.String())
	golden(t, "paper.html", html.String())
	golden(t, "paper.csv", csv.String())
}

// TestWhatWasDrawnAgrees checks the drawn tables themselves, as they are and with their rows in another order.
func TestWhatWasDrawnAgrees(t *testing.T) {
	for _, draw := range []func(Table) string{Table.LaTeX, Table.MarkedMarkdown} {
		tables := paper()
		rows := tables[0].Rows
		tables[0].Rows = []Row{rows[2], rows[0], rows[1]}
		shuffled := draw(tables[0]) + draw(tables[1])
		for _, text := range []string{draw(paper()[0]) + "prose 12.3 & more\n" + draw(paper()[1]), shuffled} {
			found, differences := Check(paper(), text)
			if !cmp.Equal(found, []string{"main", "study"}) || len(differences) > 0 {
				t.Errorf("found %v, differences %v in\n%s", found, differences, text)
			}
		}
	}
}

// inPaper is main as an author might set it, with a body of their own.
func inPaper(rows string) string {
	return "\\begin{table}\n% regft:table main\n\\begin{tabular}{llrrrr}\n\\toprule\nMethod & Steps & Photo & A 5 & N & $\\alpha$ \\\\ \\midrule\n" + rows + "\n\\bottomrule\n\\end{tabular}\n% regft:end\n\\caption{3.14}\n\\end{table}\n"
}

func TestCheck(t *testing.T) {
	const first, second, third = `CLIP & 10 & 70.0 & 50.0 & 64 & -- \\ `, `Ours & 10 & $72.0_{\pm 1.4}$ & \textbf{62.00 $\pm$ 1.41} & 128 & both, one \\ `, `Both & 25 & \cellcolor[gray]{0.9}92.5$^\dagger$ & -- & 1 & .25 \\`
	tests := []struct {
		name, text string
		want       []string
	}{
		{"an author's own layout", inPaper(first + second + "\n\\hline\n" + third), nil},
		{"fewer digits", inPaper(strings.ReplaceAll(first, "70.0", "70") + second + third), nil},
		{"rows over several lines", inPaper(strings.ReplaceAll(first, "& 50.0", "\n & 50.0") + second + third), nil},
		{"headings among the rows", inPaper(first + "\n\\multicolumn{6}{c}{Ours, 3 runs} \\\\\n" + second + third), nil},
		{"a rule below some columns of the heading", strings.Replace(inPaper(first+second+third), "Method &", "& & \\multicolumn{2}{c}{Style} \\\\ \\cmidrule(lr){3-4}\nMethod &", 1), nil},
		{"a comment at the end of a line", inPaper(strings.ReplaceAll(first, "& 50.0", "% & 49.9 \\\\\n & 50.0") + second + third), nil},
		{"a comment", inPaper("% 1 & 2 & 3 \\\\\n" + first + second + third), nil},
		{"another number", inPaper(strings.ReplaceAll(first, "70.0", "70.1") + second + third),
			[]string{"line 6: table main, method=zero-shot, steps=10, photo: the file says 70.1, the results say 70.0 (n=1)"}},
		{"another deviation", inPaper(first + strings.ReplaceAll(second, "1.4}", "1.5}") + third),
			[]string{"line 6: table main, method=+ VC_{reg} #1, steps=10, photo: the file says 72.0 ± 1.5, the results say 72.0 ± 1.4"}},
		{"a deviation of one value", inPaper(strings.ReplaceAll(first, "50.0", "50.0 $\\pm$ 0.0") + second + third),
			[]string{"line 6: table main, method=zero-shot, steps=10, a_b & 5%: the file says 50.0 ± 0.0, the results say 50.0 (n=1)"}},
		{"another n", inPaper(strings.ReplaceAll(first, "70.0", "70.0 (n=2)") + second + third),
			[]string{"line 6: table main, method=zero-shot, steps=10, photo: the file says 70.0 (n=2), the results say 70.0 (n=1)"}},
		{"a number where there is none", inPaper(strings.ReplaceAll(first, "--", "0.5") + second + third),
			[]string{"line 6: table main, method=zero-shot, steps=10, alpha: the file says 0.5, the results say –"}},
		{"a number that is refused", inPaper(first + second + strings.ReplaceAll(third, "& -- &", "& 81.2 &")),
			[]string{"line 6: table main, method=[both] ~^, steps=25, a_b & 5%: the file says 81.2, the results say refused"}},
		{"another word", inPaper(first + strings.ReplaceAll(second, "both, one", "both") + third),
			[]string{"line 6: table main, method=+ VC_{reg} #1, steps=10, alpha: the file says both, the results say both, one"}},
		{"a row less", inPaper(first + second), []string{"line 2: table main: the file says 2 rows, the results say 3 rows"}},
		{"a column less", inPaper(strings.ReplaceAll(first, "& 64", "") + second + third),
			[]string{"line 6: table main, method=zero-shot, steps=10: the file says 5 cells, the results say 6 cells"}},
		{"a table that is not in the spec", "% regft:table other\n% regft:end\n", []string{"line 1: table other: the file says that it is here, the results say that the spec has no such table"}},
		{"an oracle without its mark", inPaper(first + second + strings.ReplaceAll(third, `$^\dagger$`, "")),
			[]string{"line 6: table main, method=[both] ~^, steps=25, photo: the file says 92.5 without †, the results say that it was chosen on the very data that it reports"}},
		{"the mark at its row's name", inPaper(first + second + strings.ReplaceAll(strings.ReplaceAll(third, `$^\dagger$`, ""), "Both", `Both\textsuperscript{\dagger}`)), nil},
		{"nothing in bold", inPaper(first + strings.ReplaceAll(second, `\textbf`, "") + third), nil},
		{"bold in another row", inPaper(strings.ReplaceAll(first, "50.0", `{\bfseries 50.0}`) + strings.ReplaceAll(second, `\textbf`, "") + third),
			[]string{"line 6: table main, method=zero-shot, steps=10, a_b & 5%: the file says 50.0 in bold, the results say that 62.00 is the best",
				"line 6: table main, method=+ VC_{reg} #1, steps=10, a_b & 5%: the file says 62.00 ± 1.41, not bold, the results say that it is the best"}},
		{"a table without an end", "% regft:table main\n1 & 2 \\\\\n", []string{"line 1: table main: the file says no regft:end, the results say where it ends"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, differences := Check(paper(), test.text)
			var got []string
			for _, d := range differences {
				got = append(got, d.String())
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("differences (-want +got):\n%s\nin\n%s", diff, test.text)
			}
		})
	}
}

// TestCheckUnrun: a paper of which results were asked for since does not agree.
func TestCheckUnrun(t *testing.T) {
	tables := paper()
	var csv strings.Builder
	if err := WriteCSV(&csv, tables); err != nil {
		t.Fatal(err)
	}
	text := tables[0].LaTeX()
	tables[0].Unrun = 2
	want := []Difference{{1, "table main", "what was measured so far", "that 2 more were asked for and not run yet"}}
	if _, differences := Check(tables, text); !cmp.Equal(differences, want) {
		t.Errorf("got %v, want %v", differences, want)
	}
	if _, differences, _ := CheckCSV(tables, csv.String()); !cmp.Equal(differences, want) {
		t.Errorf("of CSV: got %v, want %v", differences, want)
	}
}

// TestCheckByName checks a table whose rows and columns an author has arranged otherwise, and named, some of them.
func TestCheckByName(t *testing.T) {
	table := Table{Title: "t", Heads: []string{"a", "b"}, Columns: []Column{{Name: "photo"}, {Name: "sketch", Percent: true}}, Chosen: []string{"alpha"}}
	for k, heads := range [][]string{{"x", "low"}, {"x", "high"}, {"y", "low"}, {"y", "high"}} {
		table.Rows = append(table.Rows, Row{Heads: heads, Chosen: []string{"0.5"}, Cells: []Cell{FoldResults(results(fmt.Sprint(k), float64(1+k))), FoldResults(results(fmt.Sprint(k), float64(1+k)/10))}})
	}
	table.Finish()
	latex := func(heading string, rows ...string) string {
		return "% regft:table t\n" + heading + " \\\\ \\hline\n" + strings.Join(rows, " \\\\\n") + " \\\\\n% regft:end\n"
	}
	for _, test := range []struct {
		name, text string
		want       []string
	}{
		{"columns in another order", latex(`a & b & Sketch (\%) & photo`, "x & low & 10 & 1", "x & high & 20 & 2", "y & low & 30 & 3", "y & high & 40 & 4"), nil},
		{"headings in another order", latex("a & b & sketch & Photo", "x & low & 1 & 10", "x & high & 2 & 20", "y & low & 30 & 3", "y & high & 40 & 4"), []string{
			"line 3: table t, a=x, b=low, photo: the file says 10, the results say 1", "line 3: table t, a=x, b=low, sketch: the file says 1, the results say 10.0",
			"line 4: table t, a=x, b=high, photo: the file says 20, the results say 2", "line 4: table t, a=x, b=high, sketch: the file says 2, the results say 20.0"}},
		{"a column of one's own", latex("a & b & photo & time & sketch", "x & low & 1 & 9 & 10", "x & high & 2 & 9 & 20", "y & low & 3 & 9 & 30", "y & high & 4 & 9 & 40"), nil},
		{"rows in another order, one renamed", latex("a & b & photo & sketch", "Ours & low & 1 & 10", "y & low & 3 & 30", "x & high & 2 & 20", "y & high & 4 & 40"), nil},
		{"names of rows exchanged, one renamed", latex("a & b & photo & sketch", "Ours & low & 1 & 10", "y & low & 2 & 20", "x & high & 3 & 30", "y & high & 4 & 40"), []string{
			"line 4: table t, a=y, b=low, photo: the file says 2, the results say 3", "line 4: table t, a=y, b=low, sketch: the file says 20, the results say 30.0",
			"line 5: table t, a=x, b=high, photo: the file says 3, the results say 2", "line 5: table t, a=x, b=high, sketch: the file says 30, the results say 20.0"}},
		{"rows together", latex("a & b & photo & sketch", `\multirow{2}{*}{Y} & high & 4 & 40`, " & low & 3 & 30", `\hline \multirow{2}{*}{x} & low & 1 & 10`, "& high & 2 & 20"), nil},
		{"what was chosen", latex(`a & b & photo & sketch & $\alpha$`, "x & low & 1 & 10 & 0.50", "x & high & 2 & 20 & .5", "y & low & 3 & 30 & 0.6", "y & high & 4 & 40 &"), []string{
			"line 5: table t, a=y, b=low, alpha chosen: the file says 0.6, the results say 0.5",
			"line 6: table t, a=y, b=high, alpha chosen: the file says nothing, the results say 0.5"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, differences := Check([]Table{table}, test.text)
			var got []string
			for _, d := range differences {
				got = append(got, d.String())
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("differences (-want +got):\n%s\nin\n%s", diff, test.text)
			}
		})
	}
}

func TestCheckCSV(t *testing.T) {
	var b strings.Builder
	if err := WriteCSV(&b, paper()); err != nil {
		t.Fatal(err)
	}
	written := b.String()
	for _, test := range []struct {
		name, text string
		want       []string
	}{
		{"as it was written", written, nil},
		{"another number", strings.Replace(written, "main,\"method=zero-shot, steps=10\",photo,0.7,", "main,\"method=zero-shot, steps=10\",photo,0.71,", 1),
			[]string{"line 2: table main, method=zero-shot, steps=10, photo, mean: the file says 0.71, the results say 0.7"}},
		{"a cell less and one more", strings.Replace(written, "steps=10\",photo", "steps=10\",foto", 1), []string{
			"line 2: table main, method=zero-shot, steps=10, foto: the file says that there is such a cell, the results say that there is none",
			"line 1: table main, method=zero-shot, steps=10, photo: the file says nothing, the results say 0.7"}},
		{"a torn line", written + "\"x", []string{"line 20: the file: the file says " + `parse error on line 20, column 3: extraneous or missing " in quoted-field` + ", the results say a line for each cell"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, differences, ok := CheckCSV(paper(), test.text)
			var got []string
			for _, d := range differences {
				got = append(got, d.String())
			}
			if diff := cmp.Diff(test.want, got); diff != "" || !ok {
				t.Errorf("differences (-want +got):\n%s\nin\n%s", diff, test.text)
			}
		})
	}
	if _, _, ok := CheckCSV(paper(), paper()[0].LaTeX()); ok {
		t.Error("LaTeX is taken for CSV")
	}
}

// TestEveryChangedDigitIsFound changes one digit of a drawn table, which must be told, and nothing else.
func TestEveryChangedDigitIsFound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var values []any
		for range rapid.IntRange(1, 4).Draw(t, "n") {
			values = append(values, float64(rapid.IntRange(0, 9999).Draw(t, "x"))/10000+0.000013) // no mean is a tie
		}
		table := Table{Title: "t", Heads: []string{"a"}, Columns: []Column{{Name: "c", Percent: true}}, Rows: []Row{
			{Heads: []string{"x"}, Cells: []Cell{FoldResults(results("p", values...))}}, {Heads: []string{"y"}, Cells: []Cell{FoldResults(results("q", 0.5))}}}}
		table.Finish()
		draw := rapid.SampledFrom([]func(Table) string{Table.LaTeX, Table.MarkedMarkdown}).Draw(t, "draw")
		text := draw(table)
		cell := table.Rows[0].Cells[0].Text
		digits := strings.Map(func(r rune) rune {
			if r < '0' || r > '9' {
				return -1
			}
			return r
		}, cell)
		if _, differences := Check([]Table{table}, text); len(differences) > 0 {
			t.Fatalf("%v in\n%s", differences, text)
		}
		old := rapid.SampledFrom(strings.Split(digits, "")).Draw(t, "digit")
		changed := strings.Replace(cell, old, string('0'+(old[0]-'0'+1)%10), 1)
		broken := table
		broken.Rows = []Row{{Heads: []string{"x"}, Cells: []Cell{{Values: []float64{1}, Text: changed}}}, table.Rows[1]}
		if _, differences := Check([]Table{table}, draw(broken)); len(differences) != 1 {
			t.Fatalf("%s for %s: %v in\n%s", changed, cell, differences, draw(broken))
		}
	})
}

func FuzzCheck(f *testing.F) {
	f.Add(paper()[0].LaTeX())
	f.Add(paper()[1].MarkedMarkdown())
	f.Add("% regft:table main\n\\\\ & \\\\ \\midrule & 1 \\\\\n|--|\n% regft:end")
	f.Fuzz(func(t *testing.T, text string) {
		found, differences := Check(paper(), text)
		if len(found) == 0 && len(differences) > 0 {
			t.Errorf("differences without a table: %v", differences)
		}
	})
}
