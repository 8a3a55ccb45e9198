package builtin_test

import (
	"fmt"
	"slices"
	"testing"
)

// TestGenerateWithHalfWeights: dtype makes other pictures, close to those of float32.
func TestGenerateWithHalfWeights(t *testing.T) {
	l := newLab(t)
	draw := func(dtype string) (picture string) {
		a := only(l.run("generate", fmt.Sprintf(`{checkpoint: %q, prompts: ["a fox"], steps: 1, batch_size: 1, seed: 3, dtype: %s}`, diffusions(t)[0], dtype), nil))
		return text(t, a, rows(t, a)[0].FileName)
	}
	whole := draw("float32")
	half := draw("bfloat16")
	if d := farthest(t, whole, half); slices.Equal([]byte(whole), []byte(half)) || d > 64 {
		t.Errorf("bfloat16 weights change a picture by %d of 255", d)
	}
}
