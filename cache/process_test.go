package cache_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gofrs/flock"
	"golang.org/x/sys/unix"

	"regft/cache"
	"regft/cache/storetest"
)

// A child is this test binary run again as another process on the same store.
var children = map[string]func(d *cache.Dir, argument string) error{
	"put":     putForever,
	"lock":    holdLock,
	"count":   countUnderLock,
	"exclude": excludeOthers,
	"limit":   putBeyondLimit,
	"collect": collectForever,
}

func TestMain(m *testing.M) {
	name := os.Getenv("CACHE_TEST_CHILD")
	if name == "" {
		os.Exit(m.Run())
	}
	d, err := cache.OpenDir(os.Args[1])
	if err == nil {
		err = children[name](d, os.Args[2])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, name+":", err)
		os.Exit(1)
	}
}

// A process is a child that runs; lines has what it prints.
type process struct {
	*exec.Cmd
	lines  *bufio.Scanner
	stderr bytes.Buffer
}

func start(t *testing.T, child, root, argument string) *process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{Cmd: exec.CommandContext(t.Context(), self, root, argument)}
	p.Env = append(os.Environ(), "CACHE_TEST_CHILD="+child)
	p.Stderr = &p.stderr
	out, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.lines = bufio.NewScanner(out)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	return p
}

// finish waits for a child that ends by itself.
func (p *process) finish(t *testing.T) []string {
	t.Helper()
	var lines []string
	for p.lines.Scan() {
		lines = append(lines, p.lines.Text())
	}
	if err := p.Wait(); err != nil {
		t.Errorf("child: %v\n%s", err, p.stderr.String())
	}
	return lines
}

// killAfter kills the child with SIGKILL after delay and gives the lines that it
// had printed.
func (p *process) killAfter(t *testing.T, delay time.Duration) []string {
	t.Helper()
	time.AfterFunc(delay, func() { p.Process.Kill() })
	var lines []string
	for p.lines.Scan() {
		lines = append(lines, p.lines.Text())
	}
	var exit *exec.ExitError
	if err := p.Wait(); !errors.As(err, &exit) || exit.Exited() {
		t.Fatalf("child ended by itself: %v\n%s", err, p.stderr.String())
	}
	return lines
}

// outputs of action i in the kill test: a small and a big file.
func killTestOutputs(i int) [2][]byte {
	return [2][]byte{storetest.Content(uint64(i), i%3000), storetest.Content(uint64(i), 1<<20+i)}
}

func killTestKey(i int) string { return fmt.Sprintf("stage %d\n", i) }

// putForever does actions from argument on, and prints the number of each when
// its result is in the store.
func putForever(d *cache.Dir, argument string) error {
	from, err := strconv.Atoi(argument)
	if err != nil {
		return err
	}
	for i := from; ; i++ {
		if err := doAction(d, i); err != nil {
			return err
		}
		fmt.Println(i)
	}
}

func doAction(d *cache.Dir, i int) error {
	ctx := context.Background()
	r := &cache.Result{Action: cache.NewActionID(killTestKey(i)), Key: killTestKey(i), Seconds: float64(i)}
	unlock, err := d.Lock(ctx, r.Action)
	if err != nil {
		return err
	}
	var m cache.Manifest
	for name, content := range killTestOutputs(i) {
		digest, size, err := d.Put(ctx, bytes.NewReader(content))
		if err != nil {
			return err
		}
		m.Files = append(m.Files, cache.File{Name: strconv.Itoa(name), Digest: digest, Size: size})
	}
	digest, err := d.PutManifest(ctx, m)
	if err != nil {
		return err
	}
	r.Outputs = map[string]cache.Digest{"": digest}
	return errors.Join(d.PutResult(ctx, r), d.PutRecipe(ctx, cache.NewRecipeID(r.Key), r.Action), unlock())
}

