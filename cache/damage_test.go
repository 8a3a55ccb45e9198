package cache_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"

	"regft/cache"
	"regft/cache/storetest"
)

// A damager changes the file at path, which exists and can be written.
type damager func(path string, content []byte) error

func rewrite(change func(content []byte) []byte) damager {
	return func(path string, content []byte) error {
		return os.WriteFile(path, change(bytes.Clone(content)), 0o666)
	}
}

func flip(at func(size int) int) damager {
	return rewrite(func(b []byte) []byte { b[at(len(b))] ^= 0x10; return b })
}

func inPlace(make func(path string) error) damager {
	return func(path string, _ []byte) error {
		if err := os.Remove(path); err != nil {
			return err
		}
		return make(path)
	}
}

var truncate = rewrite(func(b []byte) []byte { return b[:len(b)/2] })

var damages = map[string]damager{
	"half of it":            truncate,
	"without its last byte": rewrite(func(b []byte) []byte { return b[:len(b)-1] }),
	"empty":                 rewrite(func(b []byte) []byte { return nil }),
	"zeros":                 rewrite(func(b []byte) []byte { return make([]byte, len(b)) }), // as ext4 leaves after a power cut
	"first bit flipped":     flip(func(size int) int { return 0 }),
	"middle bit flipped":    flip(func(size int) int { return size / 2 }),
	"last bit flipped":      flip(func(size int) int { return size - 1 }),
	"a byte too many":       rewrite(func(b []byte) []byte { return append(b, '\n') }),
	"twice":                 rewrite(func(b []byte) []byte { return append(b, b...) }),
	"other text":            rewrite(func(b []byte) []byte { return []byte("<html>404</html>\n") }),
	"removed":               inPlace(func(path string) error { return nil }),
	"a folder":              inPlace(func(path string) error { return os.Mkdir(path, 0o777) }),
	"a folder with a file": inPlace(func(path string) error {
		return errors.Join(os.Mkdir(path, 0o777), os.WriteFile(filepath.Join(path, "x"), nil, 0o666))
	}),
	"a link to nothing": inPlace(func(path string) error { return os.Symlink("nothing", path) }),
	"its folder a file": func(path string, _ []byte) error {
		folder := filepath.Dir(path)
		return errors.Join(os.RemoveAll(folder), os.WriteFile(folder, nil, 0o666))
	},
}

func damage(t testing.TB, path string, change damager) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Chmod(path, 0o666), change(path, content)); err != nil {
		t.Fatal(err)
	}
}

// A fixture is one file kind of the store: how an entry of it is made, where it
// lies, and how it is looked up, which checks that what comes back is right.
type fixture struct {
	path    string // relative to the store
	put     func(d *cache.Dir) error
	look    func(d *cache.Dir) error
	derived bool // what the file says can be had otherwise: its damage is no miss
}

