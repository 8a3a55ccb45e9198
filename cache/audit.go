package cache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/cespare/xxhash/v2"
	"golang.org/x/sync/errgroup"
)

// An Audit is what reading all of a store has found.
type Audit struct {
	Blobs, Results, Recipes, Links int   // that were checked
	Bytes                          int64 // that were read
	Findings                       []Finding
}

// A Finding is an entry that is not what it should be.
type Finding struct {
	Entry   string // such as content sha256:…, or the path of a linked file
	Problem string // and what was done about it
}

// Audit reads every blob and compares its SHA-256, every record and what it
// refers to, and every linked file whose stat vouches for its content. What is
// damaged is set aside; a stat that lied is forgotten. The error means that the
// store could not be read.
func (d *Dir) Audit(ctx context.Context) (*Audit, error) {
	a := &auditor{dir: d, manifests: map[Digest]string{}}
	for _, step := range []func(context.Context) error{a.blobs, a.results, a.recipes, a.links} {
		if err := step(ctx); err != nil {
			return nil, fmt.Errorf("verifying the cache: %w", err)
		}
	}
	return &a.Audit, nil
}

type auditor struct {
	Audit
	dir       *Dir
	mu        sync.Mutex
	manifests map[Digest]string // those seen: what is wrong with them, "" for nothing
}

func (a *auditor) find(entry, format string, args ...any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.Findings = append(a.Findings, Finding{entry, fmt.Sprintf(format, args...)})
}

// findMiss notes a miss, but for an entry that somebody removed meanwhile.
func (a *auditor) findMiss(err error) error {
	var miss *MissError
	if !errors.As(err, &miss) {
		return err
	}
	if miss.Reason != "absent" {
		a.find(miss.Entry, "%s", miss.Reason)
	}
	return nil
}

func (a *auditor) count(n *int, bytes int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	*n++
	a.Bytes += bytes
}

func (a *auditor) blobs(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	err := a.dir.eachEntry(ctx, blobsFolder, func(s sum, suffix, _ string, info fs.FileInfo) error {
		if suffix == "" {
			group.Go(func() error { return a.blob(ctx, Digest{s}, info.Size()) })
		}
		return nil
	})
	return errors.Join(err, group.Wait())
}

func (a *auditor) blob(ctx context.Context, digest Digest, size int64) error {
	path := a.dir.blobPath(digest)
	hasher, check := NewHasher(), xxhash.New()
	if err := hashFile(ctx, path, io.MultiWriter(hasher, check)); err != nil {
		return a.findMiss(a.dir.missing(blobEntry(digest), path, err))
	}
	a.count(&a.Blobs, size)
	if hasher.Sum() != digest {
		a.dir.verified.Delete(digest)
		return a.findMiss(a.dir.damaged(blobEntry(digest), path, "its content has another digest"))
	}
	if _, err := os.Stat(checkPath(path)); err != nil {
		return nil // small, or to be written when it is read
	}
	if want, ok := readCheck(path); !ok || want != check.Sum64() {
		a.find(blobEntry(digest), "the checksum beside it was wrong; written again")
		return a.dir.writeCheck(path, check.Sum64())
	}
	return nil
}

func (a *auditor) results(ctx context.Context) error {
	return a.dir.eachEntry(ctx, resultsFolder, func(s sum, _, _ string, info fs.FileInfo) error {
		r, err := a.dir.localResult(ctx, ActionID{s})
		if err != nil {
			return a.findMiss(err)
		}
		a.count(&a.Results, info.Size())
		if r.Remote != "" {
			return nil // its content need not be here
		}
		entry := "result of " + r.Action.String()
		if !r.Log.IsZero() {
			lacks, err := a.lacks(ctx, r.Log)
			if err != nil {
				return err
			}
			if lacks {
				a.find(entry, "its log is gone")
			}
		}
		return a.outputs(ctx, entry, r)
	})
}

func (a *auditor) outputs(ctx context.Context, entry string, r *Result) error {
	for name, digest := range r.Outputs {
		problem, known := a.manifests[digest]
		if !known {
			var err error
			if problem, err = a.manifest(ctx, digest); err != nil {
				return err
			}
			a.manifests[digest] = problem
		}
		if problem != "" {
			a.find(entry, "output %q: %s; it is made again when it is needed", name, problem)
		}
	}
	return nil
}

// manifest says what of an artifact is not there. Linked files are the user's to
// move.
func (a *auditor) manifest(ctx context.Context, digest Digest) (problem string, err error) {
	m, err := a.dir.Manifest(ctx, digest)
	var miss *MissError
	switch {
	case errors.As(err, &miss):
		return "its list of files: " + miss.Reason, nil
	case isLinkError(err):
		return "", nil
	case err != nil:
		return "", err
	}
	var gone []string
	for _, f := range m.Files {
		lacks, err := a.lacks(ctx, f.Digest)
		if err != nil {
			return "", err
		}
		if lacks {
			gone = append(gone, f.Name)
		}
	}
	if len(gone) > 0 {
		return fmt.Sprintf("%d of %d files are gone, such as %q", len(gone), len(m.Files), gone[0]), nil
	}
	return "", nil
}

// lacks says that content is neither a blob nor was linked.
func (a *auditor) lacks(ctx context.Context, digest Digest) (bool, error) {
	if _, err := statFile(a.dir.blobPath(digest)); err == nil {
		return false, ctx.Err()
	}
	if err := a.dir.loadLinks(); err != nil {
		return false, err
	}
	_, linked := a.dir.links.lastPath(digest)
	return !linked, ctx.Err()
}

func (a *auditor) recipes(ctx context.Context) error {
	return a.dir.eachEntry(ctx, recipesFolder, func(s sum, _, _ string, info fs.FileInfo) error {
		if _, err := a.dir.localRecipe(ctx, RecipeID{s}); err != nil {
			return a.findMiss(err)
		}
		a.count(&a.Recipes, info.Size())
		return nil
	})
}

// links reads the files whose stat is as recorded: all others are read anyway
// when they are used.
func (a *auditor) links(ctx context.Context) error {
	if err := a.dir.loadLinks(); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for _, l := range a.dir.links.all() {
		state, err := statFile(l.path)
		if err != nil || state != l.state || l.racy() {
			continue
		}
		group.Go(func() error { return a.link(ctx, l) })
	}
	return group.Wait()
}

func (a *auditor) link(ctx context.Context, l link) error {
	now, err := readLink(ctx, l.path)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		a.find(l.path, "cannot be read: %v", pathless(err))
		return nil
	}
	a.count(&a.Links, now.state.size)
	if now.digest == l.digest || now.state != l.state {
		return nil
	}
	a.find(l.path, "holds %s, not %s as its unchanged size and times promise; noted", now.digest, l.digest)
	return a.dir.recordLinks([]link{now})
}

// all gives every link, by path.
func (x *linkIndex) all() []link {
	x.mu.Lock()
	defer x.mu.Unlock()
	links := make([]link, 0, len(x.byPath))
	for _, l := range x.byPath {
		links = append(links, l)
	}
	slices.SortFunc(links, func(a, b link) int { return strings.Compare(a.path, b.path) })
	return links
}
