package engine

import "fmt"

// goneProducers are those of a job whose content is no longer whole: something removed it after it was planned, or a
// reader found it damaged and the store set it aside.
func (s *scheduler) goneProducers(j *job) []*Node {
	var gone []*Node
	seen := map[*Node]bool{}
	for _, from := range j.takes {
		for _, t := range from {
			if t.result == nil || seen[t.node] {
				continue
			}
			seen[t.node] = true
			if whole, err := complete(s.ctx, s.plan.store, t.result); err == nil && !whole {
				gone = append(gone, t.node)
			}
		}
	}
	return gone
}

// mend runs producers once more for the content that j found gone, and lets j wait for them.
func (s *scheduler) mend(j *job, gone []*Node) {
	j.mended, j.missing = true, len(gone)
	for _, p := range gone {
		s.mending[p] = append(s.mending[p], j)
		if len(s.mending[p]) > 1 {
			continue
		}
		s.emitNode(p, Event{Kind: NodeNote, Text: "its content is gone or was damaged: it runs once more"})
		again := newJob(p)
		again.mends, again.keep, again.forced, again.old = true, true, false, p.Result
		s.enqueue(again)
	}
}

// endMending lets go on who waited for n's content, or fails them.
func (s *scheduler) endMending(n *Node, err error) {
	jobs := s.mending[n]
	delete(s.mending, n)
	if err != nil {
		s.summary.Failed++
		s.emitNode(n, Event{Kind: NodeFailed, Error: err.Error(), Log: s.logOf(n)})
	}
	for _, j := range jobs {
		if err != nil {
			s.failOnce(j, fmt.Errorf("the content of %s is gone, and making it again failed", n.Name()))
			continue
		}
		if j.missing--; j.missing == 0 {
			j.take()
			s.lookUp(j)
		}
	}
}

// failOnce fails a job that waits for several producers, of which more may fail.
func (s *scheduler) failOnce(j *job, err error) {
	j.missing = 0
	if j.node.State == Failed {
		return
	}
	s.failJob(j, err)
}
