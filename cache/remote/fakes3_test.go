package remote

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeS3 is as much of S3 as the backend asks for, in memory.
type fakeS3 struct {
	ignoreConditions bool                                  // as some servers do
	wrote            func(key string, old, content []byte) // under the lock; old is nil where there was none

	mu      sync.Mutex
	objects map[string][]byte
	parts   map[string]map[int][]byte // by upload
	puts    int
}

func newFakeS3() *fakeS3 {
	return &fakeS3{objects: map[string][]byte{}, parts: map[string]map[int][]byte{}}
}

func (f *fakeS3) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client has gone
	}
	key := strings.TrimPrefix(r.URL.Path, "/bucket/")
	f.mu.Lock()
	defer f.mu.Unlock()
	upload := r.URL.Query().Get("uploadId")
	switch {
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		content, ok := f.objects[key]
		if !ok {
			refuse(w, http.StatusNotFound, "NoSuchKey")
			return
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	case r.Method == http.MethodPost && r.URL.Query().Has("uploads"):
		id := fmt.Sprint(len(f.parts))
		f.parts[id] = map[int][]byte{}
		fmt.Fprintf(w, "<InitiateMultipartUploadResult><UploadId>%s</UploadId></InitiateMultipartUploadResult>", id)
	case r.Method == http.MethodPut && upload != "":
		number, _ := strconv.Atoi(r.URL.Query().Get("partNumber"))
		f.parts[upload][number] = body
		w.Header().Set("ETag", fmt.Sprintf("%q", fmt.Sprintf("%x", sha256.Sum256(body))))
	case r.Method == http.MethodPost:
		f.complete(w, r, key, f.parts[upload], body)
	case r.Method == http.MethodPut:
		f.put(w, r, key, body)
	case r.Method == http.MethodDelete:
		delete(f.parts, upload)
	}
}

// complete makes an object of the parts that the request names.
func (f *fakeS3) complete(w http.ResponseWriter, r *http.Request, key string, parts map[int][]byte, body []byte) {
	var asked struct {
		Part []struct{ PartNumber int }
	}
	if err := xml.Unmarshal(body, &asked); err != nil || len(asked.Part) != len(parts) {
		refuse(w, http.StatusBadRequest, "InvalidPart")
		return
	}
	var whole []byte
	for _, number := range slices.Sorted(maps.Keys(parts)) {
		whole = append(whole, parts[number]...)
	}
	if f.put(w, r, key, whole) {
		fmt.Fprint(w, "<CompleteMultipartUploadResult></CompleteMultipartUploadResult>")
	}
}

func (f *fakeS3) put(w http.ResponseWriter, r *http.Request, key string, content []byte) bool {
	sum := sha256.Sum256(content)
	if want := r.Header.Get("X-Amz-Checksum-Sha256"); want != "" && want != base64.StdEncoding.EncodeToString(sum[:]) {
		refuse(w, http.StatusBadRequest, "BadDigest")
		return false
	}
	old, there := f.objects[key]
	if there && r.Header.Get("If-None-Match") == "*" && !f.ignoreConditions {
		refuse(w, http.StatusPreconditionFailed, "PreconditionFailed")
		return false
	}
	if f.wrote != nil {
		f.wrote(key, old, content)
	}
	f.objects[key] = content
	f.puts++
	return true
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.WriteHeader(status)
	fmt.Fprintf(w, "<Error><Code>%s</Code><Message>%s</Message></Error>", code, code)
}

// credentials lets the client of S3 sign.
func credentials(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "testtest")
	t.Setenv("AWS_CONFIG_FILE", "none")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "none")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
}
