package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"regft/cache"
	"regft/specs"
	"regft/stages"
)

var errBroken = errors.New("broken")

// fan is n slow nodes and their sum.
func fan(t testing.TB, n int, seconds float64) *graph {
	g := newGraph(t)
	leaf := g.stage("leaf", "slow", "n")
	var leaves []*specs.Instance
	for k := range n {
		leaves = append(leaves, g.add(leaf, fmt.Sprintf("n=%d", k), fmt.Sprintf("value: %d, seconds: %g", k, seconds)))
	}
	g.add(g.stage("total", "sum"), "", "", gather("inputs", leaves...))
	return g
}

func TestNodesShareTheMachine(t *testing.T) {
	four := stages.Resources{Cores: 4, Memory: 1 << 30}
	for _, c := range []struct {
		jobs, want int
	}{{0, 4}, {1, 1}, {2, 2}, {9, 4}} {
		_, _, l := fan(t, 8, 0.05).run(newStore(t), Options{}, RunOptions{Jobs: c.jobs, Machine: four})
		equal(t, fmt.Sprintf("side by side with -j %d", c.jobs), l.most, c.want)
	}
}

func TestResourcesOfTheSpec(t *testing.T) {
	g := fan(t, 6, 0.05)
	g.e.Spec.Stages[0].Resources = stages.Resources{Cores: 1, Memory: 400 << 20}
	_, _, l := g.run(newStore(t), Options{}, RunOptions{Machine: stages.Resources{Cores: 4, Memory: 1 << 30}})
	equal(t, "side by side in memory for two", l.most, 2)

	g = fan(t, 2, 0)
	g.e.Spec.Stages[0].Resources = stages.Resources{Cores: 64, Memory: 1 << 50}
	_, s, _ := g.run(newStore(t), Options{}, RunOptions{})
	equal(t, "executed though they want more than there is", s.Executed, 3)

	g = fan(t, 1, 0)
	g.e.Spec.Stages[0].Resources.GPUs = 1
	_, s, _ = g.run(newStore(t), Options{}, RunOptions{})
	equal(t, "failed without a GPU", s.Failed, 1)
	equal(t, "blocked", s.Blocked, 1)
}

func TestALargeJobIsNotStarved(t *testing.T) {
	g := newGraph(t)
	big, small := g.stage("big", "slow"), g.stage("small", "slow", "n")
	big.Resources.Cores = 4
	g.add(g.stage("first", "slow"), "", "seconds: 0.02")
	g.add(big, "", "seconds: 0, value: 7")
	for k := range 60 {
		g.add(small, fmt.Sprintf("n=%d", k), fmt.Sprintf("seconds: 0.005, value: %d", k))
	}
	_, _, l := g.run(newStore(t), Options{}, RunOptions{Machine: stages.Resources{Cores: 4, Memory: 1 << 30}})
	started := 0
	for _, e := range l.events {
		if e.Kind != NodeStarted {
			continue
		}
		if started++; e.Name == "big" && started > 3*maxPassed {
			t.Errorf("big started as number %d", started)
		}
	}
}

func TestCoresAreShared(t *testing.T) {
	g := newGraph(t)
	s := g.stage("o", "odd", "n")
	for k := range 2 {
		g.add(s, fmt.Sprintf("n=%d", k), fmt.Sprintf("how: cores, n: %d", k))
	}
	p, _, _ := g.run(newStore(t), Options{}, RunOptions{Jobs: 1, Machine: stages.Resources{Cores: 8, Memory: 1 << 30}})
	equal(t, "cores of a node alone", p.Nodes[0].Result.Metrics["value"], any(8.0))
}

