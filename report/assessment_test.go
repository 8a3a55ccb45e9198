package report

import (
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// mixedUp is an assessment of n classes, each with two pictures right and one taken for the next class; the last class has
// no pictures.
func mixedUp(n int) Assessment {
	a := Assessment{Confusion: make([][]int, n)}
	for i := range n {
		a.Classes = append(a.Classes, "class "+strconv.Itoa(i))
		a.Confusion[i] = make([]int, n)
		a.PerClass = append(a.PerClass, Rate(math.NaN()))
		if i < n-1 {
			a.Confusion[i][i], a.Confusion[i][i+1], a.PerClass[i] = 2, 1, 2./3
		}
	}
	return a
}

func TestAssessmentSurvivesItsFile(t *testing.T) {
	a := mixedUp(4)
	a.Baseline = []Rate{0.5, 1, Rate(math.NaN()), 0}
	content, err := a.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeAssessment(content)
	if diff := cmp.Diff(a, got, cmp.Comparer(func(x, y Rate) bool { return x == y || x != x && y != y })); err != nil || diff != "" {
		t.Error(err, diff)
	}
	for _, broken := range []string{`{`, `{"classes": ["a"], "confusion": [], "per_class": [1]}`, `{"classes": ["a"], "confusion": [[1]], "per_class": [1], "baseline": []}`} {
		if _, err := DecodeAssessment([]byte(broken)); err == nil {
			t.Errorf("%s is read", broken)
		}
	}
}

// TestAssessmentOfManyClasses: few classes are a table, many a picture and the ends of the bars; a class without pictures
// has no bar.
func TestAssessmentOfManyClasses(t *testing.T) {
	few := html(t, Page{Assessments: []Assessment{mixedUp(5)}})
	for _, want := range []string{`class="heat"`, "class 0 as class 1 (1)", "66.7"} {
		if !strings.Contains(few, want) {
			t.Errorf("five classes: the page lacks %q", want)
		}
	}
	if n := strings.Count(few, `<span class="bar`); n != 4 {
		t.Errorf("five classes, one without pictures, have %d bars", n)
	}
	many := html(t, Page{Assessments: []Assessment{mixedUp(1001)}})
	if strings.Contains(many, `class="heat"`) || !strings.Contains(many, "data:image/png;base64,") || !strings.Contains(many, "960 classes in the middle are left out") {
		t.Error("a thousand classes are not a picture with the ends of the bars")
	}
	if n := strings.Count(many, `<span class="bar`); n != 40 || len(many) > 300_000 {
		t.Errorf("a thousand classes have %d bars in %d bytes", n, len(many))
	}
}

// TestPageShowsATableOnce: what a table of the spec says is not said again by the automatic one, whose charts and other
// metrics stay.
func TestPageShowsATableOnce(t *testing.T) {
	group := flat(entry("1", "", "x", 0.25), entry("2", "", "y", 0.75))
	automatic := NewTable(group, foldedAxes, "")
	asked := NewTable(group, foldedAxes, "")
	asked.Title = "asked for"
	count := func(p Page) int { return strings.Count(html(t, p), "<td class=\"n\">0.25</td>") }
	with := Page{Axes: foldedAxes, Groups: []Group{group}, Tables: []Table{asked}}
	if n := count(Page{Axes: foldedAxes, Groups: []Group{group}}); n != 1 {
		t.Fatalf("without tables a value stands %d times", n)
	}
	if n := count(with); n != 1 {
		t.Errorf("with a table that says the same a value stands %d times", n)
	}
	other := flat(entry("1", "", "x", 0.25), entry("2", "", "z", 0.5))
	if asked.Tells(NewTable(other, foldedAxes, "")) || !asked.Tells(automatic) {
		t.Error("a table tells what it does not, or not what it does")
	}
}

// TestFailedRowsAreNamed: a result that failed has a row that says so, or a smaller n.
func TestFailedRowsAreNamed(t *testing.T) {
	failed := func(a, r string) Entry {
		e := entry(a, r, a+r, nil)
		e.Metrics, e.Failed = nil, true
		return e
	}
	table := NewTable(flat(entry("x", "0", "1", 1.0), entry("x", "1", "2", 3.0), entry("y", "0", "3", 2.0), failed("y", "1"), failed("z", "0"), failed("z", "1")), foldedAxes, "")
	want := []string{"x|2.000 ± 1.414", "y|2.000 (n=1)", "z|failed"}
	if diff := cmp.Diff(want, texts(table)); diff != "" {
		t.Error(diff)
	}
	if notes := strings.Join(table.Notes(), "; "); !strings.Contains(notes, "3 of 6 results are missing") {
		t.Errorf("notes are %q", notes)
	}
}
