package xla

import (
	"go/build"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// library makes an empty file that is called like a library, with its folder, and returns its path.
func library(t *testing.T, path ...string) string {
	t.Helper()
	file := filepath.Join(path...)
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestSearch(t *testing.T) {
	first, second := t.TempDir(), t.TempDir()
	cpu := library(t, first, "pjrt_c_api_cpu_plugin.so")
	library(t, second, "pjrt_c_api_cpu_plugin.so") // hidden by the first folder's
	versioned := library(t, second, "pjrt-plugin-cpu_v0.104.0.so")
	cuda := library(t, second, "pjrt_plugin_cuda13.so")
	library(t, second, "libcudart.so.13")
	got := search([]string{first, filepath.Join(first, "missing"), second})
	want := []plugin{{"cuda13", cuda}, {"cpu", cpu}, {"cpu_v0.104.0", versioned}}
	if !slices.Equal(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
}

func TestFolders(t *testing.T) {
	t.Setenv(foldersEnv, "/a::/b")
	if got := folders(); !slices.Equal(got, []string{"/a", "/b"}) {
		t.Errorf("with $%s: %q", foldersEnv, got)
	}
	if err := os.Unsetenv(foldersEnv); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOME", "/home/me")
	t.Setenv("LD_LIBRARY_PATH", "/cuda/lib64")
	got := folders()
	if got[0] != "/home/me/.local/lib/go-xla" || got[len(got)-1] != "/cuda/lib64" {
		t.Errorf("without $%s: %q", foldersEnv, got)
	}
}

// TestConfig: TF32 is off and memory is shared with the processor's plugins alone, unless the setting says otherwise.
func TestConfig(t *testing.T) {
	cpu, cuda := plugin{"cpu", "/cuda/a.so"}, plugin{"cuda13", "/cpu/b.so"}
	for _, test := range []struct {
		setting string
		of      plugin
		want    string
		tf32    bool
	}{
		{"", cpu, "/cuda/a.so,tf32=false,shared_buffers=true", false},
		{"", cuda, "/cpu/b.so,tf32=false,shared_buffers=false", false},
		{"cuda, tf32 , preallocate=true", cuda, "/cpu/b.so,tf32,preallocate=true,shared_buffers=false", true},
		{"cuda,tf32=true", cuda, "/cpu/b.so,tf32=true,shared_buffers=false", true},
		{"cuda,notf32", cuda, "/cpu/b.so,notf32,shared_buffers=false", false},
		{"/tf32/a.so", cpu, "/cuda/a.so,tf32=false,shared_buffers=true", false}, // a path is no option
		{"cpu,noshared_buffers", cpu, "/cuda/a.so,noshared_buffers,tf32=false", false},
	} {
		c := parse(test.setting)
		if got := c.config(test.of); got != test.want {
			t.Errorf("%q: got %q, want %q", test.setting, got, test.want)
		}
		if got := c.tf32(); got != test.tf32 {
			t.Errorf("%q: TF32 %v, want %v", test.setting, got, test.tf32)
		}
	}
}

func TestAmong(t *testing.T) {
	cuda, cpu, versioned := plugin{"cuda13", "/p/c.so"}, plugin{"cpu", "/p/a.so"}, plugin{"cpu_v0.104.0", "/p/b.so"}
	found := []plugin{cuda, cpu, versioned}
	for name, want := range map[string][]plugin{
		"":       found,
		"cuda13": {cuda},
		"cuda":   {cuda},
		"cpu":    {cpu, versioned},
	} {
		got, err := choice{name: name}.among(found)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: got %v, %v; want %v", name, got, err, want)
		}
	}
	wheel := library(t, t.TempDir(), "xla_cuda_plugin.so")
	if got, err := (choice{name: wheel}).among(nil); err != nil || !slices.Equal(got, []plugin{{"xla_cuda_plugin", wheel}}) || !got[0].cuda() {
		t.Errorf("by path: got %v, %v", got, err)
	}
}

// TestChoicesThatCannotBe: each error says what was looked for, what there is, and what to set.
func TestChoicesThatCannotBe(t *testing.T) {
	t.Setenv(foldersEnv, "/opt/plugins")
	for _, test := range []struct {
		name  string
		found []plugin
		want  []string
	}{
		{"", nil, []string{"/opt/plugins", "docs/xla.md", Env}},
		{"cuda", []plugin{{"cpu", "/p/a.so"}}, []string{`"cuda"`, "found cpu", Env}},
		{"cud", []plugin{{"cuda13", "/p/c.so"}}, []string{`"cud"`, "found cuda13"}},
		{"/missing/plugin.so", nil, []string{"/missing/plugin.so", Env}},
	} {
		_, err := choice{name: test.name}.among(test.found)
		if err == nil {
			t.Errorf("%q among %v is accepted", test.name, test.found)
			continue
		}
		for _, want := range test.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q: %v does not say %q", test.name, err, want)
			}
		}
	}
}

func TestField(t *testing.T) {
	path := filepath.Join(t.TempDir(), "information")
	if err := os.WriteFile(path, []byte("Model: \t\t NVIDIA H200\nIRQ:   \t\t 61\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	if got := field(path, "Model"); got != "NVIDIA H200" {
		t.Errorf("got %q", got)
	}
	if got := field(path, "Bus"); got != "" {
		t.Errorf("a field that is not there is %q", got)
	}
}

// TestOnlyTheTagLinksXLA: what a build without the tag is made of imports neither go-xla nor, in compute, this package.
func TestOnlyTheTagLinksXLA(t *testing.T) {
	for _, tags := range [][]string{nil, {"xla"}} {
		context := build.Default
		context.CgoEnabled, context.BuildTags = tags != nil, tags
		for folder, linked := range map[string]string{".": "github.com/gomlx/go-xla/pjrt", "..": "regft/compute/xla"} {
			p, err := context.ImportDir(folder, 0)
			if err != nil {
				t.Fatal(err)
			}
			if got := slices.Contains(p.Imports, linked); got != (tags != nil) {
				t.Errorf("with the tags %q, %s imports %s: %v", tags, folder, linked, got)
			}
		}
	}
}
