package cache_test

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"regft/cache"
)

func TestFloatRoundTrip(t *testing.T) {
	check := func(t interface{ Errorf(string, ...any) }, x float64) {
		text, err := json.Marshal(cache.EncodeFloat(x))
		if err != nil {
			t.Errorf("%v: %v", x, err)
			return
		}
		var v any
		if err := json.Unmarshal(text, &v); err != nil {
			t.Errorf("%v: %v", x, err)
		}
		if got, ok := cache.DecodeFloat(v); !ok || !(got == x || math.IsNaN(got) && math.IsNaN(x)) {
			t.Errorf("%v came back as %v, %v through %s", x, got, ok, text)
		}
	}
	for _, x := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), 0, math.MaxFloat64, math.SmallestNonzeroFloat64} {
		check(t, x)
	}
	rapid.Check(t, func(t *rapid.T) { check(t, rapid.Float64().Draw(t, "x")) })
}

func TestDecodeFloatKinds(t *testing.T) {
	for _, v := range []any{2, int64(2), uint8(2), float32(2), 2.0} {
		if x, ok := cache.DecodeFloat(v); x != 2 || !ok {
			t.Errorf("%T: %v, %v", v, x, ok)
		}
	}
	for _, v := range []any{nil, "2", "nan", true, []any{1.0}, map[string]any{}, struct{}{}} {
		if x, ok := cache.DecodeFloat(v); ok {
			t.Errorf("%#v is taken for %v", v, x)
		}
	}
}

// Metrics that stages make of Go's types come back in JSON's, numbers as numbers.
func TestMetricsThroughJSON(t *testing.T) {
	type point struct{ X int }
	var none []float64
	given := map[string]any{
		"count": 12, "loss": float32(math.Inf(1)), "nothing": nil, "none": none, "at": point{3}, "word": "NaNs",
		"list": []float64{1, math.NaN()}, "nested": map[string]map[string]float64{"val": {"top1": math.Inf(-1)}},
	}
	want := map[string]any{
		"count": 12.0, "loss": math.Inf(1), "nothing": nil, "none": nil, "at": map[string]any{"X": 3.0}, "word": "NaNs",
		"list": []any{1.0, math.NaN()}, "nested": map[string]any{"val": map[string]any{"top1": math.Inf(-1)}},
	}
	text, err := json.Marshal(cache.Result{Metrics: given})
	if err != nil {
		t.Fatal(err)
	}
	var got cache.Result
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got.Metrics, cmpopts.EquateNaNs()); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
}
