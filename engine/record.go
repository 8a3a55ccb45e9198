package engine

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"regft/cache"
	"regft/stages"

	"github.com/gofrs/flock"
	"gopkg.in/yaml.v3"
)

// The files of a run's folder.
const (
	specFile       = "spec.yaml"
	planFile       = "plan.json"
	resultsFile    = "results.jsonl"
	tableFile      = "results.csv"
	eventsFile     = "events.jsonl"
	provenanceFile = "provenance.json"
	logsFolder     = "logs"
	latestLink     = "latest"
)

// Provenance says what made a run's results, and how the run ended.
type Provenance struct {
	Version string    `json:"version"` // of regft
	Command []string  `json:"command"`
	Spec    string    `json:"spec"` // as named on the command line
	Go      string    `json:"go"`
	System  string    `json:"system"`
	Host    string    `json:"host"`
	Cores   int       `json:"cores"`
	Started time.Time `json:"started"`
	Ended   time.Time `json:"ended,omitzero"`    // zero while it runs, and where it was killed
	Plan    string    `json:"plan"`              // digest: equal plans have equal ones
	Results string    `json:"results,omitempty"` // digest of results.jsonl, which tables may be made from
	Summary *Summary  `json:"summary,omitempty"`
}

// A Record writes what a run leaves: runs/NAME/RUN_ID.
type Record struct {
	Dir  string
	Name string
	ID   string

	mu         sync.Mutex
	plan       *Plan
	provenance Provenance
	events     *os.File
	lock       *flock.Flock // on events.jsonl, while the run lives
	err        error        // of writing an event
}