// Killed at any moment, a process leaves each action either done, with all its
// outputs right, or not done; and those it has reported are done.
func TestKill(t *testing.T) {
	t.Parallel() // it waits for its children
	const seed = 1
	random := rand.New(rand.NewPCG(seed, 0))
	root := t.TempDir()
	next := 0
	for range 10 {
		p := start(t, "put", root, strconv.Itoa(next))
		lines := p.killAfter(t, time.Duration(20+random.IntN(200))*time.Millisecond)
		d := openDir(t, root)
		for _, line := range lines {
			checkAction(t, d, line)
		}
		next += len(lines)
		checkAllResults(t, d)
		if aside := files(t, filepath.Join(root, "quarantine")); len(aside) > 0 {
			t.Errorf("a kill left malformed entries: %q", aside)
		}
	}
	if next == 0 {
		t.Error("no action was done before a kill: the test tested nothing")
	}
	if err := doAction(openDir(t, root), next); err != nil {
		t.Errorf("going on after the kills: %v", err)
	}
	t.Logf("%d actions done, %d temporary files left (seed %d)", next, len(files(t, filepath.Join(root, "tmp"))), seed)
}

func checkAction(t *testing.T, d *cache.Dir, number string) {
	t.Helper()
	i, err := strconv.Atoi(number)
	if err != nil {
		t.Fatal(err)
	}
	r, err := d.Result(t.Context(), cache.NewActionID(killTestKey(i)))
	if err != nil {
		t.Fatalf("action %d was reported done: %v", i, err)
	}
	m, err := d.Manifest(t.Context(), r.Outputs[""])
	if err != nil {
		t.Fatalf("action %d: %v", i, err)
	}
	for j, want := range killTestOutputs(i) {
		if got, err := read(t, d, m.Files[j].Digest); err != nil || !bytes.Equal(got, want) {
			t.Errorf("action %d: output %d has %d bytes, %v, want %d", i, j, len(got), err, len(want))
		}
	}
}

// checkAllResults checks that every result there is, reported or not, is complete.
func checkAllResults(t *testing.T, d *cache.Dir) {
	t.Helper()
	for r, err := range d.Results(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		checkAction(t, d, strconv.Itoa(int(r.Seconds)))
	}
}

// holdLock takes the lock of argument and keeps it until killed.
func holdLock(d *cache.Dir, argument string) error {
	unlock, err := d.Lock(context.Background(), cache.NewActionID(argument))
	if err != nil {
		return err
	}
	fmt.Println("locked")
	time.Sleep(time.Hour)
	return unlock()
}

