package compute

import (
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

func TestNew(t *testing.T) {
	t.Setenv(Env, "")
	if b, err := New(""); err != nil || b.Name() != CPU {
		t.Errorf("got %v, %v, want %q", b, err, CPU)
	}
	t.Setenv(Env, Go)
	if b, err := New(""); err != nil || b.String() != Go {
		t.Errorf("got %v, %v, want %q", b, err, Go)
	}
	t.Setenv(Env, "abacus")
	if _, err := New(""); err == nil || !strings.Contains(err.Error(), `"abacus"`) || !strings.Contains(err.Error(), Env) {
		t.Errorf("got %v, want an error that names the backend and $%s", err, Env)
	}
	if got, want := Numerics(CPU), "regft-cpu/"+runtime.GOARCH; !strings.HasPrefix(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := Numerics(Go), "gomlx-go/"+runtime.GOARCH; !strings.HasPrefix(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestLimit(t *testing.T) {
	for _, name := range []string{Go, CPU} {
		b := backend(t, name, 3)
		if got := b.Description(); !strings.Contains(got, "parallelism=3") {
			t.Errorf("%s, limited to 3, says %q", name, got)
		}
		if err := Limit(b, 0); err == nil {
			t.Errorf("%s accepted zero workers", name)
		}
	}
}

func backend(t *testing.T, name string, workers int) Backend {
	t.Helper()
	b, err := New(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := Limit(b, workers); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Finalize)
	return b
}

// block is a piece of a network with its gradient: matrix products of several sizes, a softmax, element-wise
// work and sums over both axes.
func block(x, w *graph.Node) []*graph.Node {
	y := graph.Softmax(graph.Dot(x, w).Product(), -1)
	z := graph.Sigmoid(graph.Dot(graph.Transpose(y, 0, 1), graph.Tanh(x)).Product())
	loss := graph.ReduceAllSum(graph.Square(z))
	return append([]*graph.Node{loss, graph.ReduceSum(y, 0)}, graph.Gradient(loss, x, w)...)
}

func matrix(rows, columns int) *tensors.Tensor {
	r := rand.New(rand.NewPCG(1, uint64(rows)))
	values := make([]float32, rows*columns)
	for i := range values {
		values[i] = r.Float32() - 0.5
	}
	return tensors.FromFlatDataAndDimensions(values, rows, columns)
}

// run computes block on b and returns its outputs, one after another.
func run(b Backend, compiled *graph.Exec, x, w *tensors.Tensor) ([]float32, error) {
	outputs, err := compiled.Call(x, w)
	if err != nil {
		return nil, err
	}
	var all []float32
	for _, o := range outputs {
		values, err := tensors.CopyFlatData[float32](o)
		if err != nil {
			return nil, err
		}
		all = append(all, values...)
	}
	return all, nil
}

func compile(t *testing.T, b Backend) *graph.Exec {
	t.Helper()
	compiled, err := graph.NewExec(b, block)
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

func TestWorkersDoNotChangeBits(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(8))
	var want []float32
	for _, workers := range []int{1, 2, 3, 8} {
		b := backend(t, Go, workers)
		got, err := run(b, compile(t, b), matrix(200, 157), matrix(157, 129))
		if err != nil {
			t.Fatal(err)
		}
		if want == nil {
			want = got
		}
		if !slices.Equal(got, want) {
			t.Errorf("%d workers compute other bits than 1", workers)
		}
	}
}

func TestSideBySide(t *testing.T) {
	b := backend(t, Go, 2)
	compiled := compile(t, b)
	x, w := matrix(200, 157), matrix(157, 129)
	if err := errors.Join(x.ToDevice(b, 0), w.ToDevice(b, 0)); err != nil {
		t.Fatal(err)
	}
	want, err := run(b, compiled, x, w)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 10 {
				if got, err := run(b, compiled, x, w); err != nil || !slices.Equal(got, want) {
					t.Errorf("side by side: error %v, or other bits than alone", err)
				}
			}
		})
	}
	wg.Wait()
}

// TestAcceleratorsAreTold: a build for the processor alone says so, and names what it has where another is asked for.
func TestAcceleratorsAreTold(t *testing.T) {
	if lines := Accelerators(); len(lines) == 0 || !strings.Contains(strings.Join(lines, "\n"), "xla") {
		t.Errorf("doctor would say %q of accelerators", lines)
	}
	if _, err := New("tpu"); err == nil || !strings.Contains(err.Error(), `"cpu"`) || !strings.Contains(err.Error(), Env) {
		t.Errorf("error %v does not name the backends and where the name comes from", err)
	}
}
