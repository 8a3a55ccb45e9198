//go:build !linux

package kernels

import "time"

var start = time.Now()

// cpuTime is the time since the start: that of one core on a quiet machine.
func cpuTime() time.Duration { return time.Since(start) }
