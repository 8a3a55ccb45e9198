package remote

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// web is a Backend that any web server is: a folder remote served as files. It
// takes nothing.
type web struct {
	base   url.URL
	client *http.Client
}

// answerTimeout bounds the wait for the header of an answer.
const answerTimeout = 30 * time.Second

// setTransport fits a transport for many requests to one server.
func setTransport(t *http.Transport) {
	t.MaxIdleConnsPerHost, t.ResponseHeaderTimeout = requestsAtOnce, answerTimeout
	t.DisableCompression = true // sizes are those of the objects
}

// openHTTP takes http:// and https://; USER:PASSWORD@ is basic authentication.
func openHTTP(_ context.Context, u *url.URL) (Backend, error) {
	if u.Host == "" {
		return nil, fmt.Errorf("want %s://HOST/PATH", u.Scheme)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	setTransport(transport)
	return &web{*u, &http.Client{Transport: transport}}, nil
}

// Open implements Backend.
func (w *web) Open(ctx context.Context, name string, offset int64) (io.ReadCloser, int64, error) {
	resp, err := w.do(ctx, http.MethodGet, name, offset)
	if err != nil {
		return nil, 0, err
	}
	size := resp.ContentLength
	if resp.StatusCode == http.StatusPartialContent {
		size += offset
	} else if _, err := io.CopyN(io.Discard, resp.Body, offset); err != nil {
		resp.Body.Close()
		return nil, 0, err
	}
	return resp.Body, size, nil
}

// Size implements Backend.
func (w *web) Size(ctx context.Context, name string) (int64, error) {
	resp, err := w.do(ctx, http.MethodHead, name, 0)
	if err != nil {
		return 0, err
	}
	return resp.ContentLength, resp.Body.Close()
}

func (w *web) do(ctx context.Context, method, name string, offset int64) (*http.Response, error) {
	u := w.base
	u.Path = strings.TrimSuffix(u.Path, "/") + "/" + name
	req, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
	if err != nil {
		return nil, permanent(err)
	}
	if offset > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", offset))
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return nil, err
	}
	ok := resp.StatusCode == http.StatusOK || resp.StatusCode == http.StatusPartialContent
	if ok && resp.ContentLength >= 0 {
		return resp, nil
	}
	resp.Body.Close()
	if ok {
		return nil, permanent(fmt.Errorf("the server does not say how long %s is", name))
	}
	return nil, statusError(resp.StatusCode, fmt.Errorf("the server answers %s", resp.Status))
}

// statusError is err, which an answer to a question for an object is, as a
// Backend has it. Without the right to list, what is absent is forbidden.
func statusError(status int, err error) error {
	switch {
	case status == http.StatusNotFound || status == http.StatusGone || status == http.StatusForbidden:
		return fmt.Errorf("%w: %w", err, fs.ErrNotExist)
	case status == http.StatusPreconditionFailed:
		return fmt.Errorf("%w: %w", err, fs.ErrExist)
	case status == http.StatusRequestTimeout, status == http.StatusConflict, status == http.StatusTooManyRequests, status >= http.StatusInternalServerError:
		return err
	}
	return permanent(err)
}

// Close implements Backend.
func (w *web) Close() error {
	w.client.CloseIdleConnections()
	return nil
}