func fixtures(t *testing.T) map[string]fixture {
	ctx := t.Context()
	blob := func(content []byte) fixture {
		digest := cache.SumBytes(content)
		return fixture{
			path: entry("blobs", digest),
			put:  func(d *cache.Dir) error { _, _, err := d.Put(ctx, bytes.NewReader(content)); return err },
			look: func(d *cache.Dir) error {
				got, err := read(t, d, digest)
				if err == nil && !bytes.Equal(got, content) {
					t.Error("Open gave wrong data")
				}
				return err
			},
		}
	}
	byPath := func(content []byte) fixture {
		f := blob(content)
		f.look = func(d *cache.Dir) error {
			path, err := d.Path(ctx, cache.SumBytes(content))
			if err != nil {
				return err
			}
			if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, content) {
				t.Errorf("Path gave a file with wrong data (%v)", err)
			}
			return nil
		}
		return f
	}
	check := func(f fixture) fixture {
		f.path, f.derived = f.path+".xxh64", true
		return f
	}
	small, big := storetest.Content(1, 1000), storetest.Content(2, 1<<20+5)
	result := &cache.Result{Action: cache.NewActionID("key"), Key: "key", Metrics: map[string]any{"top1": 0.5}, Seconds: 3}
	recipe := cache.NewRecipeID("recipe")
	manifest := cache.Manifest{Files: []cache.File{{Name: "a", Digest: cache.SumBytes(small), Size: 1000}}}
	userFile := writeFile(t, filepath.Join(t.TempDir(), "user.txt"), small)
	return map[string]fixture{
		"small blob":                 blob(small),
		"small blob's path":          byPath(small),
		"big blob":                   blob(big),
		"big blob's path":            byPath(big),
		"big blob's checksum":        check(blob(big)),
		"big blob's checksum (path)": check(byPath(big)),
		"result": {
			path: entry("results", result.Action),
			put:  func(d *cache.Dir) error { return d.PutResult(ctx, result) },
			look: func(d *cache.Dir) error {
				got, err := d.Result(ctx, result.Action)
				if err == nil && (got.Seconds != 3 || got.Metrics["top1"] != 0.5) {
					t.Errorf("Result gave wrong data: %v", got)
				}
				return err
			},
		},
		"recipe": {
			path: entry("recipes", recipe),
			put:  func(d *cache.Dir) error { return d.PutRecipe(ctx, recipe, result.Action) },
			look: func(d *cache.Dir) error {
				got, err := d.Recipe(ctx, recipe)
				if err == nil && got != result.Action {
					t.Errorf("Recipe gave wrong data: %v", got)
				}
				return err
			},
		},
		"manifest": {
			path: entry("blobs", manifest.Digest()),
			put: func(d *cache.Dir) error {
				put(t, d, small)
				_, err := d.PutManifest(ctx, manifest)
				return err
			},
			look: func(d *cache.Dir) error {
				got, err := d.Manifest(ctx, manifest.Digest())
				if err == nil && got.Digest() != manifest.Digest() {
					t.Errorf("Manifest gave wrong data: %v", got)
				}
				return err
			},
		},
		"index of linked files": {
			path: "links",
			put:  func(d *cache.Dir) error { _, _, err := d.Link(ctx, userFile); return err },
			look: func(d *cache.Dir) error {
				digest, _, err := d.Link(ctx, userFile)
				if digest != cache.SumBytes(small) {
					t.Errorf("Link gave wrong data: %s", digest)
				}
				return errors.Join(err, blob(small).look(d))
			},
			derived: true,
		},
		"lock": {
			path: filepath.Join("locks", result.Action.String()[len("sha256:"):]),
			put: func(d *cache.Dir) error {
				// As a killed process leaves it.
				return os.WriteFile(filepath.Join(d.Root(), "locks", result.Action.String()[len("sha256:"):]), []byte("x"), 0o666)
			},
			look: func(d *cache.Dir) error {
				unlock, err := d.Lock(ctx, result.Action)
				if err != nil {
					return err
				}
				return unlock()
			},
			derived: true,
		},
	}
}

// Every damage to every kind of file leads to a miss with a reason, or to the
// right data, never to wrong data or another error; and putting again heals it.
func TestDamages(t *testing.T) {
	for kind, f := range fixtures(t) {
		for name, change := range damages {
			if f.derived && name == "its folder a file" {
				continue // more than the derived file is gone then
			}
			t.Run(kind+"/"+name, func(t *testing.T) {
				t.Parallel() // they wait for the disk
				testDamage(t, f, change)
			})
		}
	}
}

func testDamage(t *testing.T, f fixture, change damager) {
	root := t.TempDir()
	d := openDir(t, root)
	if err := f.put(d); err != nil {
		t.Fatal(err)
	}
	damage(t, filepath.Join(root, f.path), change)
	for range 2 { // first without, then with a restart
		err := f.look(d)
		var miss *cache.MissError
		if f.derived && err != nil {
			t.Errorf("%v, though the rest of the store is whole", err)
		}
		if !f.derived && !(errors.As(err, &miss) && miss.Reason != "") {
			t.Errorf("%v, want a miss with its reason", err)
		}
		d = openDir(t, root)
	}
	if err := f.put(d); err != nil {
		t.Fatalf("putting again: %v", err)
	}
	if err := f.look(openDir(t, root)); err != nil {
		t.Errorf("after putting again: %v", err)
	}
}

