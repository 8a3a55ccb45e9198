package main

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"regft/cache"
	"regft/engine"

	"github.com/spf13/cobra"
)

// planAt plans what an argument names: SPEC, or SPEC@REV, as the spec was in a revision of its git repository, which is
// unpacked below folder scratch.
func (a *app) planAt(cmd *cobra.Command, store *cache.Dir, arg, scratch string, f specFlags) (*engine.Plan, error) {
	path, rev, isRev := cutRevision(arg)
	if isRev {
		dir, err := os.MkdirTemp(scratch, "revision-")
		if err != nil {
			return nil, exitError{exitFailed, fmt.Errorf("making a folder for revision %s: %w", rev, err)}
		}
		if path, err = checkOut(cmd.Context(), path, rev, dir); err != nil {
			return nil, exitError{exitUsage, fmt.Errorf("reading %s: %w", arg, err)}
		}
	}
	e, err := a.expand(cmd, path, f)
	if err != nil {
		return nil, err
	}
	return planOf(cmd, store, e, nil, "")
}

// cutRevision splits SPEC@REV. A file of that name is no revision.
func cutRevision(arg string) (path, rev string, ok bool) {
	if isFile(arg) {
		return arg, "", false
	}
	k := strings.LastIndex(arg, "@")
	if k <= 0 || k == len(arg)-1 {
		return arg, "", false
	}
	return arg[:k], arg[k+1:], true
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// isSpecAt says that an argument names a spec, as it is or as it was.
func isSpecAt(arg string) bool {
	path, _, isRev := cutRevision(arg)
	return isFile(arg) || isRev && (strings.HasSuffix(path, ".yaml") || strings.HasSuffix(path, ".yml"))
}

// cutRange splits A..B, where A is SPEC or SPEC@REV, and B too, or only the other revision of A's spec.
func cutRange(arg string) (from, to string, ok bool) {
	for k := 0; k+2 < len(arg); k++ {
		if arg[k:k+2] != ".." || !isSpecAt(arg[:k]) {
			continue
		}
		from, to = arg[:k], arg[k+2:]
		if isSpecAt(to) {
			return from, to, true
		}
		if path, _, isRev := cutRevision(from); isRev {
			return from, path + "@" + to, true
		}
	}
	return "", "", false
}

// checkOut makes folder dir the repository of the file path as it was in revision rev, and gives the file's place there.
// What git does not track, such as data, is linked from where it is now.
func checkOut(ctx context.Context, path, rev, dir string) (string, error) {
	here := filepath.Dir(path)
	top, err := git(ctx, here, "rev-parse", "--show-toplevel")
	if err != nil {
		return "", err
	}
	prefix, err := git(ctx, here, "rev-parse", "--show-prefix")
	if err != nil {
		return "", err
	}
	name := prefix + filepath.Base(path)
	if _, err := git(ctx, top, "rev-parse", "--verify", "--quiet", "--end-of-options", rev+"^{commit}"); err != nil {
		return "", fmt.Errorf("%s has no revision %s", top, rev)
	}
	if _, err := git(ctx, top, "cat-file", "-e", rev+":"+name); err != nil {
		return "", fmt.Errorf("%s is not in revision %s", name, rev)
	}
	if err := extract(ctx, top, rev, dir); err != nil {
		return "", fmt.Errorf("reading revision %s: %w", rev, err)
	}
	untracked, err := git(ctx, top, "ls-files", "--others", "--directory", "-z")
	if err != nil {
		return "", err
	}
	for entry := range strings.SplitSeq(strings.TrimRight(untracked, "\x00"), "\x00") {
		if err := linkInto(top, dir, filepath.FromSlash(strings.TrimSuffix(entry, "/"))); err != nil {
			return "", err
		}
	}
	return filepath.Join(dir, filepath.FromSlash(name)), nil
}

// git runs git in a folder and gives what it prints. Its complaint is the error.
func git(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	var complaint bytes.Buffer
	cmd.Dir, cmd.Stderr = dir, &complaint
	out, err := cmd.Output()
	if text := strings.TrimSpace(complaint.String()); err != nil && text != "" {
		return "", errors.New(text)
	}
	return strings.TrimSuffix(string(out), "\n"), err
}

// extract writes the files of a revision below dir.
func extract(ctx context.Context, top, rev, dir string) (err error) {
	cmd := exec.CommandContext(ctx, "git", "archive", "--format=tar", rev)
	cmd.Dir = top
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err == nil {
		err = errors.Join(unpackFiles(tar.NewReader(out), root), root.Close())
	}
	if _, drained := io.Copy(io.Discard, out); err == nil {
		err = drained
	}
	return errors.Join(err, cmd.Wait())
}

func unpackFiles(files *tar.Reader, root *os.Root) error {
	for {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			switch h.Typeflag {
			case tar.TypeDir:
				err = root.MkdirAll(strings.TrimSuffix(h.Name, "/"), 0o777)
			case tar.TypeSymlink:
				err = root.Symlink(h.Linkname, h.Name)
			case tar.TypeReg:
				err = unpackFile(files, root, h.Name)
			}
		}
		if err != nil {
			return err
		}
	}
}

func unpackFile(content io.Reader, root *os.Root, name string) error {
	f, err := root.Create(name)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	return errors.Join(err, f.Close())
}

// linkInto links what lies at a name below folder from, where dir has nothing of that name.
func linkInto(from, dir, name string) error {
	path := filepath.Join(dir, name)
	if _, err := os.Lstat(path); err == nil || name == "" {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	return os.Symlink(filepath.Join(from, name), path)
}
