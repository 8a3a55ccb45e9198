package specs

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"regft/stages"

	"gopkg.in/yaml.v3"
)

// checkNoise warns of replicates that share noise: samples whose ranges of seeds overlap are not independent draws.
func (x *expansion) checkNoise(e *Expansion) {
	seen := map[string][]noise{}
	reported := map[*Stage]bool{}
	for _, i := range e.Instances {
		maker, ok := i.Runner.(stages.NoiseMaker)
		if !ok || reported[i.Stage] || !slices.ContainsFunc(i.Coords, isReplicate) {
			continue
		}
		n := noise{draw: i.Coords}
		n.first, n.count = maker.Noise()
		group := i.Stage.Name + Address("", slices.DeleteFunc(slices.Clone(i.Coords), isReplicate))
		for _, other := range seen[group] {
			if n.overlaps(other) {
				reported[i.Stage] = true
				x.warnOfNoise(i, n, other)
				break
			}
		}
		seen[group] = append(seen[group], n)
	}
}

// noise is the range of seeds of one replicate.
type noise struct {
	first, count uint64
	draw         []stages.Coord
}

// overlaps tells whether two replicates share some of their noise. Those that share all of it are one result.
func (n noise) overlaps(other noise) bool {
	low, high := n, other
	if high.first < low.first {
		low, high = high, low
	}
	return low.first != high.first && high.first-low.first < low.count
}

func (x *expansion) warnOfNoise(i *Instance, n, other noise) {
	d := x.tree.At(x.seedNode(i.Stage), "replicates of %s share noise: %s takes the seeds from %d on and %s those from %d on, %d each",
		i.Stage.Name, drawName(other), other.first, drawName(n), n.first, n.count)
	d.Severity = Warning
	if axis := n.draw[slices.IndexFunc(n.draw, isReplicate)].Axis; n.count > 0 {
		d.Expected = fmt.Sprintf("ranges that do not meet, such as seed: ${sweep.%s * %d}", axis, spacing(n.count))
	}
	x.report(d)
}

// seedNode is where the stage says its seed, or its name.
func (x *expansion) seedNode(s *Stage) *yaml.Node {
	for _, p := range s.params {
		if p.field.Name == "seed" {
			return p.node
		}
	}
	return s.key
}

func drawName(n noise) string {
	var parts []string
	for _, c := range n.draw {
		if isReplicate(c) {
			parts = append(parts, c.Axis+"="+c.Key)
		}
	}
	return strings.Join(parts, ",")
}

// spacing is how far apart the seeds of replicates should stand: a million, or the next power of ten that holds count.
func spacing(count uint64) uint64 {
	s := uint64(1_000_000)
	for s < count && bits.Len64(s) < 60 {
		s *= 10
	}
	return s
}

func isReplicate(c stages.Coord) bool { return c.Replicate }
