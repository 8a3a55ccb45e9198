package engine

import (
	"testing"

	"regft/cache"
)

// TestRerunAgrees judges what a node gave once more by bytes on one class of machine, by metrics between classes.
func TestRerunAgrees(t *testing.T) {
	result := func(content, numerics string, metric any) *cache.Result {
		return &cache.Result{Outputs: map[string]cache.Digest{"": cache.SumBytes([]byte(content))}, Numerics: numerics,
			Metrics: map[string]any{"data": map[string]any{"top1": metric}}}
	}
	was := result("a", "cpu avx2", 0.5)
	for name, c := range map[string]struct {
		now   *cache.Result
		agree bool
	}{
		"same":                              {result("a", "cpu avx2", 0.5), true},
		"other bytes":                       {result("b", "cpu avx2", 0.5), false},
		"other metrics, same bytes":         {result("a", "cpu avx2", 0.50001), false},
		"another class, same bytes":         {result("a", "cpu neon", 0.5), true},
		"another class, near":               {result("b", "cpu neon", 0.5004), true},
		"another class, far":                {result("b", "cpu neon", 0.502), false},
		"another class, a metric is a text": {result("b", "cpu neon", "none"), false},
		"failed":                            {nil, false},
	} {
		r := Rerun{Was: was, Now: c.now}
		if c.now != nil {
			r.Metrics = measured(was, c.now, 1e-3)
		}
		if r.Agrees() != c.agree {
			t.Errorf("%s: agrees %t, want %t (%+v)", name, r.Agrees(), c.agree, r.Metrics)
		}
	}
}
