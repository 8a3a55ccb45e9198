package engine

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"regft/cache"
	"regft/stages"
)

// A Task is a node that is about to run: its parameters, what it takes, and what it may use.
type Task struct {
	Name    string // of the node
	Type    stages.Type
	Runner  stages.Runner // with its artifacts
	Key     string        // text of the action key
	Partial string        // text of the key of partial work
	Seed    stages.Seed   // of the spec
	Sources map[string]stages.Artifact
	Cores   int
	Timeout time.Duration // of one attempt; 0: none
	LogFile string        // where the log is written while it runs; "" for nowhere
	Report  func(Event)   // progress, series and notes
}

// task gives the job's inputs their artifacts.
func (s *scheduler) task(j *job) (Task, error) {
	n := j.node
	t := Task{Name: n.Name(), Type: *n.Type, Key: n.Key, Partial: j.partial, Seed: s.plan.Expansion.Spec.Seed,
		Cores: j.cores, Timeout: n.timeout(), LogFile: s.logOf(n)}
	if t.LogFile != "" {
		t.LogFile = filepath.Join(s.options.LogDir, t.LogFile)
	}
	t.Report = func(e Event) { s.emitNode(n, e) }
	if n.sources != nil {
		t.Sources = n.sources.artifacts
	}
	t.Runner = n.Type.Clone(j.work.runner)
	for i, bound := range n.Type.Inputs(t.Runner) {
		parts, err := s.artifacts(j.takes[i], j.work.inputs[i].output)
		if err != nil {
			return Task{}, fmt.Errorf("input %s: %w", j.work.inputs[i].label, err)
		}
		bound.Input.Parts = parts
	}
	return t, nil
}

// artifacts are what the producers of one input gave.
func (s *scheduler) artifacts(from []taken, output string) ([]stages.Artifact, error) {
	var out []stages.Artifact
	for _, t := range from {
		if t.result == nil {
			return nil, fmt.Errorf("the result of %s is gone: run the spec again", t.node.Name())
		}
		a, err := openArtifact(s.ctx, s.plan.store, t.result, output)
		if err != nil {
			return nil, fmt.Errorf("from %s: %w", t.node.Name(), err)
		}
		out = append(out, a)
	}
	return out, nil
}

// openArtifact reads what r says of one output, and brings what of it is only upstream.
func openArtifact(ctx context.Context, store *cache.Dir, r *cache.Result, output string) (stages.Artifact, error) {
	digest, ok := r.Outputs[output]
	if !ok {
		return stages.Artifact{}, fmt.Errorf("there is no output %q", output)
	}
	m, err := store.Manifest(ctx, digest)
	if err != nil {
		return stages.Artifact{}, err
	}
	if err := store.FetchAll(ctx, m); err != nil {
		return stages.Artifact{}, err
	}
	return stages.NewArtifact(stages.Kind(r.Kinds[output]), m, r.Metrics, blobs{store}), nil
}
