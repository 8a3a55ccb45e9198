//go:build peers

package peers_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gomlx/gomlx/core/tensors"

	"regft/models/nn"
)

// A measurement is one line of peers.py, and of TestWork.
type measurement struct {
	Work    string  `json:"work"`
	Seconds float64 `json:"seconds"`         // of one call
	CPU     float64 `json:"cpu"`             // of all cores
	First   float64 `json:"first"`           // of the first call: ours compiles in it; reading the weights is not counted
	Peak    float64 `json:"peak"`            // memory of the process, bytes
	FLOPs   float64 `json:"flops,omitempty"` // of one call
}

// works make what is measured: a call that gives back what it made. Names are those of peers.py.
var works = map[string]func(t *testing.T) (call func()){
	"encode": func(t *testing.T) func() {
		return caller(t, imageEncoder(t, 32), ramp(32, 3, 224, 224))
	},
	"finetune": func(t *testing.T) func() {
		head := nn.Arrays{"head.weight": {Shape: []int{1000, 512}, Values: ramp(1000, 512).values}, "head.bias": {Shape: []int{1000}, Values: ramp(1000).values}}
		tr, labels, pixels := trainer(t, head), make([]int32, 16), ramp(16, 3, 224, 224).values
		for i := range labels {
			labels[i] = int32(i)
		}
		return func() { step(t.Context(), t, tr, pixels, labels) }
	},
	"unet":       func(t *testing.T) func() { return caller(t, unet(t, 64), ramp(2, 4, 64, 64), ramp(2, 77, 1024)) },
	"unet-small": func(t *testing.T) func() { return caller(t, unet(t, 32), ramp(2, 4, 32, 32), ramp(2, 77, 1024)) },
	"vae":        func(t *testing.T) func() { return caller(t, decoder(t, 64), ramp(1, 4, 64, 64)) },
}

// An array is an input.
type array struct {
	dims   []int
	values []float32
}

// ramp is an input from −1 to 1 without a pattern that matters.
func ramp(dims ...int) array {
	n := 1
	for _, d := range dims {
		n *= d
	}
	a := array{dims, make([]float32, n)}
	for i := range a.values {
		a.values[i] = float32(i*7919%2003)/1001 - 1
	}
	return a
}

func caller(t *testing.T, m *model, inputs ...array) func() {
	in := make([]*tensors.Tensor, len(inputs))
	for i, a := range inputs {
		in[i] = tensors.FromFlatDataAndDimensions(a.values, a.dims...)
	}
	return func() { m.run(t, in...).FinalizeAll() }
}

func used(t *testing.T) (cpu, peak float64) {
	var u syscall.Rusage
	must(t, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds(), float64(u.Maxrss << 10)
}

// TestWork measures $PEERS_WORK once in this process and writes a line of JSON. Reading weights is not counted.
func TestWork(t *testing.T) {
	work, ok := works[os.Getenv("PEERS_WORK")]
	if !ok {
		t.Skip("run by TestAgainstTorch")
	}
	call := work(t)
	m := measurement{Work: os.Getenv("PEERS_WORK")}
	begun := time.Now()
	call()
	m.First = time.Since(begun).Seconds()
	before, _ := used(t)
	begun = time.Now()
	call()
	m.Seconds = time.Since(begun).Seconds()
	after, peak := used(t)
	m.CPU, m.Peak = after-before, peak
	line, err := json.Marshal(m)
	must(t, err)
	fmt.Printf("%s\n", line)
}

// measured runs a command and reads the line of JSON that it writes.
func measured(t *testing.T, cmd *exec.Cmd) measurement {
	t.Helper()
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	must(t, err)
	for line := range strings.Lines(string(out)) {
		var m measurement
		if strings.HasPrefix(line, "{") && json.Unmarshal([]byte(line), &m) == nil {
			return m
		}
	}
	t.Fatalf("%s wrote no measurement:\n%s", cmd, out)
	return measurement{}
}

// TestAgainstTorch measures ours and PyTorch in turn, each in a process of its own, and writes the medians of
// $PEERS_ROUNDS as a table: seconds, processor seconds, of which shared machines disturb little, and peak memory.
func TestAgainstTorch(t *testing.T) {
	python, checkpoints := setting(t, "PEERS_PYTHON"), setting(t, "PEERS_CHECKPOINTS")
	rounds, err := strconv.Atoi(setting(t, "PEERS_ROUNDS"))
	must(t, err)
	names := slices.Sorted(maps.Keys(works))
	if only := os.Getenv("PEERS_ONLY"); only != "" {
		names = strings.Fields(only)
	}
	fmt.Println("| work | GFLOP | ours, s (CPU s) | torch, s (CPU s) | ratio (of CPU s) | first call, ours; torch | peak GiB, ours; torch |\n|---|---|---|---|---|---|---|")
	for _, name := range names {
		var ours, torch []measurement
		for range rounds {
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestWork$")
			cmd.Env = append(os.Environ(), "PEERS_WORK="+name)
			ours = append(ours, measured(t, cmd))
			torch = append(torch, measured(t, exec.CommandContext(t.Context(), python, "peers.py", checkpoints, name)))
		}
		fmt.Println(row(name, median(ours), median(torch)))
	}
}

// median takes the median of every figure.
func median(ms []measurement) measurement {
	of := func(figure func(measurement) float64) float64 {
		var values []float64
		for _, m := range ms {
			values = append(values, figure(m))
		}
		slices.Sort(values)
		return values[len(values)/2]
	}
	return measurement{
		Seconds: of(func(m measurement) float64 { return m.Seconds }), CPU: of(func(m measurement) float64 { return m.CPU }),
		First: of(func(m measurement) float64 { return m.First }), Peak: of(func(m measurement) float64 { return m.Peak }),
		FLOPs: of(func(m measurement) float64 { return m.FLOPs }),
	}
}

func row(name string, ours, torch measurement) string {
	return fmt.Sprintf("| %s | %.0f | %.2f (%.2f) | %.2f (%.2f) | %.2f (%.2f) | %.2f; %.2f | %.2f; %.2f |", name, torch.FLOPs/1e9,
		ours.Seconds, ours.CPU, torch.Seconds, torch.CPU, ours.Seconds/torch.Seconds, ours.CPU/torch.CPU,
		ours.First, torch.First, ours.Peak/(1<<30), torch.Peak/(1<<30))
}
