package main

import (
	"strings"
	"testing"
	"time"

	"regft/engine"

	"github.com/vbauerster/mpb/v8/decor"
)

// aRun is the events of a run of four nodes: one done, one failed, and two that cannot run for that.
func aRun(start time.Time) []engine.Event {
	at := func(seconds float64) time.Time { return start.Add(time.Duration(seconds * float64(time.Second))) }
	counts := &engine.Counts{All: engine.StageCounts{Nodes: 4, Run: 4}}
	return []engine.Event{
		{Kind: engine.RunStarted, Node: -1, Time: at(0), Counts: counts},
		{Kind: engine.NodeStarted, Node: 0, Name: "pictures[style=photo]", Reason: "new", Time: at(0)},
		{Kind: engine.NodeProgress, Node: 0, Name: "pictures[style=photo]", Done: 1, Total: 64, Unit: "pictures", Time: at(1)},
		{Kind: engine.NodeProgress, Node: 0, Name: "pictures[style=photo]", Done: 12, Total: 64, Unit: "pictures", Time: at(11)},
		{Kind: engine.NodeProgress, Node: 0, Name: "pictures[style=photo]", Done: 13, Total: 64, Unit: "pictures", Time: at(12)},
		{Kind: engine.NodeRetry, Node: 0, Name: "pictures[style=photo]", Error: "no luck\nat all", Time: at(13)},
		{Kind: engine.NodeDone, Node: 0, Name: "pictures[style=photo]", Seconds: 92.4, Time: at(93)},
		{Kind: engine.NodeStarted, Node: 1, Name: "tuned", Time: at(93)},
		{Kind: engine.NodeFailed, Node: 1, Name: "tuned", Error: "loss is NaN at step 3", Time: at(94)},
		{Kind: engine.NodeBlocked, Node: 2, Name: "scores[draw=0]", Stage: "scores", Time: at(94)},
		{Kind: engine.NodeBlocked, Node: 3, Name: "scores[draw=1]", Stage: "scores", Time: at(94)},
		{Kind: engine.RunEnded, Node: -1, Time: at(94), Summary: &engine.Summary{Executed: 1, Failed: 1, Blocked: 2}},
	}
}

func TestLines(t *testing.T) {
	var b strings.Builder
	l := &lines{out: &b, told: map[int]time.Time{}}
	for _, e := range aRun(time.Unix(0, 0)) {
		l.event(e)
	}
	l.close()
	const want = `        pictures[style=photo] 12 of 64 pictures
        pictures[style=photo] failed, once more: no luck
[1/4] pictures[style=photo] done in 1m32s (new)
[2/4] tuned FAILED: loss is NaN at step 3
[3/4] scores[draw=0] not run: something that it needs failed (told once for each stage)
`
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
}

// TestBarsEnd holds that bars come to an end, whatever still runs, and leave a line for what ended.
func TestBarsEnd(t *testing.T) {
	for _, events := range [][]engine.Event{aRun(time.Now()), aRun(time.Now())[:4], nil} {
		var b strings.Builder
		ended := make(chan struct{})
		go func() {
			d := newBars(&b, -1)
			for _, e := range events {
				d.event(e)
			}
			d.close()
			close(ended)
		}()
		select {
		case <-ended:
		case <-time.After(5 * time.Second):
			t.Fatalf("bars of %d events do not end", len(events))
		}
		if len(events) > 4 && !strings.Contains(b.String(), "tuned FAILED: loss is NaN at step 3") {
			t.Errorf("the failure left no line: %q", b.String())
		}
	}
}

// TestTimeLeft holds that what an earlier run left counts as no work of this one.
func TestTimeLeft(t *testing.T) {
	b := &bar{started: time.Now().Add(-time.Hour)}
	if got := b.times(decor.Statistics{Current: 20, Total: 40}); strings.Contains(got, "left") {
		t.Errorf("%q is an estimate from nothing", got)
	}
	b.begun.Store(&beginning{time.Now().Add(-10 * time.Second), 10})
	if got := b.times(decor.Statistics{Current: 20, Total: 40}); !strings.HasSuffix(got, "about 20s left") {
		t.Errorf("10 of 30 pictures in 10s: %q", got)
	}
}