func TestLockEndsWithItsProcess(t *testing.T) {
	root := t.TempDir()
	d := openDir(t, root)
	p := start(t, "lock", root, "key")
	if !p.lines.Scan() {
		t.Fatalf("child did not lock: %s", p.stderr.String())
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := d.Lock(ctx, cache.NewActionID("key")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a lock that another process holds: %v, want %v", err, context.DeadlineExceeded)
	}
	p.killAfter(t, 0)
	ctx, cancel = context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	unlock, err := d.Lock(ctx, cache.NewActionID("key"))
	if err != nil {
		t.Fatalf("after its process was killed: %v", err)
	}
	if err := unlock(); err != nil {
		t.Error(err)
	}
}

const countTurns = 30

// countUnderLock adds to the number in the file argument, each time under the lock.
func countUnderLock(d *cache.Dir, argument string) error {
	for range countTurns {
		unlock, err := d.Lock(context.Background(), cache.NewActionID("count"))
		if err != nil {
			return err
		}
		text, err := os.ReadFile(argument)
		if err != nil {
			return err
		}
		n, err := strconv.Atoi(string(text))
		if err != nil {
			return err
		}
		if err := os.WriteFile(argument, []byte(strconv.Itoa(n+1)), 0o666); err != nil {
			return err
		}
		if err := unlock(); err != nil {
			return err
		}
	}
	return nil
}

func TestProcessesTakeTurns(t *testing.T) {
	root := t.TempDir()
	counter := writeFile(t, filepath.Join(t.TempDir(), "counter"), []byte("0"))
	const processes = 3
	var running []*process
	for range processes {
		running = append(running, start(t, "count", root, counter))
	}
	for _, p := range running {
		p.finish(t)
	}
	if got, err := os.ReadFile(counter); string(got) != strconv.Itoa(processes*countTurns) || err != nil {
		t.Errorf("counted to %s (%v), want %d", got, err, processes*countTurns)
	}
}

// excludeOthers takes two locks in turn, and says so where a second lock, on a file named after argument, shows that
// it is not alone.
func excludeOthers(d *cache.Dir, argument string) error {
	end, err := d.OpenJournal()
	if err != nil {
		return err
	}
	for i := 0; ; i++ {
		key := strconv.Itoa(i % 2)
		unlock, err := d.Lock(context.Background(), cache.NewActionID(key))
		if err != nil {
			return errors.Join(err, end())
		}
		alone := flock.New(argument + key)
		if ok, err := alone.TryLock(); !ok || err != nil {
			fmt.Println("not alone with", key, err)
		}
		fmt.Println("locked", key)
		if err := errors.Join(alone.Unlock(), unlock()); err != nil {
			return err
		}
	}
}

// TestLocksOfTheKilled kills processes that take turns: what they held is free, and nobody else's is.
func TestLocksOfTheKilled(t *testing.T) {
	t.Parallel() // it waits for its children
	const seed = 1
	random := rand.New(rand.NewPCG(seed, 0))
	root, beside := t.TempDir(), filepath.Join(t.TempDir(), "beside")
	turns := 0
	for range 8 {
		var running []*process
		for range 3 {
			running = append(running, start(t, "exclude", root, beside))
		}
		for _, p := range running {
			for _, line := range p.killAfter(t, time.Duration(20+random.IntN(60))*time.Millisecond) {
				turns++
				if !strings.HasPrefix(line, "locked") {
					t.Error(line)
				}
			}
		}
	}
	if turns == 0 {
		t.Error("no lock was taken before a kill: the test tested nothing")
	}
	d := openDir(t, root)
	for _, key := range []string{"0", "1"} {
		unlock, err := d.Lock(t.Context(), cache.NewActionID(key))
		if err != nil {
			t.Fatal(err)
		}
		if err := unlock(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d turns (seed %d)", turns, seed)
}

// putBeyondLimit makes every write beyond argument bytes of a file fail, as on a
// full disk, tries all kinds of writes, and prints the errors.
func putBeyondLimit(d *cache.Dir, argument string) error {
	limit, err := strconv.ParseUint(argument, 10, 64)
	if err != nil {
		return err
	}
	signal.Ignore(unix.SIGXFSZ)
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: limit, Max: limit}); err != nil {
		return err
	}
	ctx := context.Background()
	_, _, putErr := d.Put(ctx, bytes.NewReader(storetest.Content(1, 100_000)))
	_, _, bigErr := d.Put(ctx, bytes.NewReader(storetest.Content(1, 3<<20)))
	key := strings.Repeat("param x 1\n", 1000)
	resultErr := d.PutResult(ctx, &cache.Result{Action: cache.NewActionID(key), Key: key})
	recipeErr := d.PutRecipe(ctx, cache.NewRecipeID("r"), cache.NewActionID(key))
	_, _, linkErr := d.Link(ctx, os.Args[0])
	for i, err := range []error{putErr, bigErr, resultErr, recipeErr, linkErr} {
		fmt.Println(i, errors.Is(err, syscall.EFBIG), err)
	}
	return nil
}

// A write that fails says what was being done, and leaves nothing behind: not
// the entry, not half of it, not a temporary file.
func TestFailedWrites(t *testing.T) {
	for _, limit := range []int{0, 1, 100} {
		root := t.TempDir()
		for _, line := range start(t, "limit", root, strconv.Itoa(limit)).finish(t) {
			if !strings.Contains(line, "true") || !strings.Contains(line, root) {
				t.Errorf("limit %d: %s: want a wrapped EFBIG that names the file", limit, line)
			}
		}
		left := slices.DeleteFunc(files(t, root), func(name string) bool { return name == "links" })
		if len(left) > 0 {
			t.Errorf("limit %d: files %q are left", limit, left)
		}
		d := openDir(t, root)
		if has, err := d.Has(t.Context(), cache.SumBytes(storetest.Content(1, 100_000))); has || err != nil {
			t.Errorf("limit %d: Has what was not stored: %v, %v", limit, has, err)
		}
		if _, size, err := d.Link(t.Context(), os.Args[0]); size == 0 || err != nil {
			t.Errorf("limit %d: linking afterwards: %d, %v", limit, size, err)
		}
	}
}
