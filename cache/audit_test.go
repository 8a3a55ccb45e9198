package cache_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"

	"regft/cache"
	"regft/cache/storetest"
)

func audit(t testing.TB, d *cache.Dir) *cache.Audit {
	t.Helper()
	a, err := d.Audit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestAuditOfASoundStore counts what there is.
func TestAuditOfASoundStore(t *testing.T) {
	d := openDir(t, t.TempDir())
	putResult(t, d, "a", []byte("x"), storetest.Content(1, 2<<20))
	a := audit(t, d)
	if len(a.Findings) != 0 || a.Blobs != 4 || a.Results != 1 || a.Recipes != 1 || a.Bytes < 2<<20 {
		t.Errorf("audit %+v", a)
	}
}

// TestAuditNamesAnyDamagedFile changes a byte of every file of a store in turn. Whatever a file is, the audit names what
// is wrong, once: what is damaged is set aside then, or written again.
func TestAuditNamesAnyDamagedFile(t *testing.T) {
	fill := func(root string) *cache.Dir {
		d := openDir(t, root)
		putResult(t, d, "a", []byte("x"), storetest.Content(1, 1<<20))
		return d
	}
	probe := fill(t.TempDir())
	for _, file := range storeFiles(t, probe) {
		name, err := filepath.Rel(probe.Root(), file)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(name, func(t *testing.T) {
			d := fill(t.TempDir())
			path := filepath.Join(d.Root(), name)
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if len(content) == 0 {
				return // a lock
			}
			content[len(content)/2] ^= 1
			if err := os.Chmod(path, 0o666); err != nil {
				t.Fatal(err)
			}
			writeFile(t, path, content)
			a := audit(t, d)
			if len(a.Findings) == 0 {
				t.Fatal("nothing was found")
			}
			for _, f := range audit(t, d).Findings {
				if !strings.Contains(f.Problem, "gone") && !strings.Contains(f.Problem, "absent") {
					t.Errorf("found again: %+v", f)
				}
			}
			again := fill(d.Root())
			if a := audit(t, again); len(a.Findings) != 0 {
				t.Errorf("after it was put again: %+v", a.Findings)
			}
		})
	}
}

// TestAuditOfAStatThatLies changes a linked file and gives it its old times.
func TestAuditOfAStatThatLies(t *testing.T) {
	d := openDir(t, t.TempDir())
	path := writeFile(t, filepath.Join(t.TempDir(), "picture"), []byte("before"))
	time.Sleep(2100 * time.Millisecond) // until the file's times vouch for its content
	was, _, err := d.Link(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if a := audit(t, d); a.Links != 1 || len(a.Findings) != 0 {
		t.Fatalf("of a sound file: %+v", a)
	}
	// No program can set a file's ctime, so the record is given the changed file's.
	writeFile(t, path, []byte("after!"))
	time.Sleep(2100 * time.Millisecond)
	forge(t, d, path, was)
	forged := openDir(t, d.Root())
	if now, _, err := forged.Link(t.Context(), path); err != nil || now != was {
		t.Fatalf("the forged record gives %s, %v", now, err)
	}
	a := audit(t, forged)
	if len(a.Findings) != 1 || a.Findings[0].Entry != path {
		t.Fatalf("findings %+v", a.Findings)
	}
	if now, _, err := openDir(t, d.Root()).Link(t.Context(), path); err != nil || now != cache.SumBytes([]byte("after!")) {
		t.Errorf("afterwards the file's digest is %s, %v", now, err)
	}
}

// forge replaces the digest of path in the index by was.
func forge(t testing.TB, d *cache.Dir, path string, was cache.Digest) {
	t.Helper()
	now, _, err := d.Link(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	index := filepath.Join(d.Root(), "links")
	content, err := os.ReadFile(index)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(content), "\n"), "\n")
	_, rest, _ := strings.Cut(lines[len(lines)-1], " ")
	rest = strings.Replace(rest, now.String()[7:], was.String()[7:], 1)
	writeFile(t, index, []byte(fmt.Sprintf("%016x %s\n", xxhash.Sum64String(rest), rest)))
}
