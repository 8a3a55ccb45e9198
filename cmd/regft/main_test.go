package main

import (
	"fmt"
	"os"
	"testing"
	"time"

	_ "regft/stages/toy"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"regft": main})
}

// TestScripts runs the sessions of testdata/script with the real binary, which here knows the toy stage types too.
// Each has a cache of its own.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
		Setup: func(env *testscript.Env) error {
			env.Setenv("REGFT_CACHE", env.WorkDir+"/cache")
			env.Setenv("NO_COLOR", "1")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"within": within, "sleep": sleep},
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

func sleep(ts *testscript.TestScript, _ bool, args []string) {
	d, err := time.ParseDuration(fmt.Sprint(args[0]))
	ts.Check(err)
	time.Sleep(d)
}
