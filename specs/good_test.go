package specs_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"regft/specs"
	"regft/stages"

	"github.com/rogpeppe/go-internal/txtar"
)

// TestGoodSpecs checks what specs expand to: points, instances with parameters and inputs, cells. An archive is as
// those of TestBadSpecs.
func TestGoodSpecs(t *testing.T) {
	eachArchive(t, "testdata/good/*.txtar", dump)
}

// dump writes what the archive's spec expands to.
func dump(t *testing.T, archive *txtar.Archive) string {
	t.Helper()
	sets := unpack(t, archive)
	s, problems := specs.Load("spec.yaml", sets)
	if problems.HasErrors() {
		t.Fatalf("loading:\n%v", problems)
	}
	e, problems := s.Expand(context.Background())
	if problems.HasErrors() {
		t.Fatalf("expanding:\n%v", problems)
	}
	var b bytes.Buffer
	for _, p := range problems {
		fmt.Fprintf(&b, "%s: %s: %s\n", p.Place(), p.Severity, p.Summary)
	}
	fmt.Fprintf(&b, "%d points\n", len(e.Points))
	if len(s.Axes) > 0 && len(e.Points) <= 12 {
		for _, p := range e.Points {
			fmt.Fprintf(&b, "  %s\n", pointText(s, p))
		}
	}
	for _, s := range s.Stages {
		fmt.Fprintf(&b, "%s over %v\n", s.Name, s.Over)
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range e.Instances {
		b.WriteString(strings.ReplaceAll(instanceText(i), dir, "DIR"))
	}
	for _, name := range slices.Sorted(maps.Keys(e.Cells)) {
		fmt.Fprintf(&b, "table %s\n", name)
		for _, c := range e.Cells[name] {
			fmt.Fprintf(&b, "  %s | %s:", coordsText(c.Row), coordsText(c.Column))
			for _, i := range c.Instances {
				fmt.Fprintf(&b, " %s", i.Address())
			}
			b.WriteByte('\n')
		}
	}
	return b.String()
}

func pointText(s *specs.Spec, p specs.Point) string {
	var out []string
	for i, v := range p {
		key := "null"
		if v != nil {
			key = v.Key
		}
		out = append(out, s.Axes[i].Name+"="+key)
	}
	return strings.Join(out, " ")
}

func coordsText(coords []stages.Coord) string {
	var out []string
	for _, c := range coords {
		out = append(out, c.Axis+"="+c.Key)
	}
	return strings.Join(out, " ")
}

func instanceText(i *specs.Instance) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s", i.Address())
	if !i.Needed {
		b.WriteString(" (not needed)")
	}
	if i.Oracle {
		b.WriteString(" (oracle)")
	}
	b.WriteByte('\n')
	for _, line := range i.Stage.Type.ParamLines(i.Runner, false) {
		fmt.Fprintf(&b, "  %s\n", line)
	}
	if note := i.Stage.Type.Params(i.Runner)["note"]; note != nil && note != "" {
		fmt.Fprintf(&b, "  note %q\n", note)
	}
	for k, in := range i.Stage.Type.Inputs(i.Runner) {
		from := in.Path
		if r := i.Refs[k]; r.Instance != nil {
			from = r.Instance.Address()
			if r.Output != "" {
				from += " output " + r.Output
			}
		}
		fmt.Fprintf(&b, "  %s", in.Field.Name)
		if in.Key != "" {
			fmt.Fprintf(&b, ".%s", in.Key)
		}
		fmt.Fprintf(&b, " ← %s", from)
		if in.Coords != nil {
			fmt.Fprintf(&b, " at %s", coordsText(in.Coords))
		}
		if in.Pooled {
			b.WriteString(", pooled")
		}
		b.WriteByte('\n')
	}
	if i.Parts != nil {
		fmt.Fprintf(&b, "  metrics of %v\n", i.Parts)
	}
	if i.Candidates != nil {
		fmt.Fprintf(&b, "  candidates %s\n", stages.CanonicalJSON(i.Candidates))
	}
	for _, c := range []*specs.Condition{i.When, i.Assert} {
		if c != nil {
			fmt.Fprintf(&b, "  if %s, reading", c.Text)
			for _, r := range c.Refs {
				fmt.Fprintf(&b, " %s", r.Address())
			}
			b.WriteByte('\n')
		}
	}
	return b.String()
}
