package stages

import (
	"context"
	"fmt"
	"io"

	"regft/cache"
)

// A Kind is what an artifact holds; its layout on disk is in docs/spec.md.
type Kind string

// The kinds of artifact.
const (
	Images     Kind = "images"
	Classifier Kind = "classifier"
	Features   Kind = "features"
	Adapter    Kind = "adapter"
	Fisher     Kind = "fisher"
	Scores     Kind = "scores"
	Files      Kind = "files"
	Any        Kind = "any" // in a parameter: takes every kind
)

// Blobs gives an artifact its content: the store, as a stage sees it.
type Blobs interface {
	// Open reads a blob, checking its content while it is read.
	Open(ctx context.Context, d cache.Digest) (io.ReadCloser, error)
	// Path is a verified file of this machine that holds the blob. It must not be changed.
	Path(ctx context.Context, d cache.Digest) (string, error)
}

// An Artifact is what a stage gave: named content, by digest.
type Artifact struct {
	Kind     Kind
	Digest   cache.Digest // of the manifest
	Manifest cache.Manifest
	Metrics  map[string]any // of the stage that gave it
	blobs    Blobs
}

// NewArtifact is the artifact of kind k that manifest m describes, its content in b.
func NewArtifact(k Kind, m cache.Manifest, metrics map[string]any, b Blobs) Artifact {
	return Artifact{Kind: k, Digest: m.Digest(), Manifest: m, Metrics: metrics, blobs: b}
}

// Open reads the file called name.
func (a Artifact) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	f, ok := a.Manifest.Lookup(name)
	if !ok {
		return nil, fmt.Errorf("%s artifact has no file %q", a.Kind, name)
	}
	return a.blobs.Open(ctx, f.Digest)
}

// Path is a file of this machine with the content of the file called name, for mapping into memory.
func (a Artifact) Path(ctx context.Context, name string) (string, error) {
	f, ok := a.Manifest.Lookup(name)
	if !ok {
		return "", fmt.Errorf("%s artifact has no file %q", a.Kind, name)
	}
	return a.blobs.Path(ctx, f.Digest)
}

// ReadFile is the content of the file called name.
func (a Artifact) ReadFile(ctx context.Context, name string) ([]byte, error) {
	r, err := a.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("reading %s of a %s artifact: %w", name, a.Kind, err)
	}
	return b, nil
}

// A Coord is the value of one axis at a point, by its key.
type Coord struct {
	Axis, Key string
	Replicate bool // tables fold the axis
}

// An Input is one artifact handed to a stage. In the struct of parameters it stands as Input (required), *Input
// (optional) or []Input (one, a list, or with shape:"map" a mapping).
type Input struct {
	Key    string     // the name in a mapping
	Coords []Coord    // the gathered axes' values, then for pooled inputs (pool:) those of the pooled axes
	Pooled bool       // it is here only for a pool: of another replicate than the stage
	Path   string     // with path:"true": the absolute path given in place of an artifact
	Names  []string   // of its parts, as metrics.NAME has them; nil where there is one without a name
	Parts  []Artifact // one, or one for each of the producer's each:"node" inputs; filled before Run
}

// Artifact is the only part of i.
func (i Input) Artifact() Artifact { return i.Parts[0] }

// Path is a parameter that names a file or folder of the user's. Decoding makes it absolute. It never enters a key:
// what is read of it does, as Sources says.
type Path string

// A ListOrFile is a list of texts, written inline or in a file with one a line.
type ListOrFile struct {
	File Path
	List []string
}

// IsZero reports whether nothing was given.
func (l ListOrFile) IsZero() bool { return l.File == "" && l.List == nil }

// Seed is a seed of random numbers; where none is given it is the spec's.
type Seed uint64

// An Expr is CEL that a stage evaluates while it runs. The spec language compiles it.
type Expr struct {
	Text string // canonical: what enters the key
	Eval func(vars map[string]any) (any, error)
}

// A Source is something of the user's that a stage reads, found before it runs.
type Source struct {
	Param string   // the parameter that names it
	Root  string   // absolute: the folder of Files, or the file itself
	Files []string // names below Root; nil where Root is a file
	Value any      // in place of files: the value taken, which alone enters the key
}

// Optional behaviour of a struct of parameters.
type (
	// A Validator checks rules between parameters. Several broken ones are joined (Rule). The text of each begins with
	// the parameter at fault, at whose place it is shown; a Problem is shown where its Param says.
	Validator interface{ Validate() error }
	// A ParamValidator checks rules over one parameter each, also where others have mistakes. Param of a Problem is where it
	// is shown: the parameter, and below it keys and indices with dots between. One that was not decoded is not told again.
	ParamValidator interface{ ValidateParams() []Problem }
	// An InputValidator checks rules over what a stage takes, when that is known but not yet there. Its error is as
	// that of a Validator; a Problem says what would be right too.
	InputValidator interface{ ValidateInputs() error }
	// A Sourcer lists what is read outside the store. An error that is fs.ErrNotExist leaves the node unknown in a plan.
	Sourcer interface {
		Sources(ctx context.Context) ([]Source, error)
	}
	// A Drawer says whether random numbers are drawn: without them the seed is not in the key.
	Drawer interface{ Draws() bool }
	// A Copier names the input that the output would equal, "" for none: an ensemble at alpha 0.
	Copier interface{ CopyOf() string }
	// An Outputter has other outputs than the one that its type declares. One output alone is addressed without its name.
	Outputter interface{ Outputs() []Output }
	// A Measurer lists the names of its metrics, for checking expressions; nil means any. A type that is none has no
	// metrics, but for one that chooses (OutAs), which has those of its scores.
	Measurer interface{ MetricNames() []string }
	// An Environ lets through variables of the process's environment: by name a fingerprint of the value, "" where the
	// variable is not set. They are not in the key; its record holds them, so that a difference can be told.
	Environ interface{ Environment() map[string]string }
	// A Keyer adds lines to its key.
	Keyer interface{ KeyLines() []string }
	// A Pending says what of it is not built yet, "" for nothing: such a spec checks and plans, and does not run.
	Pending interface{ NotBuilt() string }
	// A SpecSeeder draws from the spec's seed beside its own.
	SpecSeeder interface{ SetSpecSeed(s Seed) }
	// A NoiseMaker says which seeds its sample of independent noise takes: count of them from first. Replicates whose
	// ranges overlap are not independent.
	NoiseMaker interface{ Noise() (first, count uint64) }
	// A Scaler says how the time that it takes and the size of what it makes grow with its parameters, in units of its
	// own: a plan prices work by what the like took.
	Scaler interface{ Scale() (time, size float64) }
	// A Sizer estimates what it takes to run.
	Sizer interface{ Needs() Resources }
)

// An Output is one artifact that a stage gives.
type Output struct {
	Name string
	Kind Kind
}

// Resources are what a node takes while it runs.
type Resources struct {
	Cores  int   `yaml:"cores"`
	Memory int64 `yaml:"memory"` // bytes
	GPUs   int   `yaml:"gpus"`
}
