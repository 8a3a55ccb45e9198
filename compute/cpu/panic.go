package cpu

import (
	"fmt"
	"runtime"
	"strings"
)

// A panicError is a panic of this package or of one that it calls, a mistake of the program, as an error.
type panicError struct {
	value any
	site  string // the function, file and line that panicked
}

func (e *panicError) Error() string {
	return fmt.Sprintf("mistake in the program, please report it: %v (%s)", e.value, e.site)
}

// newPanic is what recover gave as an error. It is to be called by the deferred function.
func newPanic(r any) error {
	if e, ok := r.(*panicError); ok {
		return e // of a loop
	}
	return &panicError{r, panicSite()}
}

// panicSite is the function that panicked: the first outside package runtime below the panic.
func panicSite() string {
	callers := make([]uintptr, 64)
	frames := runtime.CallersFrames(callers[:runtime.Callers(1, callers)])
	panicking := false
	for {
		f, more := frames.Next()
		switch {
		case f.Function == "runtime.gopanic":
			panicking = true
		case panicking && !strings.HasPrefix(f.Function, "runtime."):
			return fmt.Sprintf("%s, %s:%d", f.Function, f.File, f.Line)
		}
		if !more {
			return "unknown place"
		}
	}
}

// caught turns a panic into an error. It is to be deferred.
func caught(err *error) {
	if r := recover(); r != nil {
		*err = newPanic(r)
	}
}
