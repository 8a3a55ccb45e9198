package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
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
	tasks   atomic.Int64 // so far
}

// workFolder is the folder of the store for the private folders of tasks.
const workFolder = "work"

// What a task leaves beside its private folder, out of its reach.
const (
	outputsSuffix = ".outputs"
	logSuffix     = ".log"
)

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

// removeAbandoned removes the folders whose owner no longer holds their lock. One in which a program that outlived its
// owner still writes is left to a later run.
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
		if removeTree(path[:len(path)-len(".lock")]) != nil {
			_ = lock.Unlock() // its file is closed with it
			continue
		}
		gone := os.Remove(path)
		if errors.Is(gone, fs.ErrNotExist) { // another process removes them too
			gone = nil
		}
		if err := errors.Join(gone, lock.Unlock()); err != nil {
			return err
		}
	}
	return nil
}

// removeTree removes a folder, with those in it that nobody may write to.
func removeTree(dir string) error {
	if err := os.RemoveAll(dir); err == nil {
		return nil
	}
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, _ error) error {
		if d != nil && d.IsDir() {
			_ = os.Chmod(path, 0o700) // else the removal says why not
		}
		return nil
	})
	return os.RemoveAll(dir)
}

// Close removes the executor's folder.
func (l *Local) Close() error {
	return errors.Join(os.RemoveAll(l.dir), os.Remove(l.lock.Path()), l.lock.Unlock())
}

// Do implements Executor. A panic of the stage is an error; its stack is in the log.
func (l *Local) Do(ctx context.Context, t Task) (*cache.Result, error) {
	dir := filepath.Join(l.dir, strconv.FormatInt(l.tasks.Add(1), 10))
	if err := os.Mkdir(dir, 0o777); err != nil {
		return nil, fmt.Errorf("making a private folder: %w", err)
	}
	defer os.RemoveAll(dir)
	outputs := dir + outputsSuffix
	defer os.RemoveAll(outputs)
	log, err := openLog(t, dir+logSuffix)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	if t.LogFile == "" {
		defer os.Remove(log.path)
	}
	h := &host{ctx: ctx, store: l.store, task: t, outputs: map[string][]cache.File{}, metrics: map[string]any{}}
	defer h.release()
	started := time.Now()
	env := &stages.Env{Dir: dir, Seed: t.Seed, Cores: t.Cores, Log: zerolog.New(log).Hook(h).With().Timestamp().Logger(),
		LogText: log, Sources: t.Sources, Shared: l.shared, Host: h}
	defer os.RemoveAll(env.Outputs())
	if err := stage(ctx, t, env, outputs, log); err != nil {
		return nil, errors.Join(err, log.begin())
	}
	r := &cache.Result{Key: t.Key, Action: cache.NewActionID(t.Key), Seconds: (time.Since(started) - h.waited).Seconds(), Reused: h.reused,
		Version: l.version, Created: time.Now().UTC()}
	if err := h.fill(ctx, r, outputs); err != nil {
		return nil, err
	}
	if r.Log, err = log.put(ctx, l.store); err != nil {
		return nil, fmt.Errorf("keeping the log: %w", err)
	}
	return r, h.endPartial()
}

// stage runs t's stage, and returns when it has ended, or soon after ctx has.
func stage(ctx context.Context, t Task, env *stages.Env, outputs string, log *logFile) error {
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
		return finished(ctx, err, env, outputs, log)
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
	err = os.Rename(env.Outputs(), outputs)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// logFile is a stage's log. There is a file from the first write on. Several goroutines may write to it.
type logFile struct {
	path string
	mu   sync.Mutex
	file *os.File // nil: nothing was written yet
	size int64
}

// openLog begins the log of an attempt, in place of an earlier one's. Where the task says no file, it is written to path.
func openLog(t Task, path string) (*logFile, error) {
	l := &logFile{path: path}
	if t.LogFile != "" {
		l.path = t.LogFile
	}
	if err := os.Remove(l.path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("making a log: %w", err)
	}
	return l, nil
}

// begin makes the file, if it is not there.
func (l *logFile) begin() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.create()
}

// create makes the file, if it is not there. The caller holds l.mu.
func (l *logFile) create() (err error) {
	if l.file != nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(l.path), 0o777); err != nil {
		return fmt.Errorf("making the folder of a log: %w", err)
	}
	if l.file, err = os.Create(l.path); err != nil {
		return fmt.Errorf("making a log: %w", err)
	}
	return nil
}

func (l *logFile) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.create(); err != nil {
		return 0, err
	}
	n, err := l.file.Write(p)
	l.size += int64(n)
	return n, err
}

func (l *logFile) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	return l.file.Close()
}

// put keeps the log in the store; an empty one is none.
func (l *logFile) put(ctx context.Context, store *cache.Dir) (cache.Digest, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.size == 0 {
		return cache.Digest{}, nil
	}
	d, _, err := store.PutFile(ctx, l.path)
	return d, err
}
