package cache

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
)

// A Survey looks up many results and recipes, of which many may be absent: once
// some of a folder were, it lists the folder rather than ask for one more name at
// a time. What others put after a folder was listed it takes for absent.
type Survey struct {
	dir     *Dir
	most    int // entries of a folder that are worth listing
	results [256]shelfSurvey
	recipes [256]shelfSurvey
}

// shelfSurvey is what is known of one folder.
type shelfSurvey struct {
	misses atomic.Int32
	list   sync.Once
	listed bool // names is all that there is
	names  map[uint64]bool
}

const (
	// missesFirst is how many entries a folder lacks before it is listed.
	missesFirst = 4
	// listedPerLookup is how many names are listed in the time of a lookup.
	listedPerLookup = 8
)

// Survey begins about so many lookups.
func (d *Dir) Survey(lookups int) *Survey {
	return &Survey{dir: d, most: listedPerLookup * lookups / len(Survey{}.results)}
}

// Result is Dir.Result.
func (s *Survey) Result(ctx context.Context, action ActionID) (*Result, error) {
	shelf := &s.results[action.bytes[0]]
	if !shelf.lacks(s, resultsFolder, action.sum) {
		r, err := s.dir.Result(ctx, action)
		shelf.note(err)
		return r, err
	}
	if s.dir.upstream == nil {
		return nil, ErrMiss
	}
	return s.dir.upstreamResult(ctx, action)
}

// Recipe is Dir.Recipe.
func (s *Survey) Recipe(ctx context.Context, recipe RecipeID) (ActionID, error) {
	shelf := &s.recipes[recipe.bytes[0]]
	if !shelf.lacks(s, recipesFolder, recipe.sum) {
		action, err := s.dir.Recipe(ctx, recipe)
		shelf.note(err)
		return action, err
	}
	if s.dir.upstream == nil {
		return ActionID{}, ErrMiss
	}
	return s.dir.upstreamRecipe(ctx, recipe)
}

func (f *shelfSurvey) note(err error) {
	if errors.Is(err, ErrMiss) {
		f.misses.Add(1)
	}
}

// lacks says that the folder was listed and has no such entry.
func (f *shelfSurvey) lacks(s *Survey, kind string, of sum) bool {
	if f.misses.Load() < missesFirst || s.most < missesFirst {
		return false
	}
	f.list.Do(func() {
		f.names, f.listed = listShelf(filepath.Join(s.dir.root, kind, hex.EncodeToString(of.bytes[:1])), s.most)
	})
	return f.listed && !f.names[binary.BigEndian.Uint64(of.bytes[1:])]
}

// listShelf gives the first 8 bytes of the names in a folder, if there are no more
// than most. A folder that cannot be read is left to lookups, which say so.
func listShelf(path string, most int) (names map[uint64]bool, ok bool) {
	folder, err := os.Open(path)
	if err != nil {
		return nil, errors.Is(err, fs.ErrNotExist)
	}
	defer folder.Close()
	names = map[uint64]bool{}
	for len(names) <= most {
		some, err := folder.Readdirnames(256)
		for _, name := range some {
			var start [8]byte
			if n, err := hex.Decode(start[:], []byte(name[:min(len(name), 2*len(start))])); err == nil && n == len(start) {
				names[binary.BigEndian.Uint64(start[:])] = true
			}
		}
		if err != nil {
			return names, errors.Is(err, io.EOF)
		}
	}
	return nil, false
}
