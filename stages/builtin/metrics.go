package builtin

import "math"

// eceBins is the number of bins of the expected calibration error (Guo et al., arXiv 1706.04599).
const eceBins = 15

// measure computes every metric of logits [n, classes] against labels [n]; fractions are from 0 to 1.
//
//	top1, top5       fraction whose label is the first, or among the first five
//	mean_per_class   mean over the classes present of their top1
//	nll              mean negative log-likelihood, in nats
//	ece              expected calibration error, 15 bins of equal width
func measure(logits []float32, labels []int, classes int) map[string]float64 {
	return aggregate(verdictsAbout(logits, labels, classes), nil, classes)
}

// A verdict is what metrics need of one picture.
type verdict struct {
	label, predicted int
	rank             int // of the label
	confidence       float64
	likelihood       float64 // of the label, its logarithm
}

func verdictsAbout(logits []float32, labels []int, classes int) []verdict {
	out := make([]verdict, len(labels))
	for i, label := range labels {
		row := logits[i*classes : (i+1)*classes]
		v := verdict{label: label, predicted: label}
		v.rank, v.confidence, v.likelihood = place(row, label)
		if v.rank > 0 {
			v.predicted = first(row)
		}
		out[i] = v
	}
	return out
}

// aggregate computes the metrics of measure over the pictures of those numbers, nil for all.
func aggregate(verdicts []verdict, order []int, classes int) map[string]float64 {
	n := len(verdicts)
	if order != nil {
		n = len(order)
	}
	var top1, top5, nll float64
	hits, seen := make([]float64, classes), make([]float64, classes)
	var bins calibration
	for i := range n {
		v := &verdicts[i]
		if order != nil {
			v = &verdicts[order[i]]
		}
		seen[v.label]++
		if v.rank == 0 {
			top1++
			hits[v.label]++
		}
		if v.rank < 5 {
			top5++
		}
		nll -= v.likelihood
		bins.add(v.confidence, v.rank == 0)
	}
	count := float64(n)
	return map[string]float64{
		"top1": top1 / count, "top5": top5 / count, "mean_per_class": meanOver(hits, seen), "nll": nll / count, "ece": bins.error(),
	}
}

// place is the label's rank among a picture's logits, equal ones in the order of labels and NaN above all others, but a
// label that is NaN itself is the last; the largest probability; and the label's log-likelihood.
func place(row []float32, label int) (rank int, confidence, likelihood float64) {
	top := math.Inf(-1)
	for k, x := range row {
		top = max(top, float64(x))
		if x > row[label] || x == row[label] && k < label || x != x {
			rank++
		}
	}
	sum := 0.0
	for _, x := range row {
		sum += math.Exp(float64(x) - top)
	}
	if row[label] != row[label] {
		rank = len(row)
	}
	return rank, 1 / sum, float64(row[label]) - top - math.Log(sum)
}

// first is the class that is ranked first: the first NaN, else the first of the largest.
func first(row []float32) int {
	at := 0
	for k, x := range row {
		if x != x {
			return k
		}
		if x > row[at] {
			at = k
		}
	}
	return at
}

func meanOver(hits, seen []float64) float64 {
	sum, present := 0.0, 0.0
	for k := range seen {
		if seen[k] > 0 {
			sum += hits[k] / seen[k]
			present++
		}
	}
	return sum / present
}

type calibration struct{ count, confidence, hits [eceBins]float64 }

func (c *calibration) add(confidence float64, hit bool) {
	bin := min(int(math.Ceil(confidence*eceBins))-1, eceBins-1)
	if !(bin >= 0) {
		bin = 0
	}
	c.count[bin]++
	c.confidence[bin] += confidence
	if hit {
		c.hits[bin]++
	}
}

// error is the mean difference of confidence and accuracy, weighted by the pictures of each bin.
func (c *calibration) error() float64 {
	sum, n := 0.0, 0.0
	for b := range c.count {
		sum += math.Abs(c.confidence[b] - c.hits[b])
		n += c.count[b]
	}
	return sum / n
}
