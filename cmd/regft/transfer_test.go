package main

import (
	"bytes"
	"testing"
	"time"

	"regft/cache/remote"
)

func TestTransferTellsNowAndThen(t *testing.T) {
	for _, c := range []struct {
		name     string
		terminal bool
		step     time.Duration
		want     string
	}{
		{"in a pipe", false, 6 * time.Second, "pulled 2 of 4 results\npulled 4 of 4 results\n"},
		{"on a terminal", true, 150 * time.Millisecond, "\r\x1b[Kpulled 2 of 4 results\r\x1b[Kpulled 4 of 4 results\r\x1b[K"},
		{"soon done", true, time.Millisecond, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			now := time.Unix(0, 0)
			x := &transfer{out: &out, terminal: c.terminal, clock: func() time.Time { return now }, last: now}
			tell := x.pulled(4)
			for k := range 4 {
				now = now.Add(c.step)
				tell(remote.Pulled{Results: k + 1})
			}
			x.close()
			if got := out.String(); got != c.want {
				t.Errorf("told %q, want %q", got, c.want)
			}
		})
	}
}
