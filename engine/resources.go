package engine

import (
	"runtime"
	"slices"
	"time"

	"regft/specs"
	"regft/stages"
)

// defaultMemory is what a machine counts as having where its memory is not known: 8 GiB.
const defaultMemory = 8 << 30

// ThisMachine is what this machine has: cores as the Go runtime may use them, and its memory. It counts no GPUs; no
// backend of this version has any.
func ThisMachine() stages.Resources {
	memory := totalMemory()
	if memory == 0 {
		memory = defaultMemory
	}
	return stages.Resources{Cores: runtime.GOMAXPROCS(0), Memory: memory}
}

// needs is what n takes while it runs: the spec's resources where given, else the stage's own estimate, else a core.
// More cores or memory than the machine has means all of it: the node then runs alone.
func (n *Node) needs(r stages.Runner, machine stages.Resources) stages.Resources {
	var want stages.Resources
	if s, ok := r.(stages.Sizer); ok {
		want = s.Needs()
	}
	given := n.resources()
	if given.Cores > 0 {
		want.Cores = given.Cores
	}
	if given.Memory > 0 {
		want.Memory = given.Memory
	}
	if given.GPUs > 0 {
		want.GPUs = given.GPUs
	}
	want.Cores = min(max(want.Cores, 1), machine.Cores)
	want.Memory = min(want.Memory, machine.Memory)
	return want
}

// stages are those of n's instances that something needs, each once: where several ask for the same work, it is granted
// what the most generous of them gives.
func (n *Node) stages() []*specs.Stage {
	var out []*specs.Stage
	for _, u := range n.users {
		if (u.needed || len(n.users) == 1) && !slices.Contains(out, u.Stage) {
			out = append(out, u.Stage)
		}
	}
	return out
}

// resources are the most of each that one of n's stages gives.
func (n *Node) resources() stages.Resources {
	var most stages.Resources
	for _, s := range n.stages() {
		r := s.Resources
		most = stages.Resources{Cores: max(most.Cores, r.Cores), Memory: max(most.Memory, r.Memory), GPUs: max(most.GPUs, r.GPUs)}
	}
	return most
}

// timeout is the longest that one of n's stages gives; 0 where one of them gives none.
func (n *Node) timeout() time.Duration {
	var longest time.Duration
	for _, s := range n.stages() {
		if s.Timeout == 0 {
			return 0
		}
		longest = max(longest, s.Timeout)
	}
	return longest
}

// mostAttempts is how often a node is tried that always asks for one more.
const mostAttempts = 1000

// retries says whether n, which has failed so often, runs once more: whether one of its stages says so.
func (n *Node) retries(failure error, attempt int) (bool, error) {
	for _, s := range n.stages() {
		again := attempt <= s.Retry
		if s.RetryWhen != nil && attempt < mostAttempts {
			var err error
			if again, err = s.RetryWhen(failure.Error(), attempt); err != nil {
				return false, err
			}
		}
		if again {
			return true, nil
		}
	}
	return false, nil
}

// pool is what is left of a machine.
type pool struct {
	free    stages.Resources
	jobs    int // that may still start
	running int
}

// take takes want, if it is there.
func (p *pool) take(want stages.Resources) bool {
	if p.jobs == 0 || want.Cores > p.free.Cores || want.Memory > p.free.Memory || want.GPUs > p.free.GPUs {
		return false
	}
	p.add(want, -1)
	return true
}

// full says that nothing fits: every job takes a core.
func (p *pool) full() bool { return p.jobs == 0 || p.free.Cores == 0 }

// give gives back what was taken.
func (p *pool) give(had stages.Resources) { p.add(had, 1) }

func (p *pool) add(r stages.Resources, sign int) {
	p.free.Cores += sign * r.Cores
	p.free.Memory += int64(sign) * r.Memory
	p.free.GPUs += sign * r.GPUs
	p.jobs += sign
	p.running -= sign
}