func TestDamagedEntriesAreSetAside(t *testing.T) {
	for kind, f := range fixtures(t) {
		if f.derived {
			continue
		}
		root := t.TempDir()
		d := openDir(t, root)
		if err := f.put(d); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(root, f.path)
		damage(t, path, truncate)
		broken, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.look(openDir(t, root)); !errors.Is(err, cache.ErrMiss) {
			t.Errorf("%s: %v, want a miss", kind, err)
		}
		aside := files(t, filepath.Join(root, "quarantine"))
		if len(aside) != 1 {
			t.Errorf("%s: in quarantine: %q, want one file", kind, aside)
			continue
		}
		if kept, err := os.ReadFile(filepath.Join(root, "quarantine", aside[0])); err != nil || !bytes.Equal(kept, broken) {
			t.Errorf("%s: the quarantined file is not the damaged one (%v)", kind, err)
		}
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: it is still in place: %v", kind, err)
		}
	}
}

// Content that goes bad while it is being read ends in a miss.
func TestDamageWhileReading(t *testing.T) {
	root := t.TempDir()
	d := openDir(t, root)
	content := storetest.Content(3, 4<<20)
	digest := put(t, d, content)
	if _, err := d.Path(t.Context(), digest); err != nil {
		t.Fatal(err)
	}
	reader, _, err := d.Open(t.Context(), digest)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if _, err := reader.Read(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	damage(t, filepath.Join(root, entry("blobs", digest)), flip(func(size int) int { return size - 1 }))
	var got bytes.Buffer
	if _, err := got.ReadFrom(reader); !errors.Is(err, cache.ErrMiss) {
		t.Errorf("reading on: %v, want a miss", err)
	}
	if _, err := d.Path(t.Context(), digest); !errors.Is(err, cache.ErrMiss) {
		t.Errorf("Path afterwards: %v, want a miss", err)
	}
}

// An entry that is whole, but another's, is not taken for its own.
func TestSwappedEntries(t *testing.T) {
	root := t.TempDir()
	d := openDir(t, root)
	ctx := t.Context()
	a, b := cache.NewActionID("a"), cache.NewActionID("b")
	recipeA, recipeB := cache.NewRecipeID("a"), cache.NewRecipeID("b")
	blobA, blobB := put(t, d, []byte("a")), put(t, d, []byte("b"))
	err := errors.Join(
		d.PutResult(ctx, &cache.Result{Action: a, Key: "a"}), d.PutResult(ctx, &cache.Result{Action: b, Key: "b"}),
		d.PutRecipe(ctx, recipeA, a), d.PutRecipe(ctx, recipeB, b))
	if err != nil {
		t.Fatal(err)
	}
	for from, to := range map[string]string{
		entry("results", a): entry("results", b), entry("recipes", recipeA): entry("recipes", recipeB), entry("blobs", blobA): entry("blobs", blobB),
	} {
		if err := os.Rename(filepath.Join(root, from), filepath.Join(root, to)); err != nil {
			t.Fatal(err)
		}
	}
	_, resultErr := d.Result(ctx, b)
	_, recipeErr := d.Recipe(ctx, recipeB)
	_, blobErr := read(t, d, blobB)
	for _, err := range []error{resultErr, recipeErr, blobErr} {
		if !errors.Is(err, cache.ErrMiss) {
			t.Errorf("another's entry: %v, want a miss", err)
		}
	}
}

// Any sequence of puts, damages anywhere in the store, and restarts: an answer
// is what was put, or a miss.
func TestNeverWrongData(t *testing.T) {
	t.Parallel() // it waits for the disk
	stores := t.TempDir()
	contents := [][]byte{{}, {1}, storetest.Content(1, 100), storetest.Content(2, 5000), storetest.Content(3, 1<<20)}
	rapid.Check(t, func(t *rapid.T) {
		root, err := os.MkdirTemp(stores, "store")
		if err != nil {
			t.Fatal(err)
		}
		s := &damagedStore{root: root, contents: contents, blobs: map[cache.Digest][]byte{}, results: map[string]float64{}}
		s.reopen(t)
		t.Repeat(map[string]func(*rapid.T){
			"put": s.put, "put result": s.putResult, "flip": s.flip, "truncate": s.truncate, "remove": s.remove, "reopen": s.reopen,
		})
	})
}

type damagedStore struct {
	root     string
	dir      *cache.Dir
	contents [][]byte                // what may be put
	blobs    map[cache.Digest][]byte // what was put
	results  map[string]float64      // seconds, by key
}

func (s *damagedStore) reopen(t *rapid.T) {
	d, err := cache.OpenDir(s.root)
	if err != nil {
		t.Fatal(err)
	}
	s.dir = d
	s.check(t)
}

func (s *damagedStore) put(t *rapid.T) {
	content := rapid.SampledFrom(s.contents).Draw(t, "content")
	digest, _, err := s.dir.Put(t.Context(), bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	s.blobs[digest] = content
	if got, err := s.read(t, digest); err != nil || !bytes.Equal(got, content) {
		t.Fatalf("right after Put: %d bytes, %v", len(got), err)
	}
}

func (s *damagedStore) putResult(t *rapid.T) {
	key := fmt.Sprint("key ", rapid.IntRange(0, 3).Draw(t, "key"))
	seconds := rapid.Float64Range(0, 100).Draw(t, "seconds")
	if err := s.dir.PutResult(t.Context(), &cache.Result{Action: cache.NewActionID(key), Key: key, Seconds: seconds}); err != nil {
		t.Fatal(err)
	}
	s.results[key] = seconds
}

// victim draws a file of the store.
func (s *damagedStore) victim(t *rapid.T) (string, []byte) {
	var paths []string
	err := filepath.WalkDir(s.root, func(path string, entry os.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(paths) == 0 {
		t.Skip("nothing to damage yet") // rapid draws another action
	}
	path := rapid.SampledFrom(paths).Draw(t, "path")
	content, err := os.ReadFile(path)
	if err = errors.Join(err, os.Chmod(path, 0o666)); err != nil {
		t.Fatal(err)
	}
	return path, content
}

func (s *damagedStore) flip(t *rapid.T) {
	path, content := s.victim(t)
	if len(content) == 0 {
		return
	}
	content[rapid.IntRange(0, len(content)-1).Draw(t, "at")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
	if err := os.WriteFile(path, content, 0o666); err != nil {
		t.Fatal(err)
	}
	s.check(t)
}

func (s *damagedStore) truncate(t *rapid.T) {
	path, content := s.victim(t)
	if err := os.Truncate(path, rapid.Int64Range(0, int64(len(content))).Draw(t, "size")); err != nil {
		t.Fatal(err)
	}
	s.check(t)
}

func (s *damagedStore) remove(t *rapid.T) {
	path, _ := s.victim(t)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	s.check(t)
}

func (s *damagedStore) read(t *rapid.T, digest cache.Digest) ([]byte, error) {
	content, _, err := s.dir.Open(t.Context(), digest)
	if err != nil {
		return nil, err
	}
	defer content.Close()
	var got bytes.Buffer
	_, err = got.ReadFrom(content)
	return got.Bytes(), err
}

func (s *damagedStore) check(t *rapid.T) {
	for digest, want := range s.blobs {
		got, err := s.read(t, digest)
		if err == nil && !bytes.Equal(got, want) || err != nil && !errors.Is(err, cache.ErrMiss) {
			t.Fatalf("%s: %d bytes, %v; %d were put", digest, len(got), err, len(want))
		}
	}
	for key, want := range s.results {
		got, err := s.dir.Result(t.Context(), cache.NewActionID(key))
		if err == nil && got.Seconds != want || err != nil && !errors.Is(err, cache.ErrMiss) {
			t.Fatalf("%s: %v, %v; %v was put", key, got, err, want)
		}
	}
}
