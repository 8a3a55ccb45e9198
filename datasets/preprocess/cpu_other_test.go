//go:build !unix

package preprocess

import (
	"testing"
	"time"
)

var begun = time.Now()

// cpuTime is time by the clock where the system tells no other.
func cpuTime(testing.TB) time.Duration { return time.Since(begun) }
