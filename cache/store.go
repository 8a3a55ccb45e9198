// Package cache keeps content by its digest, and what actions gave by their keys.
//
// The one invariant: a store never gives wrong data. Whatever happened to its
// files, an answer is either what was put, checked again as it is read, or a
// miss that says why. Losing an entry costs the time to make it again.
package cache

import (
	"context"
	"errors"
	"io"
)

// Store holds content by digest, results by action, and which action a recipe
// last stood for. Implementations are safe for use by many goroutines and by
// many processes, and pass storetest.Run.
//
// Lookups of entries that are absent, or damaged, give an error that is ErrMiss
// (errors.Is) and a *MissError with the reason (errors.As). Any other error
// means that the store could not be asked.
type Store interface {
	// Has tells whether content is there, without reading it.
	Has(ctx context.Context, digest Digest) (bool, error)
	// Open gives content and its size in bytes. It is checked as it is read:
	// only when Read has returned io.EOF was all of it right; damaged content
	// ends in a miss instead. The caller closes the reader.
	Open(ctx context.Context, digest Digest) (io.ReadCloser, int64, error)
	// Put stores content, durably, and gives its digest and size in bytes.
	Put(ctx context.Context, content io.Reader) (Digest, int64, error)

	// Result gives the record of an action.
	Result(ctx context.Context, action ActionID) (*Result, error)
	// PutResult stores a record, replacing an earlier one of the same action.
	// Outputs and Log must have been put before: a record never promises
	// content that a crash could take away.
	PutResult(ctx context.Context, result *Result) error

	// Recipe gives the action that a recipe stood for when last recorded.
	Recipe(ctx context.Context, recipe RecipeID) (ActionID, error)
	// PutRecipe records it, replacing what was there.
	PutRecipe(ctx context.Context, recipe RecipeID, action ActionID) error

	// Lock waits until nobody else holds the lock of action, on this machine
	// at least. It ends with unlock, or with the process, however it ends.
	Lock(ctx context.Context, action ActionID) (unlock func() error, err error)
}

// ErrMiss is what a lookup of an absent or damaged entry is, for errors.Is.
var ErrMiss = errors.New("not in the cache")

// MissError says which entry is missing and why. It is ErrMiss.
type MissError struct {
	Entry  string // such as "result sha256:…"
	Reason string // such as "absent", or what is damaged
}

// Error gives entry and reason.
func (e *MissError) Error() string { return e.Entry + ": " + ErrMiss.Error() + ": " + e.Reason }

// Is makes errors.Is(err, ErrMiss) hold.
func (e *MissError) Is(target error) bool { return target == ErrMiss }
