package engine

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"regft/cache"
	"regft/stages"
)

// An Executor runs nodes.
type Executor interface {
	// Do runs a task to its result, whose content it puts into the store; the record is the caller's to put. It
	// returns soon after ctx ends, with an error.
	Do(ctx context.Context, t Task) (*cache.Result, error)
}

// RunOptions say how to run a plan.
type RunOptions struct {
	Jobs     int              // nodes side by side; 0: as many as the machine has room for
	FailFast bool             // the first failure stops everything
	Machine  stages.Resources // that nodes share; zero: ThisMachine
	LogDir   string           // the run's folder: logs are written below it; "": nowhere
}

// Run executes p, and reports what happens to events, one at a time. A node that fails does not stop the others; its
// error, like everything else, is an event and counted in the summary. Run's own error says why nothing ran, or that
// ctx ended: what had finished by then stays.
func Run(ctx context.Context, p *Plan, x Executor, o RunOptions, events func(Event)) (*Summary, error) {
	if err := told(p.unrunnable()); err != nil {
		return nil, err
	}
	endJournal, err := p.store.OpenJournal()
	if err != nil {
		return nil, err
	}
	defer func() { _ = endJournal() }() // all results in it were waited for
	s := newScheduler(ctx, p, x, o, events)
	defer s.cancel()
	counts := p.Counts()
	s.emit(Event{Kind: RunStarted, Node: -1, Counts: &counts})
	s.reportFound()
	s.loop()
	s.summary.Seconds = time.Since(s.started).Seconds()
	s.summary.Interrupted = ctx.Err() != nil
	s.finish()
	summary := s.summary
	s.emit(Event{Kind: RunEnded, Node: -1, Summary: &summary})
	return &summary, ctx.Err()
}

// Runnable says what of p cannot run at all on this machine: files that are missing for what the run is for, what is
// not built yet, and GPUs that are not there.
func (p *Plan) Runnable() error {
	problems := p.unrunnable()
	for _, n := range p.Nodes {
		if !n.willRun() {
			continue
		}
		if want, has := n.resources().GPUs, ThisMachine().GPUs; want > has {
			problems = append(problems, fmt.Sprintf("%s: stage %s asks for GPUs (resources.gpus: %d), and stages run here on %d: leave gpus out to run it on processor cores", n.Stage().Place, n.Stage().Name, want, has))
		}
	}
	return told(problems)
}

// unrunnable is what of p can run on no machine.
func (p *Plan) unrunnable() []string {
	problems := p.missingFiles()
	for _, n := range p.Nodes {
		if pending, ok := n.runner.(stages.Pending); ok && n.willRun() && pending.NotBuilt() != "" {
			problems = append(problems, fmt.Sprintf("%s: %s: %s is not built yet", n.Stage().Place, n.Name(), pending.NotBuilt()))
		}
	}
	return problems
}

// told is problems as one error, each once; nil where there are none.
func told(problems []string) error {
	if len(problems) == 0 {
		return nil
	}
	slices.Sort(problems)
	return errors.New(strings.Join(slices.Compact(problems), "\n"))
}

// missingFiles lists the files without which what the run is for is unknown or blocked.
func (p *Plan) missingFiles() []string {
	var missing []string
	reached := make([]bool, len(p.Nodes))
	for _, n := range slices.Backward(p.Nodes) {
		if n.State != Unknown && n.State != Blocked || !reached[n.Index] && !slices.ContainsFunc(n.users, use.wantedItself) {
			continue
		}
		if n.State == Unknown {
			missing = append(missing, n.sources.problems()...)
		}
		for _, producer := range n.producers {
			reached[producer.Index] = true
		}
	}
	return missing
}

// scheduler runs a plan. All its state belongs to the goroutine of loop; workers send messages.
type scheduler struct {
	plan     *Plan
	executor Executor
	options  RunOptions
	ctx      context.Context
	cancel   context.CancelFunc

	waiting  map[*Node]int     // scheduled nodes: those they take that have not ended; -1: it has ended
	spared   map[[2]*Node]bool // takers and what conditions left out of their lists: not waited for
	demand   *demand
	parked   map[*Node]bool // that nothing asks for yet, or nobody wants: a condition is open
	ready    nodeHeap       // to be looked up
	queue    []*job         // not found: waiting for resources
	pool     pool
	machine  stages.Resources
	messages chan message
	inFlight int
	looking  int
	mending  map[*Node][]*job // producers that run once more, and who waits for them
	summary  Summary
	started  time.Time

	mu     sync.Mutex
	events func(Event) // nil once the run has ended
}

