package engine

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"regft/cache"
	"regft/specs"
	"regft/stages"
)

// childStore names the store of a child process that runs a sweep until it is killed.
const childStore = "REGFT_ENGINE_CHILD"

// childMain is the main function of the child: it prints each node that is done.
func childMain() bool {
	root := os.Getenv(childStore)
	if root == "" {
		return false
	}
	store, err := cache.OpenDir(root)
	if err == nil {
		err = runChild(store)
	}
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	return true
}

func runChild(store *cache.Dir) error {
	p, err := NewPlan(context.Background(), killSweep(&testing.T{}).e, store, Options{})
	if err != nil {
		return err
	}
	x, err := NewLocal(store, 0, "test")
	if err != nil {
		return err
	}
	defer x.Close()
	_, err = Run(context.Background(), p, x, RunOptions{Machine: stages.Resources{Cores: 4, Memory: 1 << 30}}, func(e Event) {
		if e.Kind == NodeDone {
			fmt.Println("done", e.Name)
		}
	})
	return err
}

// killSweep is 12 slow leaves, 12 sums over them and a total.
func killSweep(t testing.TB) *graph {
	g := newGraph(t)
	leaf, sum := g.stage("leaf", "slow", "n"), g.stage("sum", "sum", "n")
	var sums []*specs.Instance
	for k := range 12 {
		i := g.add(leaf, fmt.Sprintf("n=%d", k), fmt.Sprintf("value: %d, seconds: 0.02", k))
		sums = append(sums, g.add(sum, fmt.Sprintf("n=%d", k), "plus: 0.5", in("inputs", i)))
	}
	g.add(g.stage("total", "sum"), "", "", gather("inputs", sums...))
	return g
}

// TestKilledAtRandomMoments kills a child process again and again. What it had said to be done is never done again,
// and in the end the results are those of a run that nobody killed.
func TestKilledAtRandomMoments(t *testing.T) {
	rounds := 10
	if os.Getenv("REGFT_LONG") != "" {
		rounds = 200
	}
	want := outputsOfRun(t, newStore(t))
	random := rand.New(rand.NewPCG(1, 2))
	store := newStore(t)
	done := map[string]bool{}
	for round := range rounds {
		if len(done) == 25 {
			store, done = newStore(t), map[string]bool{}
		}
		for _, name := range killedRun(t, store, time.Duration(random.IntN(120))*time.Millisecond) {
			if done[name] {
				t.Fatalf("round %d: %s was done again", round, name)
			}
			done[name] = true
		}
	}
	p := killSweep(t).plan(store, Options{})
	for _, n := range p.Nodes {
		if done[n.Name()] && n.State != Hit {
			t.Errorf("%s had finished and is %s", n.Name(), n.State)
		}
	}
	if got := outputsOfRun(t, store); !maps.Equal(got, want) {
		t.Errorf("outputs after kills: %v, want %v", got, want)
	}
	if left, _ := filepath.Glob(filepath.Join(store.Root(), workFolder, "*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestTwoProcessesDoTheWorkOnce runs two children at once over one store.
func TestTwoProcessesDoTheWorkOnce(t *testing.T) {
	store := newStore(t)
	names := make([][]string, 2)
	var wait sync.WaitGroup
	for k := range names {
		wait.Go(func() { names[k] = killedRun(t, store, time.Minute) })
	}
	wait.Wait()
	all := slices.Concat(names...)
	slices.Sort(all)
	equal(t, "done by both", len(all), 25)
	equal(t, "distinct", len(slices.Compact(all)), 25)
}

// killedRun starts a child and kills it after a while; it returns the nodes that it said were done.
func killedRun(t *testing.T, store *cache.Dir, after time.Duration) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childStore+"="+store.Root())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(100*time.Millisecond+after, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	var names []string
	for s := bufio.NewScanner(out); s.Scan(); {
		if name, ok := strings.CutPrefix(s.Text(), "done "); ok {
			names = append(names, name)
		} else {
			t.Errorf("the child says: %s", s.Text())
		}
	}
	_ = cmd.Wait() // killed, or not
	return names
}

func outputsOfRun(t *testing.T, store *cache.Dir) map[string]string {
	t.Helper()
	p, s, _ := killSweep(t).run(store, Options{}, RunOptions{})
	equal(t, "failed", s.Failed, 0)
	out := map[string]string{}
	for _, n := range p.Nodes {
		b, err := json.Marshal([]any{n.Result.Outputs, n.Result.Metrics})
		if err != nil {
			t.Fatal(err)
		}
		out[n.Name()] = string(b)
	}
	return out
}
