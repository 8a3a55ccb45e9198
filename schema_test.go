package regft_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"regft/specs"
	_ "regft/stages/builtin"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"
)

var update = flag.Bool("update", false, "write regft.schema.json anew")

const schemaFile = "regft.schema.json"

// TestSchemaIsCurrent compares regft.schema.json, which editors read, with what regft schema prints. After a change of a
// parameter, go test -run TestSchemaIsCurrent -update . writes it.
func TestSchemaIsCurrent(t *testing.T) {
	if *update {
		if err := os.WriteFile(schemaFile, specs.Schema(), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	content, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(content), string(specs.Schema())); diff != "" {
		t.Errorf("%s is not what regft schema prints: go test -run TestSchemaIsCurrent -update .\n%s", schemaFile, diff)
	}
}

// TestSchemaTakesExamples checks the specs that are shipped, and those of testdata/specs, with the checked-in schema.
func TestSchemaTakesExamples(t *testing.T) {
	schema, err := jsonschema.NewCompiler().Compile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, pattern := range []string{"examples/*/*.yaml", "cmd/regft/starter.yaml", "testdata/specs/*.yaml", "testdata/specs/*/*.yaml"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var spec any
			if err := yaml.NewDecoder(bytes.NewReader(content)).Decode(&spec); err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			if err := schema.Validate(spec); err != nil {
				t.Errorf("%s: %v", path, err)
			}
			checked++
		}
	}
	if checked < 12 {
		t.Errorf("only %d specs", checked)
	}
}
