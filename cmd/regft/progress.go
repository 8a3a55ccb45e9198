package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"regft/engine"

	"github.com/dustin/go-humanize"
	"github.com/mattn/go-runewidth"
	"github.com/rs/zerolog"
	"github.com/vbauerster/cupwriter"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// logEvent tells the log of an event, for those who ask for more than the display shows.
func logEvent(log zerolog.Logger, e engine.Event) {
	switch e.Kind {
	case engine.NodeStarted:
		log.Info().Str("node", e.Name).Str("reason", e.Reason).Msg("started")
	case engine.NodeDone:
		log.Info().Str("node", e.Name).Float64("seconds", e.Seconds).Stringer("action", e.Action).Msg("done")
	case engine.NodeProgress:
		log.Debug().Str("node", e.Name).Int("done", e.Done).Int("total", e.Total).Str("unit", e.Unit).Msg("progress")
	case engine.NodeRetry:
		log.Info().Str("node", e.Name).Str("error", e.Error).Msg("failed, once more")
	}
}

// A display shows the events of a run while they come. It is called from one goroutine at a time.
type display interface {
	event(engine.Event)
	close()
}

// newDisplay gives bars on a terminal, lines elsewhere, and with asJSON the events themselves.
func (a *app) newDisplay(asJSON bool) display {
	switch {
	case asJSON:
		return jsonDisplay{json.NewEncoder(a.out)}
	case a.terminal:
		return newBars(a.err, int(os.Stderr.Fd()))
	}
	return &lines{out: a.err, told: map[int]time.Time{}}
}

type jsonDisplay struct{ *json.Encoder }

func (d jsonDisplay) event(e engine.Event) { _ = d.Encode(e) } // a reader that went away stops nothing

func (jsonDisplay) close() {}

// tally counts the nodes of a run that have ended.
type tally struct {
	ended, total int
	blocked      map[string]bool // the stages of which one was told that cannot run
	reasons      map[int]string  // why the nodes run that are running
}

// add counts e, and tells whether it ends a node.
func (t *tally) add(e engine.Event) bool {
	switch e.Kind {
	case engine.RunStarted:
		if e.Counts != nil {
			c := e.Counts.Total()
			t.total = c.Run + c.Maybe + c.Blocked
		}
	case engine.NodeStarted:
		if t.reasons == nil {
			t.reasons = map[int]string{}
		}
		t.reasons[e.Node] = e.Reason
	case engine.NodeDone, engine.NodeHit, engine.NodeFailed, engine.NodeSkipped, engine.NodeBlocked, engine.NodeIdle:
		t.ended++
		t.total = max(t.total, t.ended)
		return true
	}
	return false
}

// first tells whether a node is the first of its stage that cannot run.
func (t *tally) first(stage string) bool {
	told := t.blocked[stage]
	if t.blocked == nil {
		t.blocked = map[string]bool{}
	}
	t.blocked[stage] = true
	return !told
}

// outcome says how a node ended, and why it ran.
func (t *tally) outcome(e engine.Event) string {
	why := t.reasons[e.Node]
	delete(t.reasons, e.Node)
	switch e.Kind {
	case engine.NodeHit:
		return "found in the cache"
	case engine.NodeDone:
		if why == "" {
			return "done in " + seconds(e.Seconds)
		}
		return fmt.Sprintf("done in %s (%s)", seconds(e.Seconds), why)
	case engine.NodeFailed:
		return "FAILED: " + firstLine(e.Error)
	case engine.NodeSkipped:
		return "skipped"
	case engine.NodeIdle:
		return "not run: nothing needs it now"
	}
	return "not run: something that it needs failed (told once for each stage)"
}

func firstLine(s string) string {
	line, _, more := strings.Cut(strings.TrimSpace(s), "\n")
	if more {
		line = strings.TrimSuffix(line, "; its last lines:")
	}
	return line
}

// seconds writes a time as people say it.
func seconds(s float64) string {
	d := time.Duration(s * float64(time.Second))
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return fmt.Sprintf("%.1fs", s)
	}
	return d.Round(time.Second).String()
}

// progressEvery is how often lines tell of a node that takes long.
const progressEvery = 10 * time.Second

// lines is the display for logs and pipes: a line for each node that ends, and now and then one for those that run.
type lines struct {
	tally
	out  io.Writer
	told map[int]time.Time // when each running node was last heard of
}

func (l *lines) event(e engine.Event) {
	if l.add(e) {
		delete(l.told, e.Node)
		if e.Kind == engine.NodeBlocked && !l.first(e.Stage) {
			return
		}
		fmt.Fprintf(l.out, "[%d/%d] %s %s\n", l.ended, l.total, e.Name, l.outcome(e))
		return
	}
	switch e.Kind {
	case engine.NodeStarted:
		l.told[e.Node] = e.Time
	case engine.NodeProgress:
		if e.Time.Sub(l.told[e.Node]) >= progressEvery {
			l.told[e.Node] = e.Time
			fmt.Fprintf(l.out, "        %s %d of %d %s\n", e.Name, e.Done, e.Total, e.Unit)
		}
	case engine.NodeRetry:
		fmt.Fprintf(l.out, "        %s failed, once more: %s\n", e.Name, firstLine(e.Error))
	case engine.NodeNote:
		fmt.Fprintf(l.out, "        %s %s\n", e.Name, e.Text)
	}
}