// Create begins the record of a run of p below folder runs, and makes it the latest. version is regft's, command the
// command line.
func Create(runs string, p *Plan, version string, command []string) (*Record, error) {
	spec := p.Expansion.Spec
	r := &Record{Name: spec.Name, ID: newRunID(), plan: p}
	home := filepath.Join(runs, folderName(spec.Name))
	r.Dir = filepath.Join(home, r.ID)
	if err := os.MkdirAll(r.Dir, 0o777); err != nil {
		return nil, fmt.Errorf("making the run's folder: %w", err)
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	r.provenance = Provenance{Version: version, Command: command, Spec: spec.Path, Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH,
		Host: host, Cores: runtime.GOMAXPROCS(0), Started: time.Now().UTC(), Plan: p.Digest()}
	if err := r.begin(home); err != nil {
		return r, err
	}
	return r, p.store.AddRun(r.Dir)
}

func (r *Record) begin(home string) error {
	planned, err := json.Marshal(r.plan.record())
	if err != nil {
		return fmt.Errorf("recording the plan: %w", err)
	}
	if err := r.write(specFile, r.plan.Expansion.Spec.Resolved); err != nil {
		return err
	}
	if err := r.write(planFile, planned); err != nil {
		return err
	}
	if r.events, err = os.OpenFile(filepath.Join(r.Dir, eventsFile), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o666); err != nil {
		return fmt.Errorf("recording events: %w", err)
	}
	r.lock = flock.New(r.events.Name())
	if err := r.lock.Lock(); err != nil {
		return fmt.Errorf("locking %s: %w", r.events.Name(), err)
	}
	if err := r.writeProvenance(); err != nil {
		return err
	}
	if err := link(home, r.ID); err != nil {
		return err
	}
	return PointLatest(filepath.Dir(home), r.Dir)
}

// PointLatest makes the run in folder dir the one that runs/latest means.
func PointLatest(runs, dir string) error {
	target := filepath.Join(filepath.Base(filepath.Dir(dir)), filepath.Base(dir))
	if now, err := os.Readlink(filepath.Join(runs, latestLink)); err == nil && now == target {
		return nil
	}
	return link(runs, target)
}

// link makes home/latest a relative link to the run.
func link(home, id string) error {
	temp := filepath.Join(home, "."+filepath.Base(id))
	if err := os.Symlink(id, temp); err != nil {
		return fmt.Errorf("linking the latest run: %w", err)
	}
	if err := os.Rename(temp, filepath.Join(home, latestLink)); err != nil {
		return fmt.Errorf("linking the latest run: %w", err)
	}
	return nil
}

// newRunID is the time in UTC and four hexadecimal digits, so that IDs sort by time.
func newRunID() string {
	var random [2]byte
	_, _ = rand.Read(random[:]) // never fails
	return time.Now().UTC().Format("20060102T150405.000Z") + "-" + hex.EncodeToString(random[:])
}

// folderName is name as that of a folder.
func folderName(name string) string {
	if name == "." || name == ".." || name == latestLink {
		return name + "_"
	}
	return url.PathEscape(name)
}

// Event appends e to events.jsonl, and a series also for TensorBoard. The first error is that of Close.
func (r *Record) Event(e Event) {
	line, err := json.Marshal(e)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil && r.events != nil {
		_, err = r.events.Write(append(line, '\n'))
	}
	if err == nil && e.Kind == NodeSeries {
		err = writeSeries(r.Dir, e)
	}
	if r.err == nil && err != nil {
		r.err = fmt.Errorf("recording an event: %w", err)
	}
}

// maxLogName keeps the names of logs within what file systems allow (255 bytes).
const maxLogName = 200

// logPath is the log of n below the run's folder: logs/STAGE/COORDINATES.log.
func logPath(n *Node) string { return filepath.Join(logsFolder, nodePath(n.Stage().Name, n.Name())) }

// nodePath is STAGE/COORDINATES.log of a node called name, such as tuned[draw=0].
func nodePath(stage, name string) string {
	name = url.PathEscape(name[len(stage):])
	if name == "" {
		name = "log"
	}
	if len(name) > maxLogName {
		h := fnv.New64a()
		_, _ = h.Write([]byte(name)) // a hash never fails
		name = fmt.Sprintf("%s-%016x", name[:maxLogName-20], h.Sum64())
	}
	return filepath.Join(stage, name+".log")
}

// Close writes the results, and how the run ended.
func (r *Record) Close(summary *Summary) error {
	lines := r.plan.Results()
	encoded, err := encodeJSONL(lines)
	if err != nil {
		return fmt.Errorf("recording results: %w", err)
	}
	var axes []string
	for _, a := range r.plan.Expansion.Spec.Axes {
		axes = append(axes, a.Name)
	}
	table, err := encodeCSV(lines, axes)
	if err != nil {
		return fmt.Errorf("recording results: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.provenance.Ended, r.provenance.Summary = time.Now().UTC(), summary
	r.provenance.Plan = r.plan.Digest() // conditions are decided by now
	r.provenance.Results = cache.SumBytes(encoded).String()
	err = errors.Join(r.err, r.write(resultsFile, encoded), r.write(tableFile, table), r.writeProvenance(), r.lock.Unlock(), r.events.Close())
	r.events = nil
	return err
}

func (r *Record) writeProvenance() error {
	b, err := json.MarshalIndent(r.provenance, "", "  ")
	if err != nil {
		return fmt.Errorf("recording the provenance: %w", err)
	}
	return r.write(provenanceFile, append(b, '\n'))
}

// write writes a file whole: readers see the old one or the new one.
func (r *Record) write(name string, content []byte) error {
	path := filepath.Join(r.Dir, name)
	temp := filepath.Join(r.Dir, "."+name)
	if err := os.WriteFile(temp, content, 0o666); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	if err := os.Rename(temp, path); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

// A PlanRecord is plan.json: the counts, and every node and instance.
type PlanRecord struct {
	Counts
	Nodes     []NodeRecord     `json:"nodes"`
	Instances []InstanceRecord `json:"instances"`
}

// A NodeRecord is a node of a past run: as planned, and what the run's events made of it.
type NodeRecord struct {
	Name        string                  `json:"name"`
	Stage       string                  `json:"stage"`
	Uses        string                  `json:"uses"`
	State       State                   `json:"state"`
	Reason      string                  `json:"reason,omitempty"`
	Recipe      string                  `json:"recipe"`
	Own         string                  `json:"own"` // digest of the lines of its key that no input changes
	Action      cache.ActionID          `json:"action,omitzero"`
	Outputs     map[string]cache.Digest `json:"outputs,omitempty"`
	Seconds     float64                 `json:"seconds,omitempty"`
	Reused      float64                 `json:"reused,omitempty"`      // the part of its work that Seconds are not of
	Environment map[string]string       `json:"environment,omitempty"` // that of its result
	Scale       Scale                   `json:"scale,omitzero"`        // of a type that has one
	Inputs      []int                   `json:"inputs,omitempty"`
	Log         string                  `json:"log,omitempty"` // below the run's folder, if it ran there
	Error       string                  `json:"error,omitempty"`
	Owner       string                  `json:"-"`              // of one that another process runs: which
	Done        int                     `json:"done,omitempty"` // progress
	Total       int                     `json:"total,omitempty"`
	Unit        string                  `json:"unit,omitempty"`
}

// An InstanceRecord is an instance of a past run.
type InstanceRecord struct {
	Address string         `json:"address"`
	Stage   string         `json:"stage"`
	Coords  []stages.Coord `json:"coords,omitempty"`
	Point   map[string]any `json:"point,omitempty"`
	Parts   []string       `json:"parts,omitempty"` // names of its nodes, where it has several
	Nodes   []int          `json:"nodes"`
	Output  string         `json:"output,omitempty"` // of a copy: which of the nodes' outputs it is
	Needed  bool           `json:"needed"`
	Error   string         `json:"error,omitempty"` // of its own condition: an assert that does not hold
}

func (p *Plan) record() PlanRecord {
	out := PlanRecord{Counts: p.Counts(), Nodes: make([]NodeRecord, len(p.Nodes)), Instances: make([]InstanceRecord, len(p.order))}
	for k, n := range p.Nodes {
		r := NodeRecord{Name: n.Name(), Stage: n.Stage().Name, Uses: n.Type.Name, State: n.State, Reason: n.Reason,
			Recipe: n.Recipe.String(), Own: n.ownDigest(), Action: n.Action, Scale: scaleOf(n.runner)}
		if n.Result != nil {
			r.Outputs, r.Seconds, r.Reused, r.Environment = n.Result.Outputs, n.Result.Seconds, n.Result.Reused, n.Result.Environment
		}
		for _, in := range n.takes {
			r.Inputs = append(r.Inputs, in.Index)
		}
		out.Nodes[k] = r
	}
	for k, i := range p.order {
		r := InstanceRecord{Address: i.Address(), Stage: i.Stage.Name, Coords: i.Coords, Point: cache.EncodeMetrics(i.Point()), Output: i.copyOutput, Needed: i.needed}
		for part, pt := range i.parts {
			r.Nodes = append(r.Nodes, pt.node.Index)
			if len(i.parts) > 1 {
				r.Parts = append(r.Parts, i.label(part))
			}
		}
		out.Instances[k] = r
	}
	return out
}

// Digest is equal for plans that ask for the same: the same instances, made of the same nodes, for the same purpose.
func (p *Plan) Digest() string {
	h := cache.NewHasher()
	_, _ = h.Write(presentation(p.Expansion.Spec.Resolved)) // a Hasher never fails
	for _, i := range p.order {
		fmt.Fprintf(h, "%s %t %t %d %d", i.Address(), i.needed, i.root, i.only, i.fate)
		for _, pt := range i.parts {
			fmt.Fprintf(h, " %s", pt.node.Recipe)
			if pt.fate == done && pt.node.Result != nil { // gathers of other members have one recipe
				fmt.Fprintf(h, " %s", pt.node.Result.Action)
			}
		}
		fmt.Fprintln(h)
	}
	return h.Sum().String()
}

// presentation is what a resolved spec says of its tables and studies, without comments: what a run leaves depends on
// it although no node does.
func presentation(resolved []byte) []byte {
	var s struct {
		Tables yaml.Node `yaml:"tables"`
		Ablate yaml.Node `yaml:"ablate"`
		Sweep  struct {
			Baseline yaml.Node `yaml:"baseline"`
		} `yaml:"sweep"`
	}
	if err := yaml.Unmarshal(resolved, &s); err != nil {
		return resolved
	}
	list := yaml.Node{Kind: yaml.SequenceNode}
	for _, n := range []*yaml.Node{&s.Tables, &s.Ablate, &s.Sweep.Baseline} {
		if n.Kind != 0 {
			uncomment(n)
			list.Content = append(list.Content, n)
		}
	}
	out, err := yaml.Marshal(&list)
	if err != nil {
		return resolved
	}
	return out
}

func uncomment(n *yaml.Node) {
	n.HeadComment, n.LineComment, n.FootComment, n.Style = "", "", "", 0
	for _, c := range n.Content {
		uncomment(c)
	}
}

// Repeats says that running p would execute nothing, and leave what the past run, which ended well, has left.
func (p *Plan) Repeats(last *Past) bool {
	if last == nil || last.Provenance.Summary == nil || p.Active() {
		return false
	}
	for _, name := range []string{planFile, specFile, resultsFile, tableFile} { // somebody may have taken them away
		if _, err := os.Stat(filepath.Join(last.Dir, name)); err != nil {
			return false
		}
	}
	if _, err := last.Results(); err != nil {
		return false
	}
	s := last.Provenance.Summary
	return s.Failed+s.Unfinished == 0 && !s.Interrupted && last.Provenance.Plan == p.Digest()
}

// Active says that a run of p has something to decide or to execute.
func (p *Plan) Active() bool {
	for _, n := range p.Nodes {
		if n.active() {
			return true
		}
	}
	for _, i := range p.order {
		if i.fate == failed && i.needed {
			return true
		}
	}
	return false
}
