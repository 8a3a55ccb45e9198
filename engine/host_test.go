package engine

import (
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// TestProgressCountsAllThatIsDone reports a batch at once, of which the first alone is in time: the last counts too.
func TestProgressCountsAllThatIsDone(t *testing.T) {
	var mu sync.Mutex
	var done []int
	h := &host{task: Task{Report: func(e Event) { mu.Lock(); defer mu.Unlock(); done = append(done, e.Done) }}}
	for n := range 16 {
		h.Progress(n+1, 36, "pictures")
	}
	time.Sleep(3 * progressPause)
	h.release()
	mu.Lock()
	defer mu.Unlock()
	if len(done) != 2 || done[0] != 1 || done[1] != 16 {
		t.Errorf("reported %v, want [1 16]", done)
	}
}

func TestWarningsOfStagesAreEvents(t *testing.T) {
	var got []Event
	h := &host{task: Task{Report: func(e Event) { got = append(got, e) }}}
	log := zerolog.Nop().Hook(h).Level(zerolog.InfoLevel)
	log.Info().Msg("fine")
	log.Warn().Msg("warm-up outlasts training")
	if len(got) != 1 || got[0].Kind != NodeWarning || got[0].Text != "warm-up outlasts training" {
		t.Errorf("%v", got)
	}
}