// maxLooking bounds the lookups at a time.
const maxLooking = 8

func newScheduler(ctx context.Context, p *Plan, x Executor, o RunOptions, events func(Event)) *scheduler {
	s := &scheduler{plan: p, executor: x, options: o, machine: o.Machine, events: events,
		waiting: map[*Node]int{}, spared: map[[2]*Node]bool{}, parked: map[*Node]bool{}, mending: map[*Node][]*job{}, messages: make(chan message), started: time.Now()}
	s.ctx, s.cancel = context.WithCancel(ctx)
	if s.machine.Cores == 0 {
		s.machine = ThisMachine()
	}
	s.pool = pool{free: s.machine, jobs: o.Jobs}
	if o.Jobs <= 0 {
		s.pool.jobs = math.MaxInt
	}
	p.reopen(func(n *Node) { s.waiting[n] = 0 })
	for n := range s.waiting {
		for _, producer := range n.takes {
			if _, scheduled := s.waiting[producer]; scheduled {
				s.waiting[n]++
			}
		}
		if s.waiting[n] == 0 {
			s.ready = append(s.ready, n)
		}
	}
	heap.Init(&s.ready)
	s.startDemand()
	return s
}

// startDemand asks for what the run is for, and lets begin what comes to be asked for.
func (s *scheduler) startDemand() {
	s.demand = newDemand(s.plan, func(n *Node) bool {
		left, scheduled := s.waiting[n]
		return scheduled && left >= 0
	})
	if s.demand == nil {
		return
	}
	s.demand.needed = s.unpark
	s.demand.stopped = s.drop
	s.demand.spared = s.spare
	s.demand.start()
}

// unpark looks at a parked node again.
func (s *scheduler) unpark(n *Node) {
	if s.parked[n] {
		delete(s.parked, n)
		heap.Push(&s.ready, n)
	}
}

// drop passes n before what it takes has ended, if no instance can come to want it.
func (s *scheduler) drop(n *Node) {
	s.plan.judgeUsers([]*Node{n})
	if n.wanted() || n.open() {
		return
	}
	if s.waiting[n] > 0 {
		s.waiting[n] = 0
		heap.Push(&s.ready, n)
	}
	s.unpark(n)
}

// spare lets a taker not wait for what conditions left out of its lists.
func (s *scheduler) spare(taker, from *Node) {
	if pair := [2]*Node{taker, from}; !s.spared[pair] {
		s.spared[pair] = true
		s.arrived(taker)
	}
}

// arrived counts one of what n takes.
func (s *scheduler) arrived(n *Node) {
	if s.waiting[n] > 0 {
		if s.waiting[n]--; s.waiting[n] == 0 {
			heap.Push(&s.ready, n)
		}
	}
}

func (s *scheduler) emit(e Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.events == nil {
		return // of a stage that did not stop in time
	}
	e.Time = time.Now().UTC()
	s.events(e)
	if e.Kind == RunEnded {
		s.events = nil
	}
}

func (s *scheduler) emitNode(n *Node, e Event) {
	e.Node, e.Name, e.Stage = n.Index, n.Name(), n.Stage().Name
	s.emit(e)
}

// reportFound counts what the plan decided, and reports the instances that fail though nothing of them runs.
func (s *scheduler) reportFound() {
	for _, n := range s.plan.Nodes {
		if _, scheduled := s.waiting[n]; scheduled || !n.needed() {
			continue
		}
		switch n.State {
		case Hit:
			s.summary.Hits++
		case Blocked:
			if !n.failedItself() {
				s.summary.Blocked++
			}
		case Skipped:
			s.summary.Skipped++
		}
	}
	for _, i := range s.plan.order {
		s.reportProblem(i)
	}
}

// reportProblem reports an instance whose own condition made it fail.
func (s *scheduler) reportProblem(i *instance) {
	if i.fate == failed && i.problem != "" && i.needed && !i.reported {
		i.reported = true
		s.summary.Failed++
		s.emit(Event{Kind: NodeFailed, Node: -1, Name: i.Address(), Stage: i.Stage.Name, Error: i.problem})
	}
}

// failedItself says that a condition of n's own instance failed, not something that it needs.
func (n *Node) failedItself() bool {
	return slices.ContainsFunc(n.users, func(u use) bool { return u.part().fate == failed })
}

func (n *Node) needed() bool {
	return slices.ContainsFunc(n.users, func(u use) bool { return u.needed })
}

