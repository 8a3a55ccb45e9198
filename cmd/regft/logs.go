package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"regft/cache"
	"regft/engine"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
)

func (a *app) logsCommand() *cobra.Command {
	var follow bool
	c := &cobra.Command{
		Use: "logs [RUN [STAGE[axis=key,…]]]", Short: "Print the logs of a run's stages",
		Long: `Print what stages and the programs that they run have logged, also where a result was found in the cache. Without an
instance, the logs of all nodes that ran in that run.`,
		Example: `  regft logs
  regft logs shapes 'tuned[draw=0]'
  regft logs -f latest tuned`,
		Args:              cobra.MaximumNArgs(2),
		ValidArgsFunction: completeInstance,
		RunE: func(cmd *cobra.Command, args []string) error {
			past, err := openRun(args)
			if err != nil {
				return err
			}
			nodes, err := logged(past, args)
			if err != nil {
				return err
			}
			if follow {
				return a.followLogs(cmd.Context(), past, nodes)
			}
			return a.printLogs(cmd.Context(), past, nodes)
		},
	}
	c.Flags().BoolVarP(&follow, "follow", "f", false, "go on while the run does")
	return c
}

// logged are the nodes whose logs are asked for.
func logged(past *engine.Past, args []string) ([]engine.NodeRecord, error) {
	plan, err := past.Plan()
	if err != nil {
		return nil, err
	}
	var out []engine.NodeRecord
	if len(args) < 2 {
		for _, n := range plan.Nodes {
			if n.Log != "" {
				out = append(out, n)
			}
		}
		return out, nil
	}
	found, err := past.Find(args[1])
	if err != nil {
		return nil, exitError{exitUsage, err}
	}
	told := map[int]bool{}
	for _, i := range found {
		for _, k := range i.Nodes {
			if !told[k] {
				out = append(out, plan.Nodes[k])
			}
			told[k] = true
		}
	}
	return out, nil
}

func (a *app) printLogs(ctx context.Context, past *engine.Past, nodes []engine.NodeRecord) error {
	store, err := openStore()
	if err != nil {
		return err
	}
	for _, n := range nodes {
		if err := a.printLog(ctx, past, store, n, len(nodes) > 1); err != nil {
			return exitError{exitFailed, fmt.Errorf("the log of %s: %w", n.Name, err)}
		}
	}
	return nil
}

func (a *app) printLog(ctx context.Context, past *engine.Past, store *cache.Dir, n engine.NodeRecord, titled bool) error {
	log, err := past.OpenLog(ctx, store, n)
	if err != nil {
		return err
	}
	if titled {
		fmt.Fprintf(a.out, "==> %s <==\n", n.Name)
	}
	return errors.Join(a.copyLog(log), log.Close())
}

// copyLog prints a log for people: what stages log, which is JSON in the file, as lines of text, and all else as it is.
func (a *app) copyLog(log io.Reader) error {
	people := zerolog.ConsoleWriter{Out: a.out, TimeFormat: time.TimeOnly, NoColor: !a.colour}
	lines := bufio.NewReader(log)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var w io.Writer = a.out
			if line[0] == '{' && json.Valid(line) {
				w = people
			}
			if _, err := w.Write(line); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// followEvery is how often logs are looked at.
const followEvery = 200 * time.Millisecond

// followLogs prints what is added to the logs of a run that goes on, until it ends.
func (a *app) followLogs(ctx context.Context, past *engine.Past, nodes []engine.NodeRecord) error {
	printed := map[string]int64{}
	last := ""
	for alive := true; alive; {
		alive = past.Alive()
		for _, path := range logFiles(past, nodes) {
			n, err := a.printFrom(path, printed[path], path != last)
			if err != nil {
				return exitError{exitFailed, err}
			}
			if n > 0 {
				last = path
			}
			printed[path] += n
		}
		if !alive {
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(followEvery):
		}
	}
	return nil
}

// logFiles are the logs that nodes have by now; with no nodes, all of the run.
func logFiles(past *engine.Past, nodes []engine.NodeRecord) []string {
	wanted := map[string]bool{}
	for _, n := range nodes {
		wanted[n.Name] = true
	}
	var out []string
	seen := map[string]bool{}
	_ = past.Events(func(e engine.Event) { // what cannot be read yet comes with the next look
		if e.Log != "" && !seen[e.Log] && (len(nodes) == 0 || wanted[e.Name]) {
			seen[e.Log] = true
			out = append(out, filepath.Join(past.Dir, e.Log))
		}
	})
	return out
}

// printFrom prints what a log has after offset, under its name if titled, and gives how much that was.
func (a *app) printFrom(path string, offset int64, titled bool) (int64, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil // it has not begun
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size() <= offset {
		return 0, err
	}
	if titled {
		fmt.Fprintf(a.out, "==> %s <==\n", filepath.Base(filepath.Dir(path))+" "+filepath.Base(path))
	}
	return info.Size() - offset, a.copyLog(io.NewSectionReader(f, offset, info.Size()-offset))
}
