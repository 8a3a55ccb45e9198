package specs_test

import (
	"context"
	"os"
	"path/filepath"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"testing"
	"time"

	"regft/specs"

	"github.com/rogpeppe/go-internal/txtar"
)

// mostMemory is what a spec may take, whatever it is.
const mostMemory = 512 << 20

// tryAll loads and expands a spec, whatever it is: it must neither panic, nor take long, nor fill the memory.
func tryAll(t *testing.T, text []byte, sets ...string) {
	t.Helper()
	if peak := peakMemory(func() { tryOne(t, text, sets...) }); peak > mostMemory {
		t.Fatalf("took %d MiB", peak>>20)
	}
}

// peakMemory is the most memory that the process holds while f runs, in bytes. Garbage hardly counts: the collector
// keeps it below half of what is allowed.
func peakMemory(f func()) uint64 {
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(mostMemory / 2))
	done := make(chan struct{})
	peak := make(chan uint64)
	go func() {
		most := heldMemory()
		for tick := time.NewTicker(2 * time.Millisecond); ; {
			select {
			case <-tick.C:
				most = max(most, heldMemory())
			case <-done:
				tick.Stop()
				peak <- max(most, heldMemory())
				return
			}
		}
	}()
	f()
	close(done)
	return <-peak
}

// heldMemory is what the runtime has of the system and has not given back.
func heldMemory() uint64 {
	samples := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(samples)
	return samples[0].Value.Uint64() - samples[1].Value.Uint64()
}

func tryOne(t *testing.T, text []byte, sets ...string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "spec.yaml")
	if err := os.WriteFile(path, text, 0o666); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	s, problems := specs.Load(path, sets)
	if s == nil && !problems.HasErrors() {
		t.Fatal("neither a spec nor an error")
	}
	if s != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		e, problems := s.Expand(ctx)
		if e == nil && !problems.HasErrors() {
			t.Fatal("neither an expansion nor an error")
		}
	}
	for _, p := range problems {
		if p.Summary == "" || p.File == "" {
			t.Fatalf("an empty diagnostic: %+v", p)
		}
	}
	if took := time.Since(start); took > 30*time.Second {
		t.Fatalf("took %v", took)
	}
}

func FuzzYAML(f *testing.F) {
	for _, pattern := range []string{"testdata/good/*.txtar", "testdata/bad/*.txtar"} {
		archives, _ := filepath.Glob(pattern)
		for _, path := range archives {
			archive, err := txtar.ParseFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add([]byte(part(archive, "spec.yaml")))
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		tryAll(t, text)
	})
}

func FuzzCEL(f *testing.F) {
	for _, text := range []string{
		"sweep.a == 1", "size(changed) <= 1", "sweep.m.key in ['x', 'y'] && sweep.m.v.w > 0.5", "vars.l.map(x, x * 2)[0] / 3",
		"file('x.json').a", "has(sweep.m.v) ? sweep.m.v : null", "stages.c", "stages[sweep.m.key].metrics.value > 1", "metrics.a.b", "1 / 0",
		"[1,2,3].filter(x, x > 1).exists(y, y == 2)", "'a' + string(1e-5)", "-9223372036854775808 - 1", "{'a': 1}.a", "sweep['a']", "my-var", "!true", "1 ? 2 : 3",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		quoted := "'" + strings.ReplaceAll(strings.ToValidUTF8(text, ""), "'", "''") + "'"
		whole := "'${" + quoted[1:len(quoted)-1] + "}'"
		for _, where := range []string{"  where: " + quoted + "\n", "  exclude: [" + quoted + "]\n", ""} {
			value, when := "1", "true"
			if where == "" {
				value, when = whole, quoted
			}
			tryAll(t, []byte("version: 1\nvars: {l: [1, 2]}\nsweep:\n  axes: {a: [1, 2], m: {x: {v: {w: 1}}, y: 2}}\n  baseline: {a: 1}\n"+where+
				"stages:\n  c: {uses: const, with: {value: 1}}\n  d: {uses: const, with: {value: "+value+"}, when: "+when+", assert: "+when+"}\n"+
				"  i: {uses: dataset, with: {format: imagenet, path: p}}\n  f: {uses: filter, with: {data: stages.i, keep: "+when+"}}\n"+
				"  s: {uses: slow, with: {seconds: 0, inputs: "+when+"}}\ntables: {t: {of: d, rows: [a, m], value: "+when+"}}\n"))
		}
	})
}

func FuzzSet(f *testing.F) {
	for _, text := range []string{"vars.a=1", "sweep.axes.x[0]=5", "\"vars\".a={b: [1]}", "stages.c.with.value=${vars.a}", "seed=3", "sweep.where=false", "x", "=", "vars.[=", "vars.a=[", "name=a/b"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, set string) {
		tryAll(t, []byte("version: 1\nvars: {a: 1}\nsweep: {axes: {x: [1, 2]}, where: sweep.x < 3}\nstages: {c: {uses: const, with: {value: \"${sweep.x + vars.a}\"}}}\n"), set)
	})
}
