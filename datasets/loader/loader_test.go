package loader

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"regft/datasets/picture"
	"regft/datasets/pil"
	"regft/datasets/preprocess"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// numbered returns a loader of n pictures of one pixel, whose red is the picture's number, and a count of how often one was opened.
func numbered(n int) (*Loader, *atomic.Int32) {
	var opened atomic.Int32
	l := &Loader{Workers: 4}
	for i := range n {
		l.Names = append(l.Names, fmt.Sprintf("class/%d.png", i))
	}
	l.Open = func(_ context.Context, i int) (io.ReadCloser, error) {
		opened.Add(1)
		im := pil.New(1, 1)
		im.Pix[0] = uint8(i)
		var out bytes.Buffer
		err := picture.EncodePNG(&out, im)
		time.Sleep(time.Duration(i*7%5) * time.Millisecond / 4) // workers finish out of order
		return io.NopCloser(&out), err
	}
	return l, &opened
}

func red(im *pil.Image, i int, out []float32) error {
	out[0], out[1] = float32(im.Pix[0]), float32(i)
	return nil
}

func upTo(n int) (order []int) {
	for i := range n {
		order = append(order, i)
	}
	return order
}

func TestBatchesComeInOrder(t *testing.T) {
	l, _ := numbered(50)
	order := upTo(50)
	slices.Reverse(order)
	var seen []int
	for b, err := range l.Batches(context.Background(), order, 8, 2, red) {
		if err != nil {
			t.Fatal(err)
		}
		if want := min(8, 50-len(seen)); len(b.Pictures) != want || len(b.Values) != 2*want {
			t.Fatalf("%d pictures, %d values; want %d", len(b.Pictures), len(b.Values), want)
		}
		for i, p := range b.Pictures {
			if b.Values[2*i] != float32(p) || b.Values[2*i+1] != float32(p) {
				t.Fatalf("picture %d has values %v", p, b.Values[2*i:2*i+2])
			}
		}
		seen = append(seen, b.Pictures...)
	}
	if !slices.Equal(seen, order) {
		t.Errorf("%v", seen)
	}
}

func TestCacheDecodesOnceWithinItsBound(t *testing.T) {
	for limit, want := range map[int64]int32{0: 60, 3 * 20: 20, 3 * 5: 20 + 15 + 15} {
		l, opened := numbered(20)
		l.Cache = NewCache(limit)
		for range 3 {
			for _, err := range l.Batches(context.Background(), upTo(20), 7, 2, red) {
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		if opened.Load() != want || l.Cache.bytes > limit {
			t.Errorf("limit %d: opened %d, want %d; %d bytes kept", limit, opened.Load(), want, l.Cache.bytes)
		}
	}
}

func TestErrorNamesThePicture(t *testing.T) {
	l, _ := numbered(30)
	whole := l.Open
	l.Open = func(ctx context.Context, i int) (io.ReadCloser, error) {
		if i >= 17 {
			return io.NopCloser(strings.NewReader("\x89PNG\r\n\x1a\n")), nil
		}
		return whole(ctx, i)
	}
	n := 0
	var last error
	for b, err := range l.Batches(context.Background(), upTo(30), 4, 2, red) {
		n += len(b.Pictures)
		last = err
	}
	if n != 16 || last == nil || !strings.Contains(last.Error(), "class/17.png: truncated PNG") {
		t.Errorf("%d pictures, %v", n, last)
	}
}

func TestTransformErrorNamesThePicture(t *testing.T) {
	l, _ := numbered(3)
	for _, err := range l.Batches(context.Background(), upTo(3), 4, 2, func(*pil.Image, int, []float32) error { return errors.New("no") }) {
		if err == nil || err.Error() != "reading the picture class/0.png: no" {
			t.Error(err)
		}
	}
}

func TestStopsWhenCancelled(t *testing.T) {
	l, opened := numbered(10_000)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var last error
	for _, err := range l.Batches(ctx, upTo(10_000), 4, 2, red) {
		cancel()
		last = err
	}
	if !errors.Is(last, context.Canceled) {
		t.Error(last)
	}
	if opened.Load() > 100 {
		t.Errorf("%d pictures were opened", opened.Load())
	}
}

func TestStopsWhenTheCallerDoes(t *testing.T) {
	l, opened := numbered(10_000)
	for range l.Batches(context.Background(), upTo(10_000), 4, 2, red) {
		break
	}
	if opened.Load() > 100 {
		t.Errorf("%d pictures were opened", opened.Load())
	}
}

func TestNoPicturesAreNoBatches(t *testing.T) {
	l, _ := numbered(1)
	for range l.Batches(context.Background(), nil, 4, 2, red) {
		t.Error("a batch")
	}
	for _, err := range l.Batches(context.Background(), upTo(1), 0, 2, red) {
		if err == nil {
			t.Error("batches of none")
		}
	}
}

// BenchmarkBatches loads JPEG files of 500 x 375 pixels for ViT-B/16 with two workers; the time is that of one picture.
func BenchmarkBatches(b *testing.B) {
	data, err := os.ReadFile("../preprocess/testdata/500x375.jpg")
	if err != nil {
		b.Fatal(err)
	}
	clip := preprocess.ForSize(224)
	l := &Loader{Names: make([]string, 64), Workers: 2, Open: func(context.Context, int) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }}
	var once sync.Once
	for b.Loop() {
		for _, err := range l.Batches(context.Background(), upTo(64), 16, clip.Values(), func(im *pil.Image, _ int, out []float32) error { return clip.Evaluate(im, out) }) {
			if err != nil {
				once.Do(func() { b.Error(err) })
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(64*b.N), "ms/picture")
}
