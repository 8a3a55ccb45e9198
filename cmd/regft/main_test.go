package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"regft/stages"
	_ "regft/stages/toy"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"regft": main})
}

// someday is a stage type that is declared and not built, as types may be.
type someday struct{}

var _ = stages.Register[someday](stages.Type{Name: "someday", Doc: "Not built.", Version: 1, Out: stages.Files})

// NotBuilt names the whole type.
func (*someday) NotBuilt() string { return "this stage type" }

// Run is never reached.
func (*someday) Run(context.Context, *stages.Env) error { return errors.New("it ran") }

// TestScripts runs the sessions of testdata/script with the real binary, which here knows the toy stage types too.
// Each has a cache of its own; $SHAPES is the shipped example.
func TestScripts(t *testing.T) {
	shapes, err := filepath.Abs("../../examples/shapes")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
		Setup: func(env *testscript.Env) error {
			env.Setenv("REGFT_CACHE", env.WorkDir+"/cache")
			env.Setenv("NO_COLOR", "1")
			env.Setenv("SHAPES", shapes)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"within": within, "exits": exits, "interrupt": interrupt, "serve": serve},
	})
}

// within fails a script where a command takes longer than it may: within 2s regft run spec.yaml.
func within(ts *testscript.TestScript, neg bool, args []string) {
	limit, err := time.ParseDuration(args[0])
	ts.Check(err)
	start := time.Now()
	if err := ts.Exec(args[1], args[2:]...); (err != nil) != neg {
		ts.Fatalf("error: %v", err)
	}
	if took := time.Since(start); took > limit {
		ts.Fatalf("took %v: want at most %v", took, limit)
	}
}

// exits fails a script where a command ends with another code: exits 2 regft run bad.yaml.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("error: %v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d: want %d", got, want)
	}
}

// serve lets a web server give a folder's files, and puts its address into a variable: serve FOLDER URL.
func serve(ts *testscript.TestScript, _ bool, args []string) {
	server := httptest.NewServer(http.FileServer(http.Dir(ts.MkAbs(args[0]))))
	ts.Defer(server.Close)
	ts.Setenv(args[1], server.URL)
}

// interrupt runs regft until a file holds a text, sends it a signal, and fails the script where it does not end within
// a second and with an exit code: interrupt INT 130 FILE TEXT run spec.yaml.
func interrupt(ts *testscript.TestScript, _ bool, args []string) {
	cmd := exec.Command("regft", args[4:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = ts.MkAbs("."), ts.Stdout(), ts.Stderr()
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "REGFT_CACHE", "NO_COLOR"} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	ts.Check(cmd.Start())
	waitFor(ts, args[2], args[3])
	sent := time.Now()
	ts.Check(cmd.Process.Signal(map[string]os.Signal{"INT": os.Interrupt, "TERM": syscall.SIGTERM}[args[0]]))
	_ = cmd.Wait() // the exit code tells
	if took := time.Since(sent); took > time.Second {
		ts.Fatalf("it took %v to end: want at most a second", took)
	}
	if got := strconv.Itoa(cmd.ProcessState.ExitCode()); got != args[1] {
		ts.Fatalf("exit code %s: want %s", got, args[1])
	}
}

func waitFor(ts *testscript.TestScript, file, text string) {
	for range 200 {
		content, err := os.ReadFile(ts.MkAbs(file))
		if err == nil && strings.Contains(string(content), text) {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	ts.Fatalf("%s does not come to hold %s", file, text)
}
