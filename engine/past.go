package engine

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"regft/cache"
	"regft/specs"

	"github.com/gofrs/flock"
)

// A Past is a run's folder, read back. The run may be going on.
type Past struct {
	Dir        string
	Name       string
	ID         string
	Provenance Provenance

	load    sync.Once
	plan    PlanRecord
	byName  map[string]int
	loadErr error

	walk   sync.Once
	failed map[string]NodeRecord
}

// OpenRun opens the run that ref names, below folder runs: latest (that the last command was about), NAME (its latest),
// NAME/RUN_ID, or the path of a run's folder.
func OpenRun(runs, ref string) (*Past, error) {
	dir, err := findRun(runs, ref)
	if err != nil {
		return nil, err
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return nil, fmt.Errorf("opening run %s: %w", ref, err)
	}
	p := &Past{Dir: dir, ID: filepath.Base(dir), Name: filepath.Base(filepath.Dir(dir))}
	content, err := os.ReadFile(filepath.Join(dir, provenanceFile))
	if err != nil {
		return nil, fmt.Errorf("opening run %s: %w", ref, err)
	}
	if err := json.Unmarshal(content, &p.Provenance); err != nil {
		return nil, fmt.Errorf("opening run %s: reading %s: %w", ref, filepath.Join(dir, provenanceFile), err)
	}
	return p, nil
}

func findRun(runs, ref string) (string, error) {
	if ref == latestLink {
		if dir := filepath.Join(runs, latestLink); isRun(dir) {
			return dir, nil
		}
		return newest(runs)
	}
	for _, dir := range []string{filepath.Join(runs, folderName(ref), latestLink), filepath.Join(runs, ref), ref} {
		if isRun(dir) {
			return dir, nil
		}
	}
	return "", noRunError(fmt.Sprintf("there is no run %q: want latest, NAME, NAME/RUN_ID or the path of a run's folder, below %s", ref, runs))
}

func isRun(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, provenanceFile))
	return err == nil
}

// newest is the latest run of all names. Their IDs sort by time.
func newest(runs string) (string, error) {
	links, err := filepath.Glob(filepath.Join(runs, "*", latestLink))
	if err != nil {
		return "", err
	}
	best, bestID := "", ""
	for _, l := range links {
		if id, err := os.Readlink(l); err == nil && id > bestID {
			best, bestID = l, id
		}
	}
	if best == "" {
		return "", noRunError(fmt.Sprintf("there is no run in %s yet: regft run SPEC makes one", runs))
	}
	return best, nil
}

// A noRunError says that there is no such run.
type noRunError string

func (e noRunError) Error() string { return string(e) }

func (e noRunError) Is(target error) bool { return target == fs.ErrNotExist }

// Alive says that the run is going on.
func (p *Past) Alive() bool {
	lock := flock.New(filepath.Join(p.Dir, eventsFile), flock.SetFlag(os.O_RDONLY))
	free, err := lock.TryRLock()
	if err != nil || !free {
		return err == nil
	}
	_ = lock.Unlock() // its file is closed with it
	return false
}

// Plan is plan.json, its nodes as the events since have made them.
func (p *Past) Plan() (PlanRecord, error) {
	p.load.Do(func() { p.loadErr = p.read() })
	return p.plan, p.loadErr
}

func (p *Past) read() error {
	path := filepath.Join(p.Dir, planFile)
	content, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("reading the plan of run %s: %w", p.ID, err)
	}
	if err := json.Unmarshal(content, &p.plan); err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	p.byName = make(map[string]int, len(p.plan.Nodes))
	for k, n := range p.plan.Nodes {
		p.byName[n.Name] = k
	}
	return p.Events(func(e Event) {
		switch {
		case e.Node >= 0 && e.Node < len(p.plan.Nodes):
			p.plan.Nodes[e.Node].apply(e)
		case e.Kind == NodeFailed:
			k := slices.IndexFunc(p.plan.Instances, func(i InstanceRecord) bool { return i.Address == e.Name })
			if k >= 0 {
				p.plan.Instances[k].Error = e.Error
			}
		}
	})
}