func TestFailFast(t *testing.T) {
	g := newGraph(t)
	g.add(g.stage("bad", "fail"), "", "message: no luck")
	g.add(g.stage("long", "slow"), "", "seconds: 30")
	_, s, _ := g.run(newStore(t), Options{}, RunOptions{FailFast: true})
	equal(t, "failed", s.Failed, 1)
	equal(t, "unfinished", s.Unfinished, 1)
	equal(t, "interrupted", s.Interrupted, false)
	if s.Seconds > 1 {
		t.Errorf("it took %.1f s", s.Seconds)
	}
}

func TestInterruptedWithinASecond(t *testing.T) {
	for _, stage := range []string{"slow", "odd"} {
		t.Run(stage, func(t *testing.T) {
			g := newGraph(t)
			first := g.add(g.stage("first", "const"), "", "value: 1")
			params := map[string]string{"slow": "seconds: 30", "odd": "how: deaf"}[stage]
			g.add(g.stage("second", stage), "", params, in("inputs", first))
			store := newStore(t)
			p := g.plan(store, Options{})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			x, err := NewLocal(store, 0, "test")
			if err != nil {
				t.Fatal(err)
			}
			defer x.Close()
			var stopped time.Time
			s, err := Run(ctx, p, x, RunOptions{}, func(e Event) {
				if e.Kind == NodeStarted && e.Name == "second" {
					stopped = time.Now()
					cancel()
				}
			})
			if took := time.Since(stopped); took > time.Second {
				t.Errorf("it took %s to stop", took)
			}
			if !errors.Is(err, context.Canceled) {
				t.Errorf("error: %v", err)
			}
			equal(t, "interrupted", s.Interrupted, true)
			equal(t, "executed", s.Executed, 1)
			equal(t, "unfinished", s.Unfinished, 1)
			equal(t, "failed", s.Failed, 0)
			equal(t, "what had finished stays", states(g.plan(store, Options{}), Hit), "first")
		})
	}
}

func TestPanicIsAnErrorOfTheStage(t *testing.T) {
	g := newGraph(t)
	g.add(g.stage("o", "odd"), "", "how: panic")
	dir := t.TempDir()
	_, s, l := g.run(newStore(t), Options{}, RunOptions{LogDir: dir})
	equal(t, "failed", s.Failed, 1)
	for _, e := range l.events {
		if e.Kind == NodeFailed && !strings.Contains(e.Error, "odd panicked") {
			t.Errorf("error: %s", e.Error)
		}
	}
	if log := readFile(t, dir, "logs/o/log.log"); !strings.Contains(log, "odd).Run") {
		t.Errorf("the log has no stack: %s", log)
	}
}

func TestRetry(t *testing.T) {
	g := newGraph(t)
	s := g.stage("o", "odd")
	s.Retry = 2
	g.add(s, "", "how: flaky")
	if oddCalls.Load()%2 == 1 {
		oddCalls.Add(1)
	}
	_, sum, l := g.run(newStore(t), Options{}, RunOptions{})
	equal(t, "executed", sum.Executed, 1)
	equal(t, "retried", l.names(NodeRetry), "o")
}

// TestStagesThatShareANode: the most generous one counts, whichever comes first.
func TestStagesThatShareANode(t *testing.T) {
	strict := func(s *specs.Stage) { s.Timeout = time.Millisecond }
	generous := func(s *specs.Stage) {
		s.Timeout, s.Retry, s.Resources = time.Minute, 3, stages.Resources{Cores: 2, Memory: 1 << 20}
	}
	for _, order := range [][2]func(*specs.Stage){{strict, generous}, {generous, strict}} {
		g := newGraph(t)
		for k, name := range []string{"one", "two"} {
			s := g.stage(name, "slow")
			order[k](s)
			g.add(s, "", "seconds: 0.05")
		}
		p, sum, _ := g.run(newStore(t), Options{}, RunOptions{})
		equal(t, "nodes", len(p.Nodes), 1)
		equal(t, "executed", sum.Executed, 1)
		n := p.Nodes[0]
		equal(t, "timeout", n.timeout(), time.Minute)
		equal(t, "resources", n.resources(), stages.Resources{Cores: 2, Memory: 1 << 20})
		third, err := n.retries(errBroken, 3)
		equal(t, "a fourth attempt", third && err == nil, true)
		g.e.Spec.Stages[0].Timeout = 0
		equal(t, "timeout where one has none", n.timeout(), 0)
	}
}

