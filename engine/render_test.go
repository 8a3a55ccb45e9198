package engine

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestWrap(t *testing.T) {
	for _, text := range []string{
		"why needs zeroshot; over [variance, covariance, learning_rate, alpha, draw]",
		"why no checkpoints/stable-diffusion-2-1-base/of/a/very/long/path, 9 more; over [dataset]",
		strings.Repeat("ä", 100),
		"short",
	} {
		lines := wrap(text, 40)
		for _, line := range lines {
			if n := utf8.RuneCountInString(line); n > 40 {
				t.Errorf("%d columns: %s", n, line)
			}
		}
		if got := strings.ReplaceAll(strings.Join(lines, ""), " ", ""); got != strings.ReplaceAll(text, " ", "") {
			t.Errorf("%q became %q", text, lines)
		}
	}
}