// Events calls each with what events.jsonl holds so far. A last line that is cut short is left out.
func (p *Past) Events(each func(Event)) error {
	f, err := os.Open(filepath.Join(p.Dir, eventsFile))
	if err != nil {
		return fmt.Errorf("reading the events of run %s: %w", p.ID, err)
	}
	defer f.Close()
	r := bufio.NewReader(f)
	for {
		line, err := r.ReadBytes('\n')
		if err != nil {
			return nil // the end, or a line that is being written
		}
		var e Event
		if json.Unmarshal(line, &e) == nil {
			each(e)
		}
	}
}

// apply makes of n what e says.
func (n *NodeRecord) apply(e Event) {
	states := map[EventKind]State{NodeStarted: Running, NodeElsewhere: Elsewhere, NodeHit: Hit, NodeDone: Done, NodeFailed: Failed, NodeSkipped: Skipped, NodeBlocked: Blocked, NodeIdle: Idle}
	if s, ok := states[e.Kind]; ok {
		n.State = s
	}
	switch e.Kind {
	case NodeHit, NodeDone:
		n.Action, n.Outputs, n.Seconds, n.Reused, n.Environment = e.Action, e.Outputs, e.Seconds, e.Reused, e.Environment
	case NodeFailed:
		n.Error = e.Error
	case NodeElsewhere:
		n.Owner = e.Text
	case NodeProgress:
		n.Done, n.Total, n.Unit = e.Done, e.Total, e.Unit
	}
	if e.Log != "" {
		n.Log = e.Log
	}
}

// node is the node called name, its State Done where it has a result. A nil run has none.
func (p *Past) node(name string) (NodeRecord, bool) {
	if p == nil {
		return NodeRecord{}, false
	}
	plan, err := p.Plan()
	k, ok := p.byName[name]
	if err != nil || !ok {
		return NodeRecord{}, false // without the last run, reasons are less exact
	}
	n := plan.Nodes[k]
	if n.State == Hit {
		n.State = Done
	}
	if before, ok := p.Failures()[name]; ok {
		n.State, n.Error = Failed, before.Error
	}
	return n, true
}

// mostEarlier is how many earlier runs are looked at for what failed in them.
const mostEarlier = 100

// Failures are the nodes that failed when they were last tried, by name: in this run, or, where this was for something
// else or ended before, in an earlier one of the same name.
func (p *Past) Failures() map[string]NodeRecord {
	p.walk.Do(func() {
		p.failed = map[string]NodeRecord{}
		open := map[string]bool{}
		note := func(n NodeRecord) {
			if tried := n.State != Idle && n.State != Work && n.State != Maybe && n.State != Elsewhere; !tried {
				return
			}
			if delete(open, n.Name); n.State == Failed {
				p.failed[n.Name] = n
			}
		}
		plan, err := p.Plan()
		if err != nil {
			return
		}
		for _, n := range plan.Nodes {
			open[n.Name] = true
			note(n)
		}
		ids := p.earlier()
		for k := 0; k < min(len(ids), mostEarlier) && len(open) > 0; k++ {
			before, err := OpenRun("", filepath.Join(filepath.Dir(p.Dir), ids[k]))
			if err != nil {
				continue // what is no run
			}
			plan, err := before.Plan()
			if err != nil {
				continue
			}
			for _, n := range plan.Nodes {
				if open[n.Name] {
					note(n)
				}
			}
		}
	})
	return p.failed
}

// earlier are the IDs of the runs of the same name before p, the latest first.
func (p *Past) earlier() []string {
	entries, err := os.ReadDir(filepath.Dir(p.Dir))
	if err != nil {
		return nil
	}
	var ids []string
	for _, e := range slices.Backward(entries) {
		if e.IsDir() && e.Name() < p.ID {
			ids = append(ids, e.Name())
		}
	}
	return ids
}

// Spec is the resolved spec that the run was of. Its relative paths start where they did.
func (p *Past) Spec() (*specs.Spec, specs.Diagnostics) {
	dir := filepath.Dir(p.Provenance.Spec)
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(p.Dir, "..", "..", "..", dir) // runs/NAME/RUN_ID lies where the command was given
	}
	return specs.LoadResolved(filepath.Join(p.Dir, specFile), dir)
}

