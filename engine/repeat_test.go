package engine

import (
	"os"
	"path/filepath"
	"testing"
)

// TestBelowAChoiceNodesMayRepeat: what two choices give may be the same, or what was measured before.
func TestBelowAChoiceNodesMayRepeat(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spec.yaml")
	text := `version: 1
sweep: {axes: {draw: [1, 2], alpha: [0, 0.5]}}
stages:
  m: {uses: const, with: {value: "${sweep.alpha}"}}
  noise: {uses: const, with: {value: "${sweep.draw + 10}"}}
  test: {uses: const, with: {value: 6}}
  scores: {uses: score, with: {model: stages.m, data: [stages.noise]}}
  best: {uses: pick, gather: [alpha], with: {from: stages.m, scores: stages.scores, maximize: metrics.noise.top1}}
  final: {uses: score, with: {model: stages.best, data: [stages.test]}}
  seen: {uses: score, with: {model: stages.best, data: [stages.noise]}}
  after: {uses: sum, with: {inputs: stages.final}}
  other: {uses: sum, with: {inputs: stages.m}}
`
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	p := loadPath(t, path).plan(newStore(t), Options{})
	equal(t, "may repeat", states(p, Maybe), "final[draw=2] seen[draw=1] seen[draw=2] after[draw=2]")
}
