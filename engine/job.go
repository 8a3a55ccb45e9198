package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"regft/cache"
	"regft/stages"
)

// A job is a scheduled node on its way: looked up, waiting for resources, running.
type job struct {
	node    *Node
	work    work
	need    stages.Resources
	cores   int
	forced  bool
	keep    bool          // the content is needed, not only the record
	old     *cache.Result // the record that it may replace
	takes   [][]taken     // for each input of work
	partial string        // text of the key of partial work on them
	unlock  func() error  // of the action; nil where the lock is not held
	passed  int           // jobs that started before it though they came later

	mends   bool // it runs once more, for content that others found gone
	mended  bool // what it takes ran once more
	missing int  // producers that run once more for it
}

// taken is what one producer gave, when the job was made.
type taken struct {
	node   *Node
	result *cache.Result
}

// newJob makes the job of n, whose inputs are decided.
func newJob(n *Node) *job {
	j := &job{node: n, work: n.work(), old: n.before, forced: n.Reason == forcedReason}
	j.keep = n.Reason == goneReason || slices.ContainsFunc(n.takers, (*Node).willRun)
	j.take()
	return j
}

// take notes what the producers gave. One that runs once more while j runs may give something else.
func (j *job) take() {
	j.partial = j.node.partialText(j.work)
	j.takes = make([][]taken, len(j.work.inputs))
	for i, in := range j.work.inputs {
		if in.from == nil {
			continue
		}
		for _, pt := range in.from.parts {
			if pt.fate != lost {
				j.takes[i] = append(j.takes[i], taken{pt.node, pt.node.Result})
			}
		}
	}
}

func (j *job) release() {
	if j.unlock != nil {
		_ = j.unlock() // the kernel does it otherwise, when the process ends
		j.unlock = nil
	}
}

// A message is what a worker tells the scheduler.
type message struct {
	job    *job
	kind   messageKind
	result *cache.Result
	err    error
	gone   []*Node // of ran with err: producers whose content turned out to be gone
}

type messageKind uint8

const (
	looked   messageKind = iota // result, or nil: it must run
	busy                        // another process runs it
	locked                      // after busy: result, or nil: it did not get there, and the lock is ours
	ran                         // result or err
	recorded                    // after ran: result or err
	already                     // result: found once the lock was ours
)

// lockPatience is how long a job that has resources waits for another process that runs it. Then it gives them back,
// and waits without.
const lockPatience = 100 * time.Millisecond

// maxPassed is how many later jobs may start before one that waits for more room.
const maxPassed = 16

// admitted takes resources for the jobs that fit, in their order.
func (s *scheduler) admitted() []*job {
	var start, wait []*job
	k := 0
	for ; k < len(s.queue) && !s.pool.full(); k++ {
		j := s.queue[k]
		if s.pool.take(j.need) {
			for _, w := range wait {
				w.passed++
			}
			start = append(start, j)
			continue
		}
		wait = append(wait, j)
		if j.passed >= maxPassed {
			k++
			break
		}
	}
	s.queue = append(wait, s.queue[k:]...)
	return start
}

// handle takes a worker's message.
func (s *scheduler) handle(m message) {
	switch m.kind {
	case looked:
		s.looking--
	case ran, already, busy:
		s.pool.give(m.job.need)
	}
	switch {
	case m.err != nil && s.ctx.Err() != nil:
		m.job.release() // stopped: it is neither done nor failed
	case len(m.gone) > 0:
		m.job.release()
		s.mend(m.job, m.gone)
	case m.err != nil:
		m.job.release()
		s.failJob(m.job, m.err)
	case m.kind == busy:
		if owner, other := s.plan.store.LockOwner(m.job.node.Action); other {
			s.emitNode(m.job.node, Event{Kind: NodeElsewhere, Text: owner})
		}
		s.start(func() message { return s.awaitLock(m.job) })
	case m.result == nil:
		s.enqueue(m.job)
	case m.kind == ran:
		s.start(func() message { return s.recordRan(m) })
	default:
		m.job.release()
		s.succeed(m)
	}
}

func (s *scheduler) failJob(j *job, err error) {
	if j.mends {
		s.endMending(j.node, err)
		return
	}
	s.fail(j.node, err)
}

// enqueue lets j wait for resources, in plan order.
func (s *scheduler) enqueue(j *job) {
	j.need = j.node.needs(j.work.runner, s.machine)
	if j.need.GPUs > s.machine.GPUs {
		j.release()
		s.failJob(j, fmt.Errorf("it needs %d GPUs and this machine has %d", j.need.GPUs, s.machine.GPUs))
		return
	}
	k, _ := slices.BinarySearchFunc(s.queue, j, func(a, b *job) int { return cmp.Compare(a.node.Index, b.node.Index) })
	s.queue = slices.Insert(s.queue, k, j)
}

