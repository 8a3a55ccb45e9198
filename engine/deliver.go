package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"regft/cache"
	"regft/specs"
	"regft/stages"
)

// Get writes what an instance of the run gave into folder dir, which is made, in the layout that other programs read.
// Its parts, and several outputs, have folders of their own there. A file that is there with other content is an
// error, and nothing is written then. output is the one to write where there are several, "" for all; an address may end
// in it too, as in STAGE.OUTPUT.
func (p *Past) Get(ctx context.Context, store *cache.Dir, address, output, dir string) error {
	i, output, err := p.FindOutput(address, output)
	if err != nil {
		return err
	}
	artifacts, err := p.Artifact(ctx, store, i, output)
	if err == nil {
		err = Deliver(dir, func(draft string) error { return publish(ctx, artifacts, draft) })
	}
	if errors.Is(err, cache.ErrMiss) || isLinkError(err) {
		return fmt.Errorf("getting %s: %w\nTo make it again: regft run %s --only '%s'", address, err, p.Provenance.Spec, i.Address)
	}
	if err != nil {
		return fmt.Errorf("getting %s: %w", address, err)
	}
	return nil
}

// FindOutput finds the one instance that an address names, and which of its outputs: what stands after the dot is that
// where it is no part. "" is all of them.
func (p *Past) FindOutput(address, output string) (InstanceRecord, string, error) {
	i, err := p.FindOne(address)
	named, malformed := specs.ParseAddress(address)
	if err == nil || malformed != nil || named.Part == "" || output != "" {
		return i, output, err
	}
	whole, wholeErr := p.FindOne(strings.TrimSuffix(address, "."+named.Part))
	if wholeErr != nil || len(whole.Nodes) > 1 {
		return i, output, err
	}
	return whole, named.Part, nil
}

// publish writes each artifact into its folder below draft.
func publish(ctx context.Context, artifacts map[string]stages.Artifact, draft string) error {
	for _, folder := range slices.Sorted(maps.Keys(artifacts)) {
		if err := stages.Publish(ctx, artifacts[folder], filepath.Join(draft, folder)); err != nil {
			return err
		}
	}
	return nil
}

// Deliver moves what write makes in a folder beside into dir, which is made. What cannot be had leaves dir as it was,
// and a file that is there with other content is an error.
func Deliver(dir string, write func(draft string) error) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	draft, err := os.MkdirTemp(dir, ".regft-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(draft)
	if err := write(draft); err != nil {
		return err
	}
	if err := eachFile(draft, func(name string) error { return refuseOther(filepath.Join(draft, name), filepath.Join(dir, name)) }); err != nil {
		return err
	}
	return eachFile(draft, func(name string) error {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			return err
		}
		return os.Rename(filepath.Join(draft, name), path)
	})
}

// eachFile calls do with the names of all files below dir.
func eachFile(dir string, do func(name string) error) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		return do(name)
	})
}

// refuseOther is an error where path is there and is not what would be written.
func refuseOther(draft, path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	same := false
	if written, err := os.Stat(draft); err == nil && info.Mode().IsRegular() && info.Size() == written.Size() {
		if same, err = sameContent(draft, path); err != nil {
			return err
		}
	}
	if !same {
		return fmt.Errorf("%s is there already, with other content: name a new folder", path)
	}
	return nil
}

func sameContent(a, b string) (bool, error) {
	x, err := os.ReadFile(a)
	if err != nil {
		return false, err
	}
	y, err := os.ReadFile(b)
	return bytes.Equal(x, y), err
}
