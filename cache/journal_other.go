//go:build !linux

package cache

import "os"

// Without these there is no journal: every entry is waited for.
func bootID() string { return "" }

func syncData(f *os.File) error { return f.Sync() }

func syncFileSystem(string) error { return nil }
