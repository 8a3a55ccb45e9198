package main

import (
	"fmt"
	"io"
	"sync"
	"time"

	"regft/cache/remote"
)

// A transfer tells how far a push or a pull is: on a terminal in one line that is written over, elsewhere in a line
// every progressEvery. Its methods may be called at once.
type transfer struct {
	out      io.Writer
	terminal bool
	clock    func() time.Time

	mu    sync.Mutex
	last  time.Time // when it last told
	drawn bool      // a line is on the terminal
}

func (a *app) newTransfer() *transfer {
	return &transfer{out: a.err, terminal: a.terminal, clock: time.Now, last: time.Now()}
}

func (t *transfer) pushed(p remote.Pushed) { t.tell("pushed %s", pushedText(p)) }

// pulled gives what tells of a pull of so many results.
func (t *transfer) pulled(total int) func(remote.Pulled) {
	return func(p remote.Pulled) { t.tell("pulled %d of %s", p.Results+len(p.Lacking), plural(total, "result")) }
}

func (t *transfer) tell(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	every := progressEvery
	if t.terminal {
		every = time.Second / 5
	}
	now := t.clock()
	if now.Sub(t.last) < every {
		return
	}
	t.last = now
	text := fmt.Sprintf(format, args...)
	if !t.terminal {
		fmt.Fprintln(t.out, text)
		return
	}
	fmt.Fprintf(t.out, "\r\x1b[K%s", text)
	t.drawn = true
}

// close takes the line off the terminal.
func (t *transfer) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.drawn {
		fmt.Fprint(t.out, "\r\x1b[K")
		t.drawn = false
	}
}
