package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"

	"regft/cache"
	"regft/stages"

	"github.com/gofrs/flock"
	"github.com/rs/zerolog"
)

// Local runs tasks in this process.
type Local struct {
	store   *cache.Dir
	shared  *stages.Shared
	version string
	dir     string       // private folders of tasks
	lock    *flock.Flock // on dir: who finds it free removes dir
}

// workFolder is the folder of the store for the private folders of tasks.
const workFolder = "work"

// grace is how long a cancelled stage may take to stop. Then it is left to itself: the process is about to end.
const grace = 700 * time.Millisecond

// NewLocal makes an executor whose stages share at most memory bytes, and removes what killed ones left. version is
// regft's, for the records.
func NewLocal(store *cache.Dir, memory int64, version string) (*Local, error) {
	root := filepath.Join(store.Root(), workFolder)
	if err := os.MkdirAll(root, 0o777); err != nil {
		return nil, fmt.Errorf("making a folder for running stages: %w", err)
	}
	if err := removeAbandoned(root); err != nil {
		return nil, fmt.Errorf("removing folders of killed runs: %w", err)
	}
	for {
		l := &Local{store: store, shared: stages.NewShared(memory), version: version}
		if ok, err := l.claim(root); ok || err != nil {
			return l, err
		}
	}
}

// claim locks a folder below root, and makes it. It is not ok where another process took the lock's file for one left
// behind, before it was locked.
func (l *Local) claim(root string) (ok bool, err error) {
	l.dir = filepath.Join(root, newRunID())
	l.lock = flock.New(l.dir + ".lock")
	if err := l.lock.Lock(); err != nil {
		return false, fmt.Errorf("locking %s: %w", l.dir, err)
	}
	locked, err := l.lock.Stat()
	if err != nil {
		return false, fmt.Errorf("locking %s: %w", l.dir, err)
	}
	if there, err := os.Stat(l.lock.Path()); err != nil || !os.SameFile(locked, there) {
		return false, l.lock.Unlock()
	}
	if err := os.Mkdir(l.dir, 0o777); err != nil {
		return false, fmt.Errorf("making a folder for running stages: %w", err)
	}
	return true, nil
}

// removeAbandoned removes the folders whose owner no longer holds their lock.
func removeAbandoned(root string) error {
	locks, err := filepath.Glob(filepath.Join(root, "*.lock"))
	if err != nil {
		return err
	}
	for _, path := range locks {
		lock := flock.New(path)
		if ok, err := lock.TryLock(); err != nil || !ok {
			continue // somebody runs there
		}
		err := errors.Join(os.RemoveAll(path[:len(path)-len(".lock")]), os.Remove(path), lock.Unlock())
		if err != nil {
			return err
		}
	}
	return nil
}

// Close removes the executor's folder.
func (l *Local) Close() error {
	return errors.Join(os.RemoveAll(l.dir), os.Remove(l.lock.Path()), l.lock.Unlock())
}

// Do implements Executor. A panic of the stage is an error; its stack is in the log.
func (l *Local) Do(ctx context.Context, t Task) (*cache.Result, error) {
	dir, err := os.MkdirTemp(l.dir, "node-")
	if err != nil {
		return nil, fmt.Errorf("making a private folder: %w", err)
	}
	defer os.RemoveAll(dir)
	log, err := openLog(t, dir)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	h := &host{ctx: ctx, store: l.store, task: t, outputs: map[string][]cache.File{}, metrics: map[string]any{}}
	defer h.release()
	started := time.Now()
	if err := l.stage(ctx, t, h, dir, log); err != nil {
		return nil, err
	}
	r := &cache.Result{Key: t.Key, Action: cache.NewActionID(t.Key), Seconds: time.Since(started).Seconds(),
		Version: l.version, Created: time.Now().UTC()}
	if err := h.fill(ctx, r, filepath.Join(dir, "outputs")); err != nil {
		return nil, err
	}
	if r.Log, err = log.put(ctx, l.store); err != nil {
		return nil, fmt.Errorf("keeping the log: %w", err)
	}
	return r, h.endPartial()
}

// stage runs t's stage, and returns when it has ended, or soon after ctx has.
func (l *Local) stage(ctx context.Context, t Task, h *host, dir string, log *logFile) error {
	env := &stages.Env{Dir: filepath.Join(dir, "stage"), Seed: t.Seed, Cores: t.Cores, Log: zerolog.New(log).Hook(h).With().Timestamp().Logger(),
		LogText: log, Sources: t.Sources, Shared: l.shared, Host: h}
	if err := os.Mkdir(env.Dir, 0o777); err != nil {
		return fmt.Errorf("making a private folder: %w", err)
	}
	ended := make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				fmt.Fprintf(log, "panic: %v\n%s", p, debug.Stack())
				ended <- fmt.Errorf("stage type %s panicked, which is a bug of regft: %v (its log has the stack)", t.Type.Name, p)
			}
		}()
		ended <- t.Runner.Run(ctx, env)
	}()
	select {
	case err := <-ended:
		return finished(ctx, err, env, filepath.Join(dir, "outputs"), log)
	case <-ctx.Done():
	}
	select {
	case err := <-ended:
		fmt.Fprintf(log, "stopped: %v\n", err)
	case <-time.After(grace):
	}
	return ctx.Err()
}

// finished moves a finished stage's outputs out of its reach.
func finished(ctx context.Context, err error, env *stages.Env, outputs string, log io.Writer) error {
	if err != nil {
		fmt.Fprintf(log, "failed: %v\n", err)
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	err = os.Rename(filepath.Join(env.Dir, "outputs"), outputs)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// logFile is a stage's log. Several goroutines may write to it.
type logFile struct {
	mu   sync.Mutex
	file *os.File
	size int64
}

func openLog(t Task, dir string) (*logFile, error) {
	path := t.LogFile
	if path == "" {
		path = filepath.Join(dir, "log")
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return nil, fmt.Errorf("making the folder of a log: %w", err)
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("making a log: %w", err)
	}
	return &logFile{file: f}, nil
}

func (l *logFile) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, err := l.file.Write(p)
	l.size += int64(n)
	return n, err
}

func (l *logFile) Close() error { return l.file.Close() }

// put keeps the log in the store; an empty one is none.
func (l *logFile) put(ctx context.Context, store *cache.Dir) (cache.Digest, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.size == 0 {
		return cache.Digest{}, nil
	}
	d, _, err := store.PutFile(ctx, l.file.Name())
	return d, err
}