// finish decides the instances that are left, and counts the nodes that are.
func (s *scheduler) finish() {
	s.plan.round++
	for _, i := range s.plan.order {
		s.plan.judge(i)
		s.reportProblem(i)
	}
	for n, left := range s.waiting {
		if left >= 0 && n.willRun() {
			s.summary.Unfinished++
		}
	}
}

// loop runs until nothing is left that can.
func (s *scheduler) loop() {
	for {
		s.dispatch()
		if s.inFlight == 0 && len(s.parked) > 0 && s.ctx.Err() == nil {
			s.passParked()
			continue
		}
		if s.inFlight == 0 {
			return
		}
		m := <-s.messages
		s.inFlight--
		s.handle(m)
	}
}

// dispatch starts what can start.
func (s *scheduler) dispatch() {
	if s.ctx.Err() != nil {
		s.releaseQueue()
		return
	}
	for len(s.ready) > 0 && s.looking < maxLooking {
		s.begin(heap.Pop(&s.ready).(*Node))
	}
	for _, j := range s.admitted() {
		j.cores = max(j.need.Cores, s.machine.Cores/max(s.pool.running, 1))
		s.start(func() message { return s.execute(j) })
	}
}

func (s *scheduler) start(work func() message) {
	s.inFlight++
	go func() { s.messages <- work() }()
}

// releaseQueue gives up what a stopped run holds.
func (s *scheduler) releaseQueue() {
	for _, j := range s.queue {
		j.release()
	}
	s.queue = nil
}

// begin decides whether a node whose producers have ended runs.
func (s *scheduler) begin(n *Node) {
	s.plan.judgeUsers([]*Node{n})
	switch {
	case n.wanted() && s.demand.has(n):
		s.lookUp(newJob(n))
	case n.wanted() || n.open():
		s.parked[n] = true
	default:
		s.pass(n)
	}
}

// passParked passes the nodes that nothing came to ask for, and those of which no instance came to want them: what their
// conditions read is not run for.
func (s *scheduler) passParked() {
	nodes := slices.SortedFunc(maps.Keys(s.parked), func(a, b *Node) int { return a.Index - b.Index })
	for _, n := range nodes {
		if s.parked[n] { // and not woken by one before it
			delete(s.parked, n)
			s.pass(n)
		}
	}
}

// lookUp starts to look for a job's result.
func (s *scheduler) lookUp(j *job) {
	if !j.node.setKey(j.work) {
		s.failJob(j, fmt.Errorf("%s takes an output that its producer did not give", j.node.Name()))
		return
	}
	s.looking++
	s.start(func() message { return s.look(j) })
}

// pass ends a node that nobody wants, or asks for.
func (s *scheduler) pass(n *Node) {
	n.found = false
	n.State = n.idleState()
	switch {
	case n.failedItself():
		n.State = Failed // end reports it
	case n.State == Blocked:
		s.summary.Blocked++
		s.emitNode(n, Event{Kind: NodeBlocked})
	case n.State == Idle:
		s.emitNode(n, Event{Kind: NodeIdle})
	default:
		s.summary.Skipped++
		s.emitNode(n, Event{Kind: NodeSkipped})
	}
	s.end(n)
}

// end releases what waited for n.
func (s *scheduler) end(n *Node) {
	s.waiting[n] = -1
	s.plan.ended(n)
	for _, u := range n.users {
		s.reportProblem(u.instance)
	}
	s.demand.ended(n)
	for _, c := range n.consumers {
		s.unpark(c)
	}
	for _, c := range n.takers {
		if !s.spared[[2]*Node{c, n}] {
			s.arrived(c)
		}
	}
}

// fail ends a node with an error.
func (s *scheduler) fail(n *Node, err error) {
	n.State = Failed // end hands it on
	s.summary.Failed++
	s.emitNode(n, Event{Kind: NodeFailed, Error: err.Error(), Log: s.logOf(n)})
	s.end(n)
	if s.options.FailFast {
		s.cancel()
	}
}

func (s *scheduler) logOf(n *Node) string {
	if s.options.LogDir == "" {
		return ""
	}
	return logPath(n)
}

// nodeHeap gives the first node of the plan first.
type nodeHeap []*Node

func (h nodeHeap) Len() int           { return len(h) }
func (h nodeHeap) Less(i, j int) bool { return h[i].Index < h[j].Index }
func (h nodeHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *nodeHeap) Push(x any)        { *h = append(*h, x.(*Node)) }
func (h *nodeHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}
