package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"regft/cache"
	"regft/stages"
)

// Result is the record of a node of the run.
func (p *Past) Result(ctx context.Context, store *cache.Dir, n NodeRecord) (*cache.Result, error) {
	action, err := n.action(ctx, store)
	if err != nil {
		return nil, fmt.Errorf("%s has no result; run the spec again: %w", n.Name, err)
	}
	r, err := store.Result(ctx, action)
	if err != nil {
		return nil, fmt.Errorf("%s: its result is gone; run the spec again: %w", n.Name, err)
	}
	return r, nil
}

// Artifact is what an instance of the run gave: one artifact for each of its parts, which the names are of.
func (p *Past) Artifact(ctx context.Context, store *cache.Dir, i InstanceRecord, output string) (map[string]stages.Artifact, error) {
	plan, err := p.Plan()
	if err != nil {
		return nil, err
	}
	out := map[string]stages.Artifact{}
	for k, index := range i.Nodes {
		n := plan.Nodes[index]
		r, err := p.Result(ctx, store, n)
		if err != nil {
			return nil, err
		}
		names, err := outputsOf(r, i, output)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			a, err := openArtifact(ctx, store, r, name)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", n.Name, err)
			}
			out[partFolder(i, k, names, name)] = a
		}
	}
	return out, nil
}

// outputsOf are the outputs that are asked for: the one named, the one that a copy is, or all.
func outputsOf(r *cache.Result, i InstanceRecord, output string) ([]string, error) {
	all := slices.Sorted(maps.Keys(r.Outputs))
	if output == "" {
		output = i.Output
	}
	if output == "" {
		return all, nil
	}
	if !slices.Contains(all, output) {
		return nil, fmt.Errorf("%s has no output %q: it has %s", i.Address, output, strings.Join(all, ", "))
	}
	return []string{output}, nil
}

// partFolder is where an artifact stands below the folder of get: in it, unless there are several.
func partFolder(i InstanceRecord, part int, outputs []string, output string) string {
	folder := ""
	if len(i.Nodes) > 1 {
		folder = strconv.Itoa(part)
		if part < len(i.Parts) {
			folder = folderName(i.Parts[part])
		}
	}
	if len(outputs) > 1 {
		folder = filepath.Join(folder, folderName(output))
	}
	return folder
}

// OpenLog opens the log of a node: what the run wrote, or what is kept with a result that was there before.
func (p *Past) OpenLog(ctx context.Context, store *cache.Dir, n NodeRecord) (io.ReadCloser, error) {
	if n.Log != "" {
		f, err := os.Open(filepath.Join(p.Dir, n.Log))
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return f, err
		}
	}
	r, err := p.Result(ctx, store, n)
	if err != nil {
		return nil, err
	}
	if r.Log.IsZero() {
		return io.NopCloser(bytes.NewReader(nil)), nil
	}
	log, _, err := store.Open(ctx, r.Log)
	return log, err
}
