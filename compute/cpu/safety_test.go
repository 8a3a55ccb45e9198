package cpu

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"go.uber.org/goleak"
)

// identity compiles x → -x, and lets run be the kernel of its only step.
func identity(t *testing.T, size int, run kernel) (*Executable, compute.Buffer) {
	t.Helper()
	b, err := New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Finalize)
	b.Limit(2)
	builder := b.Builder("test")
	shape := shapes.Make(dtypes.Float32, size)
	x, err := builder.Main().Parameter("x", shape, nil)
	if err != nil {
		t.Fatal(err)
	}
	y, err := builder.Main().Neg(x)
	if err != nil {
		t.Fatal(err)
	}
	if err := builder.Main().Return([]compute.Value{y}, nil); err != nil {
		t.Fatal(err)
	}
	e, err := builder.Compile()
	if err != nil {
		t.Fatal(err)
	}
	executable := e.(*Executable)
	executable.program.steps[0].run = run
	input, err := b.BufferFromFlatData(0, make([]float32, size), shape)
	if err != nil {
		t.Fatal(err)
	}
	return executable, input
}

// TestPanicsAreErrors: of a step, and of a worker in the midst of its loop; then the program still executes.
func TestPanicsAreErrors(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	defer goleak.VerifyNone(t)
	var fault atomic.Bool
	fail := func(i int) {
		if values := []int{1, 2}; fault.Load() {
			values[0] = values[i+7]
		}
	}
	for name, run := range map[string]kernel{
		"step": func(*execution, []any, []any) error { fail(0); return nil },
		"loop": func(x *execution, _, _ []any) error { x.pool.Run(100, fail); return nil },
		"nested loop": func(x *execution, _, _ []any) error {
			x.pool.Run(4, func(int) { x.pool.Run(4, fail) })
			return nil
		},
	} {
		e, input := identity(t, 4, run)
		fault.Store(true)
		_, err := e.Execute([]compute.Buffer{input}, nil, 0)
		if err == nil || !strings.Contains(err.Error(), "index out of range") || !strings.Contains(err.Error(), "safety_test.go:") ||
			!strings.Contains(err.Error(), `graph "test"`) {
			t.Errorf("%s: error %v does not tell the panic, its place and the graph", name, err)
		}
		fault.Store(false)
		if _, err := e.Execute([]compute.Buffer{input}, nil, 0); err != nil {
			t.Errorf("%s: after a panic: %v", name, err)
		}
	}
}

// TestCompilingPanicsIsAnError compiles a graph with a node that no operation makes.
func TestCompilingPanicsIsAnError(t *testing.T) {
	b, err := New()
	if err != nil {
		t.Fatal(err)
	}
	defer b.Finalize()
	builder := newBuilder(b, "broken")
	n := builder.main.newNode(compute.OpTypeReduceSum, "no axes", nil, []shapes.Shape{shapes.Make(dtypes.Float32)})
	n.emit = func(compute.Function, []compute.Value) ([]compute.Value, error) { panic("boom") }
	builder.main.outputs, builder.main.returned = n.outputs, true
	if _, err := builder.Compile(); err == nil || !strings.Contains(err.Error(), "boom") {
		t.Errorf("error %v does not tell the panic", err)
	}
}

// TestCancelWithinAStep ends the context in the midst of a long loop: no iteration is begun after that.
func TestCancelWithinAStep(t *testing.T) {
	defer goleak.VerifyNone(t)
	ctx, cancel := context.WithCancel(context.Background())
	var begun atomic.Int64
	e, input := identity(t, 4, func(x *execution, _, _ []any) error {
		x.pool.Run(1_000_000, func(int) {
			if begun.Add(1) == 10 {
				cancel()
			}
			time.Sleep(time.Millisecond)
		})
		return nil
	})
	if _, err := e.ExecuteContext(ctx, []compute.Buffer{input}, nil, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, expected the context's", err)
	}
	if n := begun.Load(); n > 1000 {
		t.Errorf("%d iterations were begun after the context's end", n-10)
	}
	if _, err := e.ExecuteContext(ctx, []compute.Buffer{input}, nil, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, expected the context's", err)
	}
}