func TestTimeout(t *testing.T) {
	g := newGraph(t)
	s := g.stage("s", "slow")
	s.Timeout = 50 * time.Millisecond
	g.add(s, "", "seconds: 30")
	_, sum, l := g.run(newStore(t), Options{}, RunOptions{})
	equal(t, "failed", sum.Failed, 1)
	for _, e := range l.events {
		if e.Kind == NodeFailed && !strings.Contains(e.Error, "timeout of 50ms") {
			t.Errorf("error: %s", e.Error)
		}
	}
}

func TestPartialWorkOutlivesAFailure(t *testing.T) {
	store := newStore(t)
	build := func(n int) *graph {
		g := newGraph(t)
		g.add(g.stage("o", "odd"), "", fmt.Sprintf("how: partial, n: %d", n))
		return g
	}
	_, s, _ := build(1).run(store, Options{}, RunOptions{})
	equal(t, "failed", s.Failed, 1)
	_, s, _ = build(2).run(store, Options{}, RunOptions{}) // n is not in the key of partial work
	equal(t, "executed", s.Executed, 1)
	_, s, _ = build(3).run(store, Options{}, RunOptions{})
	equal(t, "partial work is removed when the stage ends well", s.Failed, 1)
}

// TestKeptPartialWorkTakesNoRoom: what a stage keeps of what it gave is one file with the store's.
func TestKeptPartialWorkTakesNoRoom(t *testing.T) {
	g := newGraph(t)
	g.add(g.stage("o", "odd"), "", "how: kept")
	store := newStore(t)
	p, s, _ := g.run(store, Options{}, RunOptions{})
	equal(t, "executed", s.Executed, 1)
	files, err := filepath.Glob(filepath.Join(store.Root(), "partial", "*", "kept.txt"))
	if err != nil || len(files) != 1 {
		t.Fatalf("kept: %q, %v", files, err)
	}
	m, err := store.Manifest(t.Context(), p.Nodes[0].Result.Outputs[""])
	if err != nil {
		t.Fatal(err)
	}
	blob, err := store.Path(t.Context(), m.Files[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	a, errA := os.Stat(files[0])
	b, errB := os.Stat(blob)
	equal(t, "one file", errA == nil && errB == nil && os.SameFile(a, b), true)
}

func TestTwoEnginesDoTheWorkOnce(t *testing.T) {
	store := newStore(t)
	var wait sync.WaitGroup
	executed, failed := make([]int, 2), make([]int, 2)
	for k := range 2 {
		wait.Go(func() {
			other, err := cache.OpenDir(store.Root())
			if err != nil {
				t.Error(err)
				return
			}
			_, s, l := fan(t, 6, 0.2).run(other, Options{}, RunOptions{})
			executed[k], failed[k] = s.Executed, s.Failed
			l.logFailures(t)
		})
	}
	wait.Wait()
	equal(t, "executed by both", executed[0]+executed[1], 7)
	equal(t, "failed", failed[0]+failed[1], 0)
}

func TestLogIsKeptWithTheResult(t *testing.T) {
	store, dir := newStore(t), t.TempDir()
	p, _, _ := fan(t, 1, 0.01).run(store, Options{}, RunOptions{LogDir: dir})
	written := readFile(t, dir, "logs/leaf/%5Bn=0%5D.log")
	r, _, err := store.Open(t.Context(), p.Nodes[0].Result.Log)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	kept := make([]byte, len(written))
	if n, _ := r.Read(kept); string(kept[:n]) != written || !strings.Contains(written, `"waited"`) {
		t.Errorf("kept %q, written %q", kept, written)
	}
}