// Results reads results.jsonl, which must be as the run wrote it.
func (p *Past) Results() ([]Line, error) {
	path := filepath.Join(p.Dir, resultsFile)
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("run %s has no results: it is going on, or was killed; run it again", p.ID)
	}
	if err != nil {
		return nil, fmt.Errorf("reading results: %w", err)
	}
	if sum := p.Provenance.Results; sum != "" && sum != cache.SumBytes(content).String() {
		return nil, fmt.Errorf("%s is not as the run wrote it: its digest in %s is another; run the spec again", path, provenanceFile)
	}
	var lines []Line
	for d := json.NewDecoder(bytes.NewReader(content)); d.More(); {
		var l Line
		if err := d.Decode(&l); err != nil {
			return nil, fmt.Errorf("reading %s: %w", path, err)
		}
		lines = append(lines, l)
	}
	return lines, nil
}

// Find gives the instances that an address names, which may leave out axes: STAGE, STAGE[axis=key,…]. With a part,
// STAGE[axis=key,…].PART, they have only that.
func (p *Past) Find(address string) ([]InstanceRecord, error) {
	plan, err := p.Plan()
	if err != nil {
		return nil, err
	}
	named, err := specs.ParseAddress(address)
	if err != nil {
		return nil, err
	}
	var found []InstanceRecord
	var parts []string
	covered := false
	for _, i := range plan.Instances {
		if !named.Covers(i.Stage, i.Coords) {
			continue
		}
		covered = true
		if i, ok := i.part(named.Part); ok {
			found = append(found, i)
		}
		parts = i.Parts
	}
	switch {
	case !covered:
		return nil, fmt.Errorf("run %s has no %s; its %s", p.ID, address, alternatives(plan, named.Stage))
	case found == nil && len(parts) > 0:
		return nil, fmt.Errorf("address %s: the parts are %s", address, strings.Join(parts, ", "))
	case found == nil:
		return nil, fmt.Errorf("address %s: %s has no parts", address, named.Stage)
	}
	return found, nil
}

// part is i with only the part of that name; all of i where the name is empty.
func (i InstanceRecord) part(name string) (InstanceRecord, bool) {
	if name == "" {
		return i, true
	}
	k := slices.Index(i.Parts, name)
	if k < 0 {
		return i, false
	}
	i.Address, i.Nodes, i.Parts = i.Address+"."+name, i.Nodes[k:k+1], i.Parts[k:k+1]
	return i, true
}

// alternatives are the coordinates that a stage has in the run; the stages, where it has none of that name.
func alternatives(plan PlanRecord, stage string) string {
	keys := map[string][]string{}
	for _, i := range plan.Instances {
		for _, c := range i.Coords {
			if i.Stage == stage && !slices.Contains(keys[c.Axis], c.Key) {
				keys[c.Axis] = append(keys[c.Axis], c.Key)
			}
		}
	}
	var axes []string
	for _, axis := range slices.Sorted(maps.Keys(keys)) {
		some := keys[axis]
		if len(some) > maxKeys {
			some = append(slices.Clone(some[:maxKeys]), "…")
		}
		axes = append(axes, axis+"="+strings.Join(some, "|"))
	}
	names := stageNames(plan)
	switch {
	case len(axes) > 0:
		return stage + " has " + strings.Join(axes, ", ")
	case slices.Contains(names, stage):
		return stage + " has no axes"
	}
	return "stages are " + strings.Join(names, ", ")
}

// maxKeys is how many keys of an axis an error names.
const maxKeys = 12

func stageNames(plan PlanRecord) []string {
	var names []string
	for _, i := range plan.Instances {
		if !slices.Contains(names, i.Stage) {
			names = append(names, i.Stage)
		}
	}
	return names
}

// FindOne is Find where only one will do.
func (p *Past) FindOne(address string) (InstanceRecord, error) {
	found, err := p.Find(address)
	if err != nil {
		return InstanceRecord{}, err
	}
	if len(found) > 1 {
		var names []string
		for _, i := range found[:min(len(found), maxNamed)] {
			names = append(names, i.Address)
		}
		return InstanceRecord{}, fmt.Errorf("%s names %d instances; say which, such as %s", address, len(found), strings.Join(names, " or "))
	}
	return found[0], nil
}

// maxNamed is how many examples an error names.
const maxNamed = 3
