package engine

import (
	"runtime"

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
	given := n.Stage().Resources
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
