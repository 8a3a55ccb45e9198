package cache_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"

	"regft/cache"
	"regft/cache/storetest"
)

// BenchmarkHash: what names content against what guards it.
func BenchmarkHash(b *testing.B) {
	hashes := map[string]func([]byte){
		"sha256": func(content []byte) { sha256.Sum256(content) },
		"xxh64":  func(content []byte) { xxhash.Sum64(content) },
	}
	for name, hash := range hashes {
		for _, size := range []int{300, 1 << 20, 64 << 20} {
			content := storetest.Content(1, size)
			b.Run(fmt.Sprintf("%s/%d", name, size), func(b *testing.B) {
				b.SetBytes(int64(size))
				for b.Loop() {
					hash(content)
				}
			})
		}
	}
}

func BenchmarkPut(b *testing.B) {
	for _, size := range []int{4 << 10, 4 << 20} {
		content := storetest.Content(1, size)
		for _, there := range []bool{false, true} {
			b.Run(fmt.Sprintf("%d/there=%v", size, there), func(b *testing.B) {
				d := openDir(b, b.TempDir())
				put(b, d, content)
				b.SetBytes(int64(size))
				for i := 0; b.Loop(); i++ {
					if !there {
						copy(content, fmt.Sprintf("%16d", i))
					}
					put(b, d, content)
				}
			})
		}
	}
}

// BenchmarkPutFolder stores what a generate stage makes: 1,000 small pictures.
func BenchmarkPutFolder(b *testing.B) {
	folder := b.TempDir()
	for i := range 1000 {
		writeFile(b, filepath.Join(folder, fmt.Sprint(i)), storetest.Content(uint64(i), 2000))
	}
	for b.Loop() {
		if _, err := openDir(b, b.TempDir()).PutFolder(b.Context(), folder); err != nil {
			b.Fatal(err)
		}
	}
}

// putBenchmarkResults stores n results of a usual size, and their recipes.
func putBenchmarkResults(b *testing.B, d *cache.Dir, n int) ([]cache.ActionID, []cache.RecipeID) {
	b.Helper()
	var actions []cache.ActionID
	var recipes []cache.RecipeID
	for i := range n {
		key := fmt.Sprintf("seed %d\n", i) + strings.Repeat("param learning_rate 1e-05\n", 20)
		r := &cache.Result{Action: cache.NewActionID(key), Key: key, Metrics: map[string]any{"val": map[string]any{"top1": 0.5, "nll": 1.25}}}
		if err := d.PutResult(b.Context(), r); err != nil {
			b.Fatal(err)
		}
		recipe := cache.NewRecipeID(key)
		if err := d.PutRecipe(b.Context(), recipe, r.Action); err != nil {
			b.Fatal(err)
		}
		actions, recipes = append(actions, r.Action), append(recipes, recipe)
	}
	return actions, recipes
}

func BenchmarkLookup(b *testing.B) {
	d := openDir(b, b.TempDir())
	actions, recipes := putBenchmarkResults(b, d, 500)
	b.Run("result", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			if _, err := d.Result(b.Context(), actions[i%len(actions)]); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("recipe", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			if _, err := d.Recipe(b.Context(), recipes[i%len(recipes)]); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("absent", func(b *testing.B) {
		absent := cache.NewActionID("absent")
		for b.Loop() {
			if _, err := d.Result(b.Context(), absent); err == nil {
				b.Fatal("found")
			}
		}
	})
}

func BenchmarkPutResult(b *testing.B) {
	d := openDir(b, b.TempDir())
	for i := 0; b.Loop(); i++ {
		key := fmt.Sprint(i)
		if err := d.PutResult(b.Context(), &cache.Result{Action: cache.NewActionID(key), Key: key}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLock(b *testing.B) {
	d := openDir(b, b.TempDir())
	for b.Loop() {
		unlock, err := d.Lock(b.Context(), cache.NewActionID("key"))
		if err != nil {
			b.Fatal(err)
		}
		if err := unlock(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkLinkAll links 10,000 pictures in a new process: all that a rerun
// reads of a dataset.
func BenchmarkLinkAll(b *testing.B) {
	root, folder := b.TempDir(), b.TempDir()
	var paths []string
	for i := range 10_000 {
		paths = append(paths, writeFile(b, filepath.Join(folder, fmt.Sprint(i)), storetest.Content(uint64(i), 100)))
	}
	link := func(b *testing.B, root string) {
		if _, err := openDir(b, root).LinkAll(b.Context(), paths); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("cold", func(b *testing.B) {
		for b.Loop() {
			link(b, b.TempDir())
		}
	})
	b.Run("warm", func(b *testing.B) {
		time.Sleep(2100 * time.Millisecond) // until the files' times vouch for their content
		link(b, root)
		for b.Loop() {
			link(b, root)
		}
	})
}

func BenchmarkManifest(b *testing.B) {
	var files []cache.File
	for i := range 10_000 {
		name := fmt.Sprintf("class_%03d/%06d.png", i%100, i)
		files = append(files, cache.File{Name: name, Digest: cache.SumBytes([]byte(name)), Size: 4096})
	}
	m, err := cache.NewManifest(files)
	if err != nil {
		b.Fatal(err)
	}
	encoded := m.Encode()
	b.Run("encode", func(b *testing.B) {
		for b.Loop() {
			m.Encode()
		}
	})
	b.Run("decode", func(b *testing.B) {
		for b.Loop() {
			if _, err := cache.DecodeManifest(bytes.Clone(encoded)); err != nil {
				b.Fatal(err)
			}
		}
	})
}
