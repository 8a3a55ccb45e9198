package regft_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// layers is the policy of who imports whom, from the bottom up: a package may import those that its line names.
// A line for x/... covers x and what lies below, which may import one another. It is a policy, not a record: think
// before changing it to make a build pass.
const layers = `
cache/...
stages               cache
stages/toy           cache stages
specs/...            cache stages
engine               cache stages specs

models/...           compute
train                compute models/...
datasets/...
report
compute/...

stages/builtin       cache stages compute models/... train datasets/... report
tables               stages specs engine report
cmd/regft            cache/... stages specs/... engine report tables datasets/... compute stages/builtin
`

// gomlxFree are the packages whose tests need no tensors.
var gomlxFree = []string{"cache", "stages", "stages/toy", "specs", "engine", "datasets", "report", "tables"}

const module = "regft"

// A layer is one line of layers.
type layer struct {
	pattern string
	imports []string
}

func parseLayers() []layer {
	var out []layer
	for line := range strings.Lines(layers) {
		if fields := strings.Fields(line); len(fields) > 0 {
			out = append(out, layer{fields[0], fields[1:]})
		}
	}
	return out
}

// covers tells whether pattern, a path or path/..., stands for pkg.
func covers(pattern, pkg string) bool {
	prefix, deep := strings.CutSuffix(pattern, "/...")
	return pkg == prefix || deep && strings.HasPrefix(pkg, prefix+"/")
}

func TestLayers(t *testing.T) {
	for pkg, imports := range importsOfTree(t) {
		i := slices.IndexFunc(parseLayers(), func(l layer) bool { return covers(l.pattern, pkg) })
		if i < 0 {
			t.Errorf("%s: a new package; give it a line in layers", pkg)
			continue
		}
		l := parseLayers()[i]
		for _, imp := range imports {
			ours, isOurs := strings.CutPrefix(imp, module+"/")
			allowed := covers(l.pattern, ours) || slices.ContainsFunc(l.imports, func(p string) bool { return covers(p, ours) })
			if isOurs && !allowed {
				t.Errorf("%s imports %s: against the layers", pkg, imp)
			}
			checkGomlx(t, pkg, imp)
		}
	}
}

// checkGomlx keeps tensors out of packages that need none, and backends inside compute.
func checkGomlx(t *testing.T, pkg, imp string) {
	if strings.Contains(imp, "github.com/gomlx/") && slices.ContainsFunc(gomlxFree, func(p string) bool { return covers(p+"/...", pkg) }) {
		t.Errorf("%s imports %s: no GoMLX in this package", pkg, imp)
	}
	backend := strings.HasPrefix(imp, "github.com/gomlx/compute/gobackend") || strings.HasPrefix(imp, "github.com/gomlx/go-xla") || strings.Contains(imp, "gomlx/backends/")
	if backend && !covers("compute/...", pkg) {
		t.Errorf("%s imports %s: only compute knows backends", pkg, imp)
	}
}

// importsOfTree lists the imports of every package of the module, its tests apart.
func importsOfTree(t *testing.T) map[string][]string {
	out := map[string][]string{}
	err := filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return skipFolder(d, err)
		}
		if !strings.HasSuffix(p, ".go") || strings.HasSuffix(p, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), p, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		pkg := path.Dir(filepath.ToSlash(p))
		for _, spec := range f.Imports {
			imp, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			out[pkg] = append(out[pkg], imp)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) == 0 {
		t.Fatal("no packages found")
	}
	return out
}

// skipFolder keeps out of hidden folders and testdata, as the go command does.
func skipFolder(d fs.DirEntry, err error) error {
	name := ""
	if d != nil {
		name = d.Name()
	}
	if err == nil && (name == "testdata" || name == "shared" || strings.HasPrefix(name, ".") && name != ".") {
		return fs.SkipDir
	}
	return err
}
