//go:build !linux && !darwin

package engine

// totalMemory is this machine's, in bytes; 0 if it does not say.
func totalMemory() int64 { return 0 }
