package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"regft/cache"
	"regft/engine"
)

// An answer is what a run with nothing to do has said.
type answer struct {
	Out  string `json:"out"`  // on standard output; with --json it is an event, which has a time
	Err  string `json:"err"`  // on standard error
	Hits int    `json:"hits"` // nodes
	Run  string `json:"run"`  // the folder of the run that was shown
}

// A witness is the app of a run that remembers what it says, for the next one with the same command line.
type witness struct {
	app
	said, warned bytes.Buffer
	asJSON       bool
	program      string        // the path of this one: another version may mean other stages
	request      string        // all on the command line, and around it, that the answer may depend on
	tracer       *cache.Tracer // nil: nothing is remembered
}

// witness begins to remember a run of everything.
func (a *app) witness(spec string, o runOptions) (*witness, error) {
	w := &witness{app: *a, asJSON: o.asJSON}
	if o.only != "" || o.force != nil {
		return w, nil
	}
	store, err := openStore()
	if err != nil {
		return w, nil //nolint:nilerr // it is told after the mistakes of the spec
	}
	here, err := os.Getwd()
	if err != nil {
		return nil, fmt.Errorf("finding the current folder: %w", err)
	}
	if w.program, err = os.Executable(); err != nil {
		return w, nil //nolint:nilerr // nothing is remembered of a program that is not known
	}
	request, err := json.Marshal([]any{"run", w.program, here, runsFolder, spec, o.sets, o.asJSON, a.colour, a.colourErr, os.Getenv("GITHUB_ACTIONS")})
	if err != nil {
		return nil, err
	}
	w.request, w.tracer = string(request), store.NewTracer()
	w.app.out, w.app.err = io.MultiWriter(a.out, &w.said), io.MultiWriter(a.err, &w.warned)
	return w, nil
}

// recall repeats the answer of the last such run, if nothing that it rests on has changed.
func (w *witness) recall() (done bool, err error) {
	if w.tracer == nil {
		return false, nil
	}
	text, ok := w.tracer.Recall(w.request)
	var told answer
	if !ok || json.Unmarshal(text, &told) != nil {
		return false, nil
	}
	if err := engine.PointLatest(runsFolder, told.Run); err != nil {
		return true, exitError{exitUnavailable, err}
	}
	if w.asJSON {
		w.endAtOnce(told.Hits)
	}
	_, _ = io.WriteString(w.app.err, told.Err) // a reader that went away stops nothing
	_, err = io.WriteString(w.app.out, told.Out)
	return true, err
}

// endAtOnce is the event of a run that had nothing to do.
func (a *app) endAtOnce(hits int) {
	a.newDisplay(true).event(engine.Event{Time: time.Now().UTC(), Kind: engine.RunEnded, Node: -1, Summary: &engine.Summary{Hits: hits}})
}

// remember keeps what was said of p, a run with nothing to do, and what that rests on. Where that fails, the next run
// takes longer.
func (w *witness) remember(ctx context.Context, p *engine.Plan, last *engine.Past) {
	if w.tracer == nil {
		return
	}
	last.Trace(w.tracer, false)
	w.tracer.File(filepath.Join(last.Dir, reportFile))
	w.save(ctx, p, answer{Out: w.said.String(), Err: w.warned.String(), Run: last.Dir})
}

// rememberRun keeps what the next run will say of p, which ran and left nothing to do. warned is what was said of it
// before it ran.
func (w *witness) rememberRun(ctx context.Context, p *engine.Plan, past *engine.Past, warned string) {
	if w.tracer == nil {
		return
	}
	settled, err := p.Settled(ctx)
	if err != nil || !settled {
		return // the next run finds out
	}
	var said, also bytes.Buffer
	next := w.app
	next.out, next.err = &said, &also
	if err := next.nothingToDo(p, past, false); err != nil {
		return
	}
	past.Trace(w.tracer, true)
	w.tracer.Own(filepath.Join(past.Dir, reportFile))
	w.save(ctx, p, answer{Out: said.String(), Err: warned + also.String(), Run: past.Dir})
}

// save keeps an answer about p.
func (w *witness) save(ctx context.Context, p *engine.Plan, told answer) {
	w.tracer.File(w.program)
	told.Hits = p.Counts().Total().Hit
	if w.asJSON {
		told.Out = ""
	}
	text, err := json.Marshal(told)
	if err == nil {
		err = p.Trace(w.tracer)
	}
	if err == nil {
		err = w.tracer.Save(ctx, w.request, text)
	}
	if err != nil {
		log := w.logger(w.app.err)
		log.Info().Err(err).Msg("the next run takes longer")
	}
}
