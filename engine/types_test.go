package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"regft/stages"
)

// blend is as ensemble: at alpha 0 it is from, at alpha 1 to.
type blend struct {
	From  stages.Input `yaml:"from" in:"any" doc:"at 0"`
	To    stages.Input `yaml:"to" in:"any" doc:"at 1"`
	Alpha float64      `yaml:"alpha" doc:"weight of to"`
}

var _ = stages.Register[blend](stages.Type{Name: "blend", Doc: "Between two.", Version: 1, Out: stages.Files})

func (b *blend) CopyOf() string {
	switch b.Alpha {
	case 0:
		return "from"
	case 1:
		return "to"
	}
	return ""
}

func (b *blend) Run(ctx context.Context, env *stages.Env) error {
	x, _ := b.From.Artifact().Metrics["value"].(float64)
	y, _ := b.To.Artifact().Metrics["value"].(float64)
	v := (1-b.Alpha)*x + b.Alpha*y
	env.Host.Metric("value", v)
	return env.WriteFile("value.txt", fmt.Append(nil, v))
}

// reader reads a file of the user's.
type reader struct {
	Path stages.Path `yaml:"path" doc:"a file, or a folder"`
}

var _ = stages.Register[reader](stages.Type{Name: "reader", Doc: "What is in a file.", Version: 1, Out: stages.Files})

func (r *reader) Sources(ctx context.Context) ([]stages.Source, error) {
	info, err := os.Stat(string(r.Path))
	if err != nil {
		return nil, err
	}
	s := stages.Source{Param: "path", Root: string(r.Path)}
	if info.IsDir() {
		entries, err := os.ReadDir(s.Root)
		if err != nil {
			return nil, err
		}
		s.Files = []string{}
		for _, e := range entries {
			s.Files = append(s.Files, e.Name())
		}
	}
	return []stages.Source{s}, nil
}

func (r *reader) Run(ctx context.Context, env *stages.Env) error {
	a, err := env.Source("path")
	if err != nil {
		return err
	}
	size := 0
	for _, f := range a.Manifest.Files {
		b, err := a.ReadFile(ctx, f.Name)
		if err != nil {
			return err
		}
		size += len(b)
		env.Host.Output("", f) // handed on where it is, not copied
	}
	env.Host.Metric("value", size)
	return nil
}

// odd misbehaves.
type odd struct {
	How    string         `yaml:"how" enum:"panic,deaf,unlike,flaky,partial,kept,cores" doc:"in which way"`
	Inputs []stages.Input `yaml:"inputs" optional:"true" in:"any" doc:"ignored"`
	N      int            `yaml:"n" default:"0" partial:"-" doc:"how much"`
}

var _ = stages.Register[odd](stages.Type{Name: "odd", Doc: "Misbehaves.", Version: 1, Out: stages.Files})

// oddCalls counts runs of odd, so that each is unlike the last.
var oddCalls atomic.Int64

func (o *odd) Run(ctx context.Context, env *stages.Env) error {
	n := oddCalls.Add(1)
	switch o.How {
	case "panic":
		panic("as told")
	case "deaf":
		time.Sleep(2 * grace)
	case "unlike":
		return env.WriteFile("n.txt", fmt.Append(nil, n))
	case "flaky":
		if n%2 == 1 {
			return errors.New("this time not")
		}
	case "partial":
		return o.partial(env)
	case "kept":
		return o.kept(ctx, env)
	case "cores":
		env.Host.Metric("value", env.Cores)
	}
	return env.WriteFile("x.txt", []byte("x"))
}

// kept puts a file of partial work that it keeps.
func (o *odd) kept(ctx context.Context, env *stages.Env) error {
	dir, err := env.Host.Partial(true)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, "kept.txt")
	if err := os.WriteFile(path, []byte("kept"), 0o666); err != nil {
		return err
	}
	f, err := env.Host.Put(ctx, path)
	env.Host.Output("", f)
	return err
}

// partial fails the first time, having left something for the second.
func (o *odd) partial(env *stages.Env) error {
	dir, err := env.Host.Partial(false)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, "begun")
	if _, err := os.Stat(path); err != nil {
		return errors.Join(os.WriteFile(path, []byte("1"), 0o666), errors.New("stopped half way"))
	}
	env.Host.Metric("value", 2)
	return env.WriteFile("x.txt", []byte(strings.Repeat("x", o.N)))
}
