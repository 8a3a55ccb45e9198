package main

import (
	"os"
	"runtime"
	"runtime/debug"
)

// firstCollection is what the process may take, in bytes, before garbage is first collected. Commands that take less
// have ended by then, and of large plans next to nothing is garbage.
const firstCollection = 192 << 20

// deferCollection lets the first collection wait for firstCollection. After it everything is as usual, and as GOGC and
// GOMEMLIMIT say, which come first.
func deferCollection() {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	percent, limit := debug.SetGCPercent(-1), debug.SetMemoryLimit(firstCollection)
	runtime.AddCleanup(new([16]byte), func(struct{}) { // the first collection finds it unused
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(limit)
	}, struct{}{})
}
