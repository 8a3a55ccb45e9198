package regft_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A fence is a fenced block of Markdown.
type fence struct {
	language string
	lines    []string
}

func fences(t *testing.T, path string) (text string, out []fence) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	open := false
	for line := range strings.Lines(string(content)) {
		language, marked := strings.CutPrefix(strings.TrimSpace(line), "```")
		switch {
		case marked && open:
			open = false
		case marked:
			open = true
			out = append(out, fence{language: language})
		case open:
			last := &out[len(out)-1]
			last.lines = append(last.lines, strings.TrimSpace(line))
		}
	}
	return string(content), out
}

// TestReadmeCommandsRunInCI holds what .ci/run relies on: it runs the lines of the README's sh blocks, so no command may
// stand in a block of another kind.
func TestReadmeCommandsRunInCI(t *testing.T) {
	text, blocks := fences(t, "README.md")
	if !strings.HasPrefix(text, "```sh\ngo run ./cmd/regft run examples/") {
		t.Error("README.md does not begin with the command that runs the example")
	}
	command := regexp.MustCompile(`^(\$ )?(go|regft|task|make|\./|bash|git|cd) `)
	for _, b := range blocks {
		for _, line := range b.lines {
			if b.language != "sh" && command.MatchString(line) {
				t.Errorf("README.md: %q stands in a block of kind %q: only those of kind sh are run by .ci/run", line, b.language)
			}
			if b.language == "sh" && strings.HasSuffix(line, `\`) {
				t.Errorf("README.md: %q goes on in the next line: .ci/run runs lines", line)
			}
		}
	}
	script, err := os.ReadFile(".ci/run")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(script), "/^```sh$/") || !strings.Contains(string(script), "README.md") {
		t.Error(".ci/run no longer takes its commands from the README")
	}
}

func TestLinksOfDocsLead(t *testing.T) {
	pages, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	link := regexp.MustCompile(`\]\(([^)#:]+)\)`)
	for _, page := range append(pages, "README.md") {
		text, _ := fences(t, page)
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), m[1])); err != nil {
				t.Errorf("%s links to %s: %v", page, m[1], err)
			}
		}
	}
}