func (*lines) close() {}

// bars is the display for a terminal: one bar for the run, one for each node that runs.
type bars struct {
	tally
	progress *mpb.Progress
	whole    *bar
	nodes    map[int]*bar
}

// newBars draws on w, which shows on the terminal of fd.
func newBars(w io.Writer, fd int) *bars {
	console := cupwriter.New(fromMargin{w}, false)
	console.SetTermFd(fd)
	p := mpb.New(mpb.WithConsoleWriter(console), mpb.WithWidth(40), mpb.WithAutoRefresh(), mpb.WithRefreshRate(120*time.Millisecond))
	return &bars{progress: p, nodes: map[int]*bar{}}
}

// fromMargin starts each write at the left margin: a terminal that echoes ^C has moved the cursor.
type fromMargin struct{ io.Writer }

func (m fromMargin) Write(p []byte) (int, error) {
	n, err := m.Writer.Write(append([]byte{'\r'}, p...))
	return max(n-1, 0), err
}

func (b *bars) event(e engine.Event) {
	if b.add(e) {
		b.end(e)
	}
	switch e.Kind {
	case engine.RunStarted:
		b.whole = b.bar("all", int64(b.total), mpb.BarPriority(1<<30))
		b.whole.setUnit("nodes")
	case engine.NodeStarted:
		b.nodes[e.Node] = b.bar(e.Name, 0, mpb.BarRemoveOnComplete())
	case engine.NodeProgress:
		if bar := b.nodes[e.Node]; bar != nil {
			bar.setUnit(e.Unit)
			bar.SetTotal(int64(e.Total), false)
			bar.begin(e.Done)
			bar.SetCurrent(int64(min(e.Done, e.Total-1))) // it completes when the node ends
		}
	case engine.NodeRetry:
		fmt.Fprintf(b.progress, "%s failed, once more: %s\n", e.Name, firstLine(e.Error))
	case engine.NodeNote:
		fmt.Fprintf(b.progress, "%s %s\n", e.Name, e.Text)
	}
}

// end takes the bar of a node away and leaves a line above the bars.
func (b *bars) end(e engine.Event) {
	if bar := b.nodes[e.Node]; bar != nil {
		bar.Abort(true)
		delete(b.nodes, e.Node)
	}
	if e.Kind == engine.NodeDone || e.Kind == engine.NodeFailed {
		fmt.Fprintf(b.progress, "%s %s\n", e.Name, b.outcome(e))
	}
	if b.whole != nil {
		b.whole.SetTotal(int64(b.total), false)
		b.whole.SetCurrent(int64(b.ended))
	}
}

func (b *bars) close() {
	for _, bar := range b.nodes {
		bar.Abort(true)
	}
	if b.whole != nil {
		b.whole.Abort(true)
	}
	b.progress.Wait()
}

// A bar is one line of bars: how much of what is done, for how long, and how long it may still take.
type bar struct {
	*mpb.Bar
	started time.Time
	begun   atomic.Pointer[beginning] // nil: how long it takes cannot be told from what is done
	unit    atomic.Pointer[string]    // the bars' own goroutine reads it
}

func (b *bars) bar(name string, total int64, options ...mpb.BarOption) *bar {
	one := &bar{started: time.Now()}
	one.Bar = b.progress.AddBar(total, append(options,
		mpb.PrependDecorators(decor.Name(runewidth.Truncate(name, 44, "…"), decor.WCSyncSpaceR)),
		mpb.AppendDecorators(decor.Any(one.counts, decor.WCSyncSpace), decor.Any(one.times, decor.WCSyncSpace)))...)
	return one
}

// A beginning is when the first progress was reported, and how much was done by then: of an earlier run, perhaps.
type beginning struct {
	at   time.Time
	done int64
}

// begin notes the first progress.
func (b *bar) begin(done int) { b.begun.CompareAndSwap(nil, &beginning{time.Now(), int64(done)}) }

func (b *bar) setUnit(unit string) { b.unit.Store(&unit) }

func (b *bar) counts(s decor.Statistics) string {
	unit := b.unit.Load()
	if s.Total <= 0 || unit == nil {
		return ""
	}
	return fmt.Sprintf("%d/%d %s", s.Current, s.Total, *unit)
}

func (b *bar) times(s decor.Statistics) string {
	passed := time.Since(b.started)
	text := passed.Round(time.Second).String()
	begun := b.begun.Load()
	if begun == nil || s.Current <= begun.done || s.Current >= s.Total {
		return text
	}
	left := time.Duration(float64(time.Since(begun.at)) * float64(s.Total-s.Current) / float64(s.Current-begun.done))
	return text + ", about " + left.Round(time.Second).String() + " left"
}

// plural counts a noun.
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return humanize.Comma(int64(n)) + " " + noun + "s"
}
