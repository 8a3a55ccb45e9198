package cache_test

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"regft/cache"
)

// filesOf draws the files of a valid manifest, in any order.
func filesOf() *rapid.Generator[[]cache.File] {
	name := rapid.StringMatching(`[a-c\xe9 .%]{0,2}[a-z](/[a-c]{1,2}){0,2}`)
	return rapid.Custom(func(t *rapid.T) []cache.File {
		names := rapid.SliceOfNDistinct(name, 0, 12, rapid.ID[string]).Draw(t, "names")
		files := make([]cache.File, len(names))
		for i, name := range names {
			files[i] = cache.File{Name: name, Digest: cache.SumBytes([]byte(name)), Size: rapid.Int64Range(0, 1<<40).Draw(t, "size")}
		}
		return files
	})
}

func TestManifestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		files := filesOf().Draw(t, "files")
		m, err := cache.NewManifest(files)
		if err != nil {
			t.Fatal(err)
		}
		decoded, err := cache.DecodeManifest(m.Encode())
		if err != nil || !slices.Equal(decoded.Files, m.Files) || decoded.Digest() != m.Digest() {
			t.Fatalf("decoded %v, %v, want %v", decoded, err, m)
		}
		var total int64
		for _, f := range files {
			total += f.Size
			if got, ok := m.Lookup(f.Name); got != f || !ok {
				t.Errorf("Lookup %q: %v, %v", f.Name, got, ok)
			}
		}
		if _, ok := m.Lookup("zz/not there"); ok || m.Size() != total {
			t.Errorf("Lookup of an absent name: %v; Size %d, want %d", ok, m.Size(), total)
		}
	})
}

func TestManifestDoesNotDependOnOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		files := filesOf().Draw(t, "files")
		a, errA := cache.NewManifest(files)
		given := slices.Clone(files)
		seed := rapid.Uint64().Draw(t, "seed")
		rand.New(rand.NewPCG(seed, 0)).Shuffle(len(files), func(i, j int) { files[i], files[j] = files[j], files[i] })
		shuffled := slices.Clone(files)
		b, errB := cache.NewManifest(files)
		if errA != nil || errB != nil || a.Digest() != b.Digest() {
			t.Errorf("digests %s (%v) and %s (%v) of the same files %v", a.Digest(), errA, b.Digest(), errB, given)
		}
		if !slices.Equal(files, shuffled) {
			t.Error("NewManifest changed the slice that it was given")
		}
	})
}

// A difference in any field is a difference of the digest.
func TestManifestDigestTellsApart(t *testing.T) {
	base := cache.File{Name: "a", Digest: cache.SumBytes(nil), Size: 1}
	seen := map[cache.Digest]cache.File{}
	for _, f := range []cache.File{
		base,
		{Name: "b", Digest: base.Digest, Size: 1},
		{Name: "a", Digest: cache.SumBytes([]byte("x")), Size: 1},
		{Name: "a", Digest: base.Digest, Size: 2},
		{Name: "1 a", Digest: base.Digest, Size: 1},
	} {
		m := cache.Manifest{Files: []cache.File{f}}
		if other, ok := seen[m.Digest()]; ok {
			t.Errorf("%v and %v have the same digest", f, other)
		}
		seen[m.Digest()] = f
	}
}

var badNames = []string{"", ".", "..", "/", "/etc/passwd", "a/", "a//b", "./a", "a/./b", "../a", "a/../b", "a/..", "a\nb", "a\x00b"}

func TestManifestRejectsNames(t *testing.T) {
	for _, name := range badNames {
		f := cache.File{Name: name}
		if _, err := cache.NewManifest([]cache.File{f}); err == nil {
			t.Errorf("NewManifest accepted %q", name)
		}
		if m, err := cache.DecodeManifest(cache.Manifest{Files: []cache.File{f}}.Encode()); err == nil {
			t.Errorf("DecodeManifest accepted %q as %v", name, m)
		}
	}
}

func TestDecodeManifestRejects(t *testing.T) {
	a, b := cache.File{Name: "a"}, cache.File{Name: "b"}
	encode := func(files ...cache.File) string { return string(cache.Manifest{Files: files}.Encode()) }
	good := encode(a, b)
	for name, text := range map[string]string{
		"nothing":         "",
		"no header":       strings.Join(strings.SplitAfter(good, "\n")[1:], ""),
		"other version":   strings.Replace(good, "manifest 1", "manifest 2", 1),
		"unsorted":        encode(b, a),
		"duplicate":       encode(a, a),
		"cut short":       good[:len(good)-1],
		"blank line":      good + "\n",
		"negative size":   encode(cache.File{Name: "a", Size: -1}),
		"padded size":     strings.Replace(good, " 0 a", " 00 a", 1),
		"signed size":     strings.Replace(good, " 0 a", " +0 a", 1),
		"no size":         strings.Replace(good, " 0 a", " a", 1),
		"short digest":    strings.Replace(good, "0 0 a", " 0 a", 1),
		"carriage return": strings.Replace(good, "manifest 1\n", "manifest 1\r\n", 1),
	} {
		if m, err := cache.DecodeManifest([]byte(text)); err == nil {
			t.Errorf("%s: %q decoded as %v", name, text, m)
		}
	}
	if _, err := cache.DecodeManifest([]byte(good)); err != nil {
		t.Errorf("the good one: %v", err)
	}
}

// Whatever decodes is canonical: no artifact has two encodings.
func FuzzDecodeManifest(f *testing.F) {
	f.Add([]byte{})
	f.Add(cache.Manifest{}.Encode())
	f.Add(cache.Manifest{Files: []cache.File{{Name: "a", Size: 7}, {Name: "a.b"}, {Name: "a/b"}}}.Encode())
	for _, name := range badNames {
		f.Add(cache.Manifest{Files: []cache.File{{Name: name}}}.Encode())
	}
	f.Fuzz(func(t *testing.T, encoded []byte) {
		m, err := cache.DecodeManifest(encoded)
		if err == nil && !bytes.Equal(m.Encode(), encoded) {
			t.Errorf("%q decoded as %v, which encodes as %q", encoded, m, m.Encode())
		}
	})
}
