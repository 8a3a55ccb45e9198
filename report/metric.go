package report

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// fractions print as percent.
var fractions = []string{"top1", "top5", "mean_per_class", "ece", "accuracy", "precision", "recall", "f1",
	"in_domain_top1", "expected_top1", "effective_robustness", "worst_class"}

// derived are the ends of metrics that have the unit of the metric before them: its interval, and its gain over a baseline.
var derived = []string{"_low", "_high", "_gain"}

// lowerIsBetter are metrics whose least value is the best; names that end in loss or error count too.
var lowerIsBetter = []string{"nll", "ece", "frechet_distance"}

// A Column is one quantity of a table.
type Column struct {
	Name    string // of the dataset, or of the metric where metrics are flat
	Metric  string
	Percent bool
	Lower   bool // less is better
	Average bool // over the columns before it

	Plain      bool // none of its values is marked as the best
	Difference bool // of pairs: shown with a sign and an interval
}

func newColumn(name, metric string) Column {
	return Column{
		Name: name, Metric: metric, Percent: IsFraction(metric),
		Lower: slices.Contains(lowerIsBetter, metric) || strings.HasSuffix(metric, "loss") || strings.HasSuffix(metric, "error"),
	}
}

// Heading is the column's name with its unit.
func (c Column) Heading() string {
	switch {
	case c.Percent && endsInNumber(c.Name):
		return c.Name + " (%)" // it is no number of percent
	case c.Percent:
		return c.Name + " %"
	}
	return c.Name
}

func endsInNumber(s string) bool {
	_, err := strconv.ParseFloat(s[strings.LastIndex(s, " ")+1:], 64)
	return err == nil
}

// IsFraction tells whether a metric prints as percent.
func IsFraction(metric string) bool {
	for _, end := range derived { // top1_gain_low has two of them, the last first
		metric = strings.TrimSuffix(metric, end)
	}
	return slices.Contains(fractions, metric)
}

// MainMetrics lists the metrics that an outcome is compared by: for each data set the one that people ask for first, or
// where metrics are flat, all that are numbers. They are paths into metrics.
func MainMetrics(metrics map[string]any) [][]string {
	entries := []Entry{{Metrics: metrics}}
	var out [][]string
	nested := metricsOf(entries)
	for _, name := range slices.Sorted(maps.Keys(metrics)) {
		switch _, flat := number(metrics[name]); {
		case flat:
			out = append(out, []string{name})
		case len(nested) > 0:
			if _, has := value(entries[0], name, nested[0]); has {
				out = append(out, []string{name, nested[0]})
			}
		}
	}
	return out
}

// metricsOf lists the metrics per dataset in entries, the ones people ask for first; none where metrics are flat.
func metricsOf(entries []Entry) []string {
	var found []string
	for _, e := range entries {
		for _, v := range e.Metrics {
			m, nested := v.(map[string]any)
			if !nested {
				continue
			}
			for name, v := range m {
				if _, ok := number(v); ok && !slices.Contains(found, name) {
					found = append(found, name)
				}
			}
		}
	}
	known := []string{"top1", "top5", "mean_per_class", "nll", "ece"}
	slices.SortFunc(found, func(a, b string) int {
		if i, j := rank(known, a), rank(known, b); i != j {
			return i - j
		}
		return strings.Compare(a, b)
	})
	return found
}

func rank(list []string, name string) int {
	if i := slices.Index(list, name); i >= 0 {
		return i
	}
	return len(list)
}

// columnsOf lists the columns of a table of metric: the datasets in the order that g gives, others by name, and their
// average; with metric "" the flat metrics.
func columnsOf(g Group, metric string) []Column {
	found := map[string]bool{}
	for _, e := range g.Entries {
		for name := range e.Metrics {
			if _, ok := value(e, name, metric); ok {
				found[name] = true
			}
		}
	}
	names := slices.Sorted(maps.Keys(found))
	slices.SortStableFunc(names, func(a, b string) int { return rank(g.Columns, a) - rank(g.Columns, b) })
	var cols []Column
	for _, name := range names {
		if metric == "" {
			cols = append(cols, newColumn(name, name))
		} else {
			cols = append(cols, newColumn(name, metric))
		}
	}
	if metric != "" && len(cols) > 1 {
		mean := newColumn("mean", metric)
		mean.Average = true
		cols = append(cols, mean)
	}
	return cols
}

// value is one number of an entry.
func value(e Entry, name, metric string) (float64, bool) {
	v := e.Metrics[name]
	if metric == "" {
		return number(v)
	}
	m, _ := v.(map[string]any)
	return number(m[metric])
}

// number reads a number as records hold it: non-finite ones are texts.
func number(v any) (float64, bool) {
	switch x := v.(type) {
	case float64:
		return x, true
	case float32:
		return float64(x), true
	case int:
		return float64(x), true
	case int64:
		return float64(x), true
	case string:
		return nonFinite(x)
	}
	return 0, false
}

func nonFinite(s string) (float64, bool) {
	switch s {
	case "NaN":
		return math.NaN(), true
	case "Infinity":
		return math.Inf(1), true
	case "-Infinity":
		return math.Inf(-1), true
	}
	return 0, false
}

// format writes x as column c shows it, with digits after the point.
func (c Column) format(x float64, digits int) string {
	switch {
	case math.IsNaN(x):
		return "NaN"
	case math.IsInf(x, 1):
		return "∞"
	case math.IsInf(x, -1):
		return "−∞"
	case c.Percent:
		x *= 100
	}
	s := decimal(x, digits)
	if c.Difference && x > 0 {
		s = "+" + s
	}
	return s
}

// decimal writes x with digits after the point. What is halfway in twelve decimal digits, whatever its binary fraction,
// goes away from zero, and zero has no sign.
func decimal(x float64, digits int) string {
	s := strconv.FormatFloat(x*(1+1e-12), 'f', digits, 64)
	if strings.Trim(s, "-0.") == "" {
		s = strings.TrimPrefix(s, "-")
	}
	return s
}

// digits is how many digits after the point the values of a column need: one for percent, else as many as they have, and
// at most about four that count.
func (c Column) digits(values []float64) int {
	if c.Percent {
		return 1
	}
	values = slices.DeleteFunc(slices.Clone(values), func(x float64) bool { return math.IsInf(x, 0) || math.IsNaN(x) })
	largest := 0.0
	for _, x := range values {
		largest = max(largest, math.Abs(x))
	}
	most := 3
	if largest > 0 {
		most = min(max(3-int(math.Floor(math.Log10(largest))), 0), 8)
	}
	for d := range most {
		if !slices.ContainsFunc(values, func(x float64) bool { return !short(x, d) }) {
			return d
		}
	}
	return most
}

// short tells whether x has at most so many digits after the point.
func short(x float64, digits int) bool {
	scaled := x * math.Pow10(digits)
	return math.Abs(scaled-math.Round(scaled)) <= 1e-9*max(1, math.Abs(scaled))
}
