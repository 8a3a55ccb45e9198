// Package xla executes graphs on CUDA GPUs, and whatever else a PJRT plugin serves, through go-xla. It needs cgo and
// the build tag xla: go build -tags xla ./cmd/regft. Nothing is downloaded: a plugin is a shared library that is on the
// machine. docs/xla.md says where plugins come from and how one is chosen.
package xla

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Env names the environment variable that chooses the plugin, by name or path, with go-xla's options behind commas:
// "cuda13,preallocate=true".
const Env = "REGFT_PJRT"

// foldersEnv names the environment variable, go-xla's too, with the folders of plugins.
const foldersEnv = "PJRT_PLUGIN_LIBRARY_PATH"

// A plugin is a shared library that may serve PJRT.
type plugin struct{ name, path string }

// A choice is what $REGFT_PJRT asks for: a plugin by name or path, or any where name is "", and go-xla's options.
type choice struct {
	name    string
	options []string
}

// parse reads a value of $REGFT_PJRT. TF32 is off where it is not asked for: it rounds float32 products to ten bits.
func parse(setting string) choice {
	name, options, _ := strings.Cut(setting, ",")
	c := choice{name: strings.TrimSpace(name)}
	for option := range strings.SplitSeq(options, ",") {
		if option = strings.TrimSpace(option); option != "" {
			c.options = append(c.options, option)
		}
	}
	if !c.has("tf32") {
		c.options = append(c.options, "tf32=false")
	}
	return c
}

// has tells whether the options set one, as NAME, noNAME or NAME=value.
func (c choice) has(name string) bool {
	return slices.ContainsFunc(c.options, func(option string) bool {
		key, _, _ := strings.Cut(option, "=")
		return key == name || key == "no"+name
	})
}

// tf32 tells whether float32 products are to be rounded.
func (c choice) tf32() bool {
	return slices.ContainsFunc(c.options, func(option string) bool {
		key, value, valued := strings.Cut(option, "=")
		on, err := strconv.ParseBool(value)
		return key == "tf32" && (!valued || err == nil && on)
	})
}

// config is what go-xla is given to open p: its path and the options. go-xla tells a processor's plugin, whose memory it shares, by
// its path; here it is told by the name, whatever the folder is called.
func (c choice) config(p plugin) string {
	options := c.options
	if !c.has("shared_buffers") {
		options = append(slices.Clip(options), "shared_buffers="+strconv.FormatBool(!p.cuda() && strings.Contains(strings.ToLower(p.name), "cpu")))
	}
	return p.path + "," + strings.Join(options, ",")
}

// among returns those of the found plugins that the choice allows, the preferred first.
func (c choice) among(found []plugin) ([]plugin, error) {
	if strings.ContainsRune(c.name, filepath.Separator) {
		path, err := filepath.Abs(c.name)
		if err != nil {
			return nil, fmt.Errorf("PJRT plugin %s: %w", c.name, err)
		}
		if _, err := os.Stat(path); err != nil {
			return nil, fmt.Errorf("the PJRT plugin of $%s: %w", Env, err)
		}
		return []plugin{{nameOf(path), path}}, nil
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("no PJRT plugin in %s; docs/xla.md says where to get one, $%s takes its path", strings.Join(folders(), ", "), Env)
	}
	allowed := slices.DeleteFunc(slices.Clone(found), func(p plugin) bool { return c.name != "" && !p.called(c.name) })
	if len(allowed) == 0 {
		return nil, fmt.Errorf("no PJRT plugin %q: found %s; $%s chooses by name or path", c.name, strings.Join(names(found), ", "), Env)
	}
	return allowed, nil
}

func names(plugins []plugin) []string {
	var out []string
	for _, p := range plugins {
		out = append(out, p.name)
	}
	return out
}

// called tells whether name means p: its own, or that without the version, as cuda is of cuda13 and cpu of cpu_v0.104.0.
func (p plugin) called(name string) bool {
	version, ok := strings.CutPrefix(p.name, name)
	return ok && (version == "" || strings.HasPrefix(version, "_v") || strings.Trim(version, "0123456789") == "")
}

// cuda tells whether p needs an NVIDIA GPU.
func (p plugin) cuda() bool { return strings.Contains(strings.ToLower(p.name), "cuda") }

// pluginFile are the names of plugins' files that go-xla knows.
var pluginFile = regexp.MustCompile(`^(?:pjrt_c_api_(.+)_plugin|pjrt[-_]plugin[-_](.+))\.(?:so|dylib)$`)

// nameOf is the name of the plugin in a file: for a file that is called otherwise, such as the xla_cuda_plugin.so of a wheel, what its
// name has before the dot.
func nameOf(path string) string {
	base := filepath.Base(path)
	if parts := pluginFile.FindStringSubmatch(base); parts != nil {
		return cmp.Or(parts[1], parts[2])
	}
	return strings.TrimSuffix(base, filepath.Ext(base))
}

// folders are where plugins are looked for: those of $PJRT_PLUGIN_LIBRARY_PATH, or else where go-xla installs them and
// $LD_LIBRARY_PATH.
func folders() []string {
	if value, ok := os.LookupEnv(foldersEnv); ok {
		return split(value)
	}
	var out []string
	if home, err := os.UserHomeDir(); err == nil {
		out = append(out, filepath.Join(home, ".local/lib/go-xla"))
	}
	out = append(out, "/usr/local/lib/go-xla")
	for _, folder := range slices.Clone(out) {
		out = append(out, filepath.Join(folder, "nvidia"))
	}
	return append(out, split(os.Getenv("LD_LIBRARY_PATH"))...)
}

func split(list string) []string {
	return slices.DeleteFunc(filepath.SplitList(list), func(folder string) bool { return folder == "" })
}

// search returns the plugins in the folders, for CUDA first, then by name; of two with one name, that of the earlier folder.
func search(folders []string) []plugin {
	var found []plugin
	for _, folder := range folders {
		entries, err := os.ReadDir(folder)
		if err != nil {
			continue // folders that are looked in need not exist
		}
		for _, e := range entries {
			p := plugin{nameOf(e.Name()), filepath.Join(folder, e.Name())}
			known := func(other plugin) bool { return other.name == p.name }
			if pluginFile.MatchString(e.Name()) && !slices.ContainsFunc(found, known) {
				found = append(found, p)
			}
		}
	}
	slices.SortStableFunc(found, func(a, b plugin) int {
		if a.cuda() != b.cuda() {
			if a.cuda() {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.name, b.name)
	})
	return found
}

// field is the first value of a name in a file of lines "name : value", as the kernel's are, or "".
func field(path, name string) string {
	content, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(content)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
