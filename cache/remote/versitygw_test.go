//go:build versitygw

// These tests start a real server of S3, which go.mod of tools pins. Building it
// takes minutes the first time, so they have a tag: task test:s3.

package remote

import (
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"regft/cache/storetest"
)

func init() { startServer = func(t *testing.T) string { return startVersity(t).address() } }

// s3Server is a server that runs.
type s3Server struct {
	endpoint string
	stop     func() // as kill -9
	start    func() // again
}

func (s *s3Server) address() string { return "s3://bucket/prefix?endpoint=" + s.endpoint }

// versityBinary builds the server, which Go keeps in its build cache, and gives
// its path.
var versityBinary = sync.OnceValues(func() (string, error) {
	tool := exec.Command("go", "tool", "-modfile=tools/go.mod", "-n", "versitygw")
	tool.Dir, tool.Stderr = filepath.Join("..", ".."), os.Stderr
	path, err := tool.Output()
	return strings.TrimSpace(string(path)), err
})

func startVersity(t *testing.T) *s3Server {
	t.Helper()
	credentials(t)
	binary, err := versityBinary()
	check(t, err)
	data := t.TempDir()
	check(t, os.Mkdir(filepath.Join(data, "bucket"), 0o777))
	port := freePort(t)
	s := &s3Server{endpoint: "http://" + port}
	var cmd *exec.Cmd
	s.start = func() {
		cmd = exec.Command(binary, "--port", port, "posix", data)
		cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+os.Getenv("AWS_ACCESS_KEY_ID"), "ROOT_SECRET_KEY="+os.Getenv("AWS_SECRET_ACCESS_KEY"))
		check(t, cmd.Start())
		await(t, s.endpoint)
	}
	s.stop = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	}
	s.start()
	t.Cleanup(func() { s.stop() })
	return s
}

func freePort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer l.Close()
	return l.Addr().String()
}

// await waits until a server answers.
func await(t *testing.T, url string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for range 200 {
		if answer, err := client.Get(url); err == nil {
			answer.Body.Close()
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("%s does not answer", url)
}

// TestServerRestarts kills the server while it is pushed to, and starts it again:
// the push goes on.
func TestServerRestarts(t *testing.T) {
	server := startVersity(t)
	s := newSample(t, 0)
	for k := range 40 {
		s.add(t, "stage toy v1\nparam k "+string(rune('A'+k))+"\n", storetest.Content(uint64(k), 300_000))
	}
	r := open(t, server.address(), Options{})
	var once sync.Once
	pushed, err := r.Push(t.Context(), s.store, s.items, func(p Pushed) {
		if p.Blobs >= 10 {
			once.Do(func() {
				server.stop()
				time.AfterFunc(300*time.Millisecond, server.start)
			})
		}
	})
	check(t, err)
	if pushed.Results+pushed.There != 40 {
		t.Errorf("pushed %+v", pushed)
	}
	store := withUpstream(t, r)
	_, err = Pull(t.Context(), store, s.items, nil)
	check(t, err)
	s.whole(t, store)
}

// TestWrongCredentials checks that they are told from a remote that is not there.
func TestWrongCredentials(t *testing.T) {
	server := startVersity(t)
	t.Setenv("AWS_SECRET_ACCESS_KEY", "wrong")
	_, err := Open(t.Context(), server.address(), Options{Retry: quick})
	if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "SignatureDoesNotMatch") {
		t.Errorf("with a wrong key: %v", err)
	}
	t.Setenv("AWS_SECRET_ACCESS_KEY", "testtest")
	_, err = Open(t.Context(), "s3://nothing?endpoint="+server.endpoint, Options{Retry: quick})
	if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "NoSuchBucket") {
		t.Errorf("without a bucket: %v", err)
	}
}
