package specs_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"regft/specs"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"
)

func compileSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(specs.Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("regft.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("regft.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestSchemaTakesGoodSpecs checks the schema against every spec that plans.
func TestSchemaTakesGoodSpecs(t *testing.T) {
	schema := compileSchema(t)
	check := func(name string, text []byte) {
		var v any
		if err := yaml.Unmarshal(text, &v); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := schema.Validate(v); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	archives, _ := filepath.Glob("testdata/good/*.txtar")
	for _, path := range archives {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range archive.Files {
			if filepath.Ext(f.Name) == ".yaml" && f.Name != "y.yaml" { // that one is data
				check(path+": "+f.Name, f.Data)
			}
		}
	}
	reference, err := os.ReadFile(filepath.Join("..", "docs", "spec.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range block.FindAllStringSubmatch(string(reference), -1) {
		check("docs/spec.md:\n"+m[3], []byte(m[3]))
	}
	for _, pattern := range []string{"*.yaml", "*/*.yaml"} {
		files, _ := filepath.Glob(filepath.Join("..", "testdata", "specs", pattern))
		for _, path := range files {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			check(path, text)
		}
	}
}

// TestSchemaRefusesBadSpecs checks that an editor sees what a schema can say: mistakes of structure, type and range
// that stand in the file itself. The others need expressions evaluated or several files read.
func TestSchemaRefusesBadSpecs(t *testing.T) {
	schema := compileSchema(t)
	for name := range strings.FieldsSeq(`all-at-once averages axis-forms bad-names enum list-in-single merge-key
		misspelt-required name nested-parameter null-parameter out-of-range path-is-no-artifact required-parameter shapes
		stage-settings studies tables unknown-parameter unknown-stage-key unknown-top-key unknown-type version windows
		wrong-type yaml-empty yaml-list`) {
		archive, err := txtar.ParseFile(filepath.Join("testdata", "bad", name+".txtar"))
		if err != nil {
			t.Fatal(err)
		}
		var v any
		if err := yaml.Unmarshal([]byte(part(archive, "spec.yaml")), &v); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if schema.Validate(v) == nil {
			t.Errorf("%s: the schema takes it", name)
		}
	}
}
