package kernels

import (
	"time"

	"golang.org/x/sys/unix"
)

// cpuTime is the time that this process has had of all cores: what other processes take does not count.
func cpuTime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t); err != nil {
		panic(err)
	}
	return time.Duration(t.Nano())
}
