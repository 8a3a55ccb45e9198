package builtin

import (
	"math"
	"slices"
	"testing"
)

func TestMeasure(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(-1))
	// Three pictures of class 0 and one of class 2, of three classes.
	logits := []float32{
		2, 1, 0, // right
		1, 1, 0, // a tie that the first wins
		0, 3, 0, // wrong, second to last on a tie
		1, 0, 1, // a tie that the first wins: wrong
	}
	m := measure(logits, []int{0, 0, 0, 2}, 3)
	p := func(x float64, others ...float64) float64 { // softmax
		sum := math.Exp(x)
		for _, o := range others {
			sum += math.Exp(o)
		}
		return math.Exp(x) / sum
	}
	sure := []float64{p(2, 1, 0), p(1, 1, 0), p(3, 0, 0), p(1, 0, 1)}
	want := map[string]float64{
		"top1": 0.5, "top5": 1, "mean_per_class": (2.0/3 + 0) / 2,
		"nll": -(math.Log(p(2, 1, 0)) + math.Log(p(1, 1, 0)) + math.Log(p(0, 3, 0)) + math.Log(p(1, 0, 1))) / 4,
		// 0.665 and 0.909 have bins of their own; 0.422 twice, one right.
		"ece": (math.Abs(sure[0]-1) + sure[2] + math.Abs(sure[1]+sure[3]-1)) / 4,
	}
	for name, w := range want {
		if math.Abs(m[name]-w) > 1e-12 {
			t.Errorf("%s is %v, want %v", name, m[name], w)
		}
	}
	for name, c := range map[string]struct {
		logits     []float32
		label      int
		top1, top5 float64
	}{
		"sixth of six":          {[]float32{6, 5, 4, 3, 2, 1}, 5, 0, 0},
		"fifth of six":          {[]float32{6, 5, 4, 3, 2, 1}, 4, 0, 1},
		"all equal, first":      {[]float32{1, 1, 1, 1, 1, 1}, 0, 1, 1},
		"all equal, sixth":      {[]float32{1, 1, 1, 1, 1, 1}, 5, 0, 0},
		"all NaN":               {[]float32{nan, nan, nan, nan, nan, nan}, 0, 0, 0},
		"its own is NaN":        {[]float32{nan, 1, 1, 1, 1, 1}, 0, 0, 0},
		"another is NaN":        {[]float32{1, nan, 0, 0, 0, 0}, 0, 0, 1},
		"others are impossible": {[]float32{1, inf, inf, inf, inf, inf}, 0, 1, 1},
	} {
		m := measure(c.logits, []int{c.label}, 6)
		if m["top1"] != c.top1 || m["top5"] != c.top5 {
			t.Errorf("%s: top1 %v, top5 %v, want %v, %v", name, m["top1"], m["top5"], c.top1, c.top5)
		}
		hasNaN := math.IsNaN(float64(c.logits[0] + c.logits[1]))
		if math.IsNaN(m["nll"]) != hasNaN || math.IsNaN(m["ece"]) != hasNaN {
			t.Errorf("%s: nll %v, ece %v", name, m["nll"], m["ece"])
		}
	}
}

// TestCalibrationBins: bins are open below and closed above, and certainty belongs to the last.
func TestCalibrationBins(t *testing.T) {
	var c calibration
	c.add(2.0/15, true)  // the second bin's upper edge
	c.add(1.5/15, false) // inside it
	c.add(1, true)
	if c.count[1] != 2 || c.count[14] != 1 {
		t.Errorf("bins hold %v", c.count)
	}
	if want := math.Abs(3.5/15-1) / 3; math.Abs(c.error()-want) > 1e-12 {
		t.Errorf("the error is %v, want %v", c.error(), want)
	}
}

// TestProject: a class that several stand for has the largest of their logits.
func TestProject(t *testing.T) {
	got := project([]float32{1, 5, 2, 4, 3, 6}, 3, [][]int{{2}, {0, 1}})
	if want := []float32{2, 5, 6, 4}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
