package engine

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"regft/cache"
)

// A Line is one line of results.jsonl: what an instance measured.
type Line struct {
	Stage    string         `json:"stage"`
	Point    map[string]any `json:"point"`
	Params   map[string]any `json:"params"`
	Metrics  map[string]any `json:"metrics"`  // nested as expressions read them
	Chosen   map[string]any `json:"chosen"`   // of a stage that chooses: the gathered axes' values; else null
	Oracle   bool           `json:"oracle"`   // a select saw the very data that this reports
	Digests  map[string]any `json:"digests"`  // action and outputs; of a stage that measures several data sets, by their names
	Numerics string         `json:"numerics"` // what computed it
	Cached   bool           `json:"cached"`   // all of it was there before the run
	Seconds  float64        `json:"seconds"`  // what it took to compute
}

// Results are the lines of the instances that have metrics, in plan order.
func (p *Plan) Results() []Line {
	lines := []Line{}
	for _, i := range p.order {
		if i.needed && i.fate == done && len(i.metrics()) > 0 {
			lines = append(lines, i.line(p.Oracle(i.Instance)))
		}
	}
	return lines
}

func (i *instance) line(oracle bool) Line {
	l := Line{Stage: i.Stage.Name, Point: cache.EncodeMetrics(i.Point()), Params: cache.EncodeMetrics(i.Stage.Type.Params(i.Runner)),
		Metrics: cache.EncodeMetrics(i.metrics()), Chosen: cache.EncodeMetrics(i.chosen()), Oracle: oracle, Cached: true}
	if l.Point == nil {
		l.Point = map[string]any{}
	}
	numerics := map[string]bool{}
	if i.split {
		l.Digests = map[string]any{}
	}
	for k, pt := range i.parts {
		if pt.fate != done {
			continue
		}
		n := pt.node
		numerics[n.Result.Numerics] = true
		l.Cached = l.Cached && n.found
		l.Seconds += n.Result.Seconds
		if i.split {
			l.Digests[i.label(k)] = digests(n.Result)
		} else {
			l.Digests = digests(n.Result)
		}
	}
	delete(numerics, "")
	l.Numerics = strings.Join(slices.Sorted(maps.Keys(numerics)), ", ")
	return l
}

// digests are r's: of its action, and of its outputs, the one without a name as output.
func digests(r *cache.Result) map[string]any {
	d := map[string]any{"action": r.Action.String()}
	for name, digest := range r.Outputs {
		if name == "" {
			name = "output"
		}
		d[name] = digest.String()
	}
	return d
}

// encodeJSONL writes a value a line.
func encodeJSONL[T any](values []T) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	for _, v := range values {
		if err := enc.Encode(v); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}

// encodeCSV writes lines as a table: the stage, a column for each axis, for each metric and chosen value by its path,
// and the rest. Axes are in the order of the spec.
func encodeCSV(lines []Line, axes []string) ([]byte, error) {
	var metrics, chosen []string
	flat := make([][2]map[string]string, len(lines))
	for k, l := range lines {
		flat[k] = [2]map[string]string{flatten("", l.Metrics), flatten("", l.Chosen)}
		metrics = merge(metrics, flat[k][0])
		chosen = merge(chosen, flat[k][1])
	}
	header := append([]string{"stage"}, axes...)
	for _, m := range metrics {
		header = append(header, "metrics."+m)
	}
	for _, c := range chosen {
		header = append(header, "chosen."+c)
	}
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	_ = w.Write(append(header, "oracle", "numerics", "cached", "seconds")) // Error says it below
	for k, l := range lines {
		row := []string{l.Stage}
		for _, a := range axes {
			row = append(row, cell(l.Point, a))
		}
		for _, m := range metrics {
			row = append(row, flat[k][0][m])
		}
		for _, c := range chosen {
			row = append(row, flat[k][1][c])
		}
		_ = w.Write(append(row, strconv.FormatBool(l.Oracle), l.Numerics, strconv.FormatBool(l.Cached), text(l.Seconds)))
	}
	w.Flush()
	return b.Bytes(), w.Error()
}

func cell(point map[string]any, axis string) string {
	v, ok := point[axis]
	if !ok || v == nil {
		return ""
	}
	return text(v)
}

// text is v as it stands in a table: texts as they are, all else as JSON.
func text(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}

// flatten gives the values of nested mappings by their paths.
func flatten(prefix string, m map[string]any) map[string]string {
	out := map[string]string{}
	for name, v := range m {
		if sub, ok := v.(map[string]any); ok {
			maps.Copy(out, flatten(prefix+name+".", sub))
			continue
		}
		out[prefix+name] = text(v)
	}
	return out
}

// merge adds the keys of m that are new, sorted.
func merge(names []string, m map[string]string) []string {
	for _, name := range slices.Sorted(maps.Keys(m)) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}
