package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
)

// marker is the content of the object by which a remote is known, and by which
// it is tried out whether it refuses to overwrite.
var marker = []byte("regft remote 1\n")

// probe makes the marker, and makes it again, which must fail: on a server that
// ignores the condition (If-None-Match: *), two machines would replace each
// other's records.
func (r *Remote) probe(ctx context.Context) error {
	err := r.create(ctx, markerName, memory(marker))
	if err == nil {
		err = r.create(ctx, markerName, memory(marker))
	}
	switch {
	case errors.Is(err, fs.ErrExist):
		return r.checkMarker(ctx)
	case err != nil:
		return err
	}
	return fmt.Errorf("%s overwrites what is there although asked not to (If-None-Match: *): two machines could replace each other's results. "+
		"Use a server that supports conditional puts, or read only (--remote-mode=read)", r.url)
}

// checkMarker refuses what is no remote of ours.
func (r *Remote) checkMarker(ctx context.Context) error {
	content, err := r.read(ctx, markerName)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no remote of regft at %s ('regft cache push' makes one): %w", r.url, err)
	}
	if err == nil && !bytes.Equal(content, marker) {
		return fmt.Errorf("%s at %s holds %.40q: want %q; another version of regft may have made it", markerName, r.url, content, marker)
	}
	return err
}
