package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"regft/cache"
	"regft/cache/remote"
	"regft/engine"

	"github.com/dustin/go-humanize"
	"github.com/pelletier/go-toml/v2"
	"github.com/spf13/cobra"
)

// remoteFlags say which remote a command uses.
type remoteFlags struct{ url, mode string }

func (f *remoteFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.url, "remote", "", "share results there: s3://BUCKET/PREFIX, http(s)://…, a folder or FILE.tar ($REGFT_REMOTE, regft.toml); \"\" for none")
	c.Flags().StringVar(&f.mode, "remote-mode", "", "readwrite, or read: take results and give none ($REGFT_REMOTE_MODE, regft.toml)")
	completeFlag(c, "remote-mode", cobra.FixedCompletions([]string{modeReadWrite, modeRead}, cobra.ShellCompDirectiveNoFileComp))
}

// readUnlessTold is for commands that give nothing.
func (f *remoteFlags) readUnlessTold() { f.mode = cmp.Or(f.mode, modeRead) }

// The modes of a remote.
const (
	modeReadWrite = "readwrite"
	modeRead      = "read"
)

// settingsFile holds what concerns a machine or a group, and no spec.
const settingsFile = "regft.toml"

// settings are the content of settingsFile.
type settings struct {
	Remote struct {
		URL  string `toml:"url"`
		Mode string `toml:"mode"`
	} `toml:"remote"`
}

// readSettings reads the settings of the current folder. There need be none.
func readSettings() (settings, error) {
	var s settings
	f, err := os.Open(settingsFile)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, fmt.Errorf("reading the settings: %w", err)
	}
	defer f.Close()
	err = toml.NewDecoder(f).DisallowUnknownFields().Decode(&s)
	if strict := (*toml.StrictMissingError)(nil); errors.As(err, &strict) {
		return s, fmt.Errorf("%s: unknown settings:\n%s", settingsFile, strict.String())
	}
	if at := (*toml.DecodeError)(nil); errors.As(err, &at) {
		line, column := at.Position()
		return s, fmt.Errorf("%s:%d:%d: %w", settingsFile, line, column, err)
	}
	return s, err
}

// configured are the remote's address, "" for none, and its mode, of the
// environment, else of the settings.
func configured() (url, mode string, err error) {
	s, err := readSettings()
	return cmp.Or(os.Getenv("REGFT_REMOTE"), s.Remote.URL), cmp.Or(os.Getenv("REGFT_REMOTE_MODE"), s.Remote.Mode, modeReadWrite), err
}

// remoteState says which remote there is, for doctor.
func remoteState() string {
	url, mode, err := configured()
	switch {
	case err != nil:
		return err.Error()
	case url == "":
		return "none"
	}
	return remote.Display(url) + ", " + mode
}

// chosen are the remote's address, "" for none, and its mode: of the flags, else
// as configured.
func (f remoteFlags) chosen(cmd *cobra.Command) (url, mode string, err error) {
	url, mode, err = configured()
	if err != nil {
		return "", "", exitError{exitUsage, err}
	}
	if cmd.Flags().Changed("remote") {
		url = f.url
	}
	mode = cmp.Or(f.mode, mode)
	if mode != modeRead && mode != modeReadWrite {
		return "", "", usageError(cmd, fmt.Errorf("the mode of the remote is %q: want %s or %s", mode, modeReadWrite, modeRead))
	}
	return url, mode, nil
}

// A sharedStore is the cache, and the remote that it shares; nil for none.
type sharedStore struct {
	*cache.Dir
	remote   *remote.Remote
	upstream *remote.Upstream
}

// openShared opens the cache, and the remote that f or the settings name.
func (a *app) openShared(cmd *cobra.Command, f remoteFlags) (*sharedStore, error) {
	url, mode, err := f.chosen(cmd)
	if err != nil {
		return nil, err
	}
	store, err := openStore()
	if err != nil || url == "" {
		return &sharedStore{Dir: store}, err
	}
	s := &sharedStore{Dir: store}
	s.remote, err = remote.Open(cmd.Context(), url, remote.Options{ReadOnly: mode == modeRead, Waiting: func(failure error) {
		a.warn("the remote does not answer, and is asked again for %s: %v", remote.DefaultRetry.Total, failure)
	}})
	if err != nil {
		return nil, exitError{exitUnavailable, fmt.Errorf("%w\n--remote= goes on without it", err)}
	}
	s.upstream = remote.NewUpstream(s.remote, func(text string) { a.warn("warning: %s", text) })
	store.SetUpstream(s.upstream)
	return s, nil
}

// Close ends the use of the remote.
func (s *sharedStore) Close() error {
	if s.remote == nil {
		return nil
	}
	return s.remote.Close()
}

// writable says that results can be shared.
func (s *sharedStore) writable() bool { return s.remote != nil && !s.remote.ReadOnly() }

// pushedText is what a push did, in words.
func pushedText(p remote.Pushed) string {
	return fmt.Sprintf("%s, %s of %s; %d there before", plural(p.Results, "result"), humanize.IBytes(uint64(p.Bytes)), plural(p.Blobs, "file"), p.There)
}

// A sharing pushes what a run computes. Without a remote to write to, it does
// nothing.
type sharing struct {
	store     *sharedStore
	plan      *engine.Plan
	publisher *remote.Publisher // nil: nothing is pushed
}

// share begins to push the results of a run of p.
func (s *sharedStore) share(ctx context.Context, p *engine.Plan) *sharing {
	out := &sharing{store: s, plan: p}
	if s.writable() {
		out.publisher = s.remote.Publish(ctx, s.Dir)
	}
	return out
}

// event pushes a node that is done.
func (s *sharing) event(e engine.Event) {
	if s.publisher != nil && e.Kind == engine.NodeDone {
		s.publisher.Add(remote.Item{Action: e.Action, Recipe: s.plan.Nodes[e.Node].Recipe})
	}
}

// endSharing waits until all is pushed, and says what was shared. A remote that
// fails does not make the run fail: its results are here.
func (a *app) endSharing(s *sharing, asJSON bool) {
	if s.store.remote == nil {
		return
	}
	text := fmt.Sprintf("remote    %s: found %s", s.store.remote.Name(), plural(s.store.upstream.Found(), "result"))
	if s.publisher != nil {
		pushed, left, err := s.publisher.Close()
		if err != nil {
			a.warn("warning: %s not shared, 'regft cache push' does it: %v", plural(left, "result"), err)
		}
		text += "; shared " + pushedText(pushed)
	}
	if !asJSON {
		fmt.Fprintln(a.out, text)
	}
}
