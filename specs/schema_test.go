package specs_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"regft/specs"

	"github.com/google/go-cmp/cmp"
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
		if !refused.MatchString(m[3]) {
			check("docs/spec.md:\n"+m[3], []byte(m[3]))
		}
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

// TestSchemaRefusesBadSpecs checks that an editor sees what a schema can say of each bad spec: mistakes of structure, type
// and range that stand in the file itself. The others need expressions evaluated or several files read; those that are
// no YAML the editor sees without a schema.
func TestSchemaRefusesBadSpecs(t *testing.T) {
	schema := compileSchema(t)
	archives, err := filepath.Glob("testdata/bad/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, path := range archives {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var v any
		if err := yaml.Unmarshal([]byte(part(archive, "spec.yaml")), &v); err == nil && schema.Validate(v) != nil {
			got = append(got, strings.TrimSuffix(filepath.Base(path), ".txtar"))
		}
	}
	want := strings.Fields(seenByEditors)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what the schema refuses differs (-want +got):\n%s", diff)
	}
}

// seenByEditors are the bad specs that the schema refuses.
const seenByEditors = `all-at-once averages axis-form-misspelt axis-forms bad-names behind-a-typo control-characters-in-names enum include-missing-and-more key-misspelt keys-of-tables limit
	list-in-single merge-key misspelt-required misspelt-uses name nested-parameter nothing-that-follows
	null-at-points null-parameter numbers-not-finite other-programs-expressions out-of-range path-is-no-artifact path-types required-parameter root-causes shapes stage-settings
	studies study-axes table-axis tables three-stages-three-mistakes unknown-parameter unknown-stage-key unknown-top-key
	unknown-type-inside unknown-type vars-no-mapping version windows wrong-type yaml-empty yaml-indented-list yaml-list yaml-numbers yaml-space-in-flow
	yaml-yes-and-sixty`