func (s *scheduler) succeed(m message) {
	n := m.job.node
	n.Result = m.result
	e := Event{Kind: NodeDone, Seconds: m.result.Seconds, Reused: m.result.Reused, Action: n.Action, Outputs: m.result.Outputs, Environment: m.result.Environment, Log: s.logOf(n)}
	if m.kind == recorded {
		n.State = Done
		s.summary.Executed++
		if differs(m.job.old, m.result) {
			s.emitNode(n, Event{Kind: NodeNote, Text: "it gave other bytes than its record held under the same key; the record is replaced"})
		}
	} else {
		if n.willRun() {
			s.summary.Spared++
		} else {
			s.summary.Hits++
		}
		n.State, e.Kind, e.Log = Hit, NodeHit, ""
		n.found = m.result.Created.Before(s.started)
	}
	s.emitNode(n, e)
	if m.job.mends {
		s.endMending(n, nil)
		return
	}
	s.end(n)
}

// differs says that a node gave other content under the same key.
func differs(old, now *cache.Result) bool {
	return old != nil && old.Action == now.Action && !maps.Equal(old.Outputs, now.Outputs)
}

// look finds the job's result, which an earlier run with other inputs, or another process, may have left.
func (s *scheduler) look(j *job) message {
	m := message{job: j, kind: looked}
	if !j.forced {
		m.result, m.err = s.find(j)
	}
	return m
}

// find gives the result that is recorded, nil where there is none that serves.
func (s *scheduler) find(j *job) (*cache.Result, error) {
	n, store := j.node, s.plan.store
	r, err := store.Result(s.ctx, n.Action)
	if err != nil {
		return nil, ignoreMiss(err)
	}
	if j.keep || s.plan.options.Only == nil && r.Remote == "" { // as a plan has it: nothing here stays without its content
		if whole, err := complete(s.ctx, store, r); !whole || err != nil {
			if j.old == nil {
				j.old = r
			}
			return nil, err
		}
	}
	return r, s.putRecipe(n)
}

// putRecipe records which action n's recipe stands for now.
func (s *scheduler) putRecipe(n *Node) error {
	if n.Action == n.Recipe.Action() {
		return nil
	}
	action, err := s.plan.store.Recipe(s.ctx, n.Recipe)
	if err == nil && action == n.Action {
		return nil
	}
	return s.plan.store.PutRecipe(s.ctx, n.Recipe, n.Action)
}

// awaitLock waits until another process has run the job, or given up.
func (s *scheduler) awaitLock(j *job) message {
	m := message{job: j, kind: locked}
	if j.unlock, m.err = s.plan.store.Lock(s.ctx, j.node.Action); m.err == nil && !j.forced {
		m.result, m.err = s.find(j)
	}
	return m
}

// execute runs a job that has resources, and records its result.
func (s *scheduler) execute(j *job) message {
	m := message{job: j, kind: ran}
	if j.unlock == nil {
		ctx, cancel := context.WithTimeout(s.ctx, lockPatience)
		defer cancel()
		j.unlock, m.err = s.plan.store.Lock(ctx, j.node.Action)
		if m.err != nil {
			if s.ctx.Err() == nil && errors.Is(m.err, context.DeadlineExceeded) {
				return message{job: j, kind: busy}
			}
			return m
		}
	}
	if !j.forced {
		if m.result, m.err = s.find(j); m.err != nil || m.result != nil {
			m.kind = already
			return m
		}
	}
	if m.result, m.err = s.attempts(j); errors.Is(m.err, cache.ErrMiss) && !j.mended {
		m.gone = s.goneProducers(j)
	}
	return m
}

// recordRan records what a job gave, while others have its resources.
func (s *scheduler) recordRan(m message) message {
	m.kind = recorded
	if m.err = s.record(m.job, m.result); m.err != nil {
		m.result = nil
	}
	return m
}

// record puts a result, and after it the recipe. The first record of a key stays, unless it was forced or its content
// came out otherwise. What has finished is not lost where the run is stopped.
func (s *scheduler) record(j *job, r *cache.Result) error {
	ctx := context.WithoutCancel(s.ctx)
	if j.forced || j.old == nil || j.old.Action != r.Action || differs(j.old, r) {
		if err := s.plan.store.PutResult(ctx, r); err != nil {
			return err
		}
	}
	if j.node.Action == j.node.Recipe.Action() {
		return nil
	}
	return s.plan.store.PutRecipe(ctx, j.node.Recipe, j.node.Action)
}

// attempts runs a job, again where the spec says retry.
func (s *scheduler) attempts(j *job) (*cache.Result, error) {
	t, err := s.task(j)
	if err != nil {
		return nil, err
	}
	s.emitNode(j.node, Event{Kind: NodeStarted, Reason: j.node.Reason, Log: s.logOf(j.node)})
	for attempt := 1; ; attempt++ {
		r, err := s.attempt(t)
		if err == nil || s.ctx.Err() != nil {
			return r, err
		}
		again, problem := j.node.retries(err, attempt)
		if problem != nil || !again {
			return nil, errors.Join(err, problem)
		}
		s.emitNode(j.node, Event{Kind: NodeRetry, Error: err.Error()})
	}
}

func (s *scheduler) attempt(t Task) (*cache.Result, error) {
	ctx := s.ctx
	if t.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, t.Timeout)
		defer cancel()
	}
	r, err := s.executor.Do(ctx, t)
	if err != nil && ctx.Err() != nil && s.ctx.Err() == nil {
		late := fmt.Errorf("it took longer than its timeout of %s", t.Timeout)
		if !errors.Is(err, context.DeadlineExceeded) {
			late = fmt.Errorf("%w: %w", late, err)
		}
		return nil, late
	}
	return r, err
}
