package datasets

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"path"
	"slices"
)

// subset applies r.Skip and r.Shots to every class.
//
// The order of a seed is the order of SHA-256(seed, class folder, file name): so subsets of one seed nest, a picture's place depends on
// no other picture, and Skip with a seed leaves out just what Shots with that seed takes.
func (l *Listing) subset(r Request) error {
	if r.Skip < 0 || r.Shots < 0 {
		return fmt.Errorf("skip %d and shots %d: neither can be below zero", r.Skip, r.Shots)
	}
	if r.Skip == 0 && r.Shots == 0 {
		return nil
	}
	var kept []Sample
	var few []string
	for label, samples := range l.byClass() {
		if len(samples) == 0 {
			continue
		}
		folder := l.Classes[label].Folder
		if r.Skip >= len(samples) {
			return fmt.Errorf("class %q has %d pictures, and skip leaves out %d", folder, len(samples), r.Skip)
		}
		shuffle(samples, r.SkipSeed, folder)
		samples = samples[r.Skip:]
		if len(samples) < r.Shots {
			few = append(few, fmt.Sprintf("%s (%d)", folder, len(samples)))
		}
		if r.Shots > 0 && r.Shots < len(samples) {
			shuffle(samples, r.Seed, folder)
			samples = samples[:r.Shots]
		}
		kept = append(kept, samples...)
	}
	if few != nil {
		l.Warnings = append(l.Warnings, fmt.Sprintf("%d classes have fewer than %d pictures, all of which are taken: %s", len(few), r.Shots, Names(few)))
	}
	l.Samples = kept
	return nil
}

// byClass returns the samples of every label.
func (l *Listing) byClass() [][]Sample {
	classes := make([][]Sample, len(l.Classes))
	for _, s := range l.Samples {
		classes[s.Label] = append(classes[s.Label], s)
	}
	return classes
}

// shuffle puts the samples of a class into the order of a seed. Only the last part of a name counts, so that the order does not depend
// on where in the layout the root lies; the whole name decides between equals.
func shuffle(samples []Sample, seed uint64, folder string) {
	type ranked struct {
		Sample
		rank [sha256.Size]byte
	}
	order := make([]ranked, len(samples))
	for i, s := range samples {
		key := binary.LittleEndian.AppendUint64(nil, seed)
		key = append(append(append(key, folder...), 0), path.Base(s.Name)...)
		order[i] = ranked{s, sha256.Sum256(key)}
	}
	slices.SortStableFunc(order, func(a, b ranked) int {
		return cmp.Or(bytes.Compare(a.rank[:], b.rank[:]), cmp.Compare(a.Name, b.Name))
	})
	for i, r := range order {
		samples[i] = r.Sample
	}
}

// inTurn orders the samples: the first of every class by name (bytewise), then the second of every class, …
func (l *Listing) inTurn() {
	classes := l.byClass()
	longest := 0
	for _, samples := range classes {
		slices.SortStableFunc(samples, func(a, b Sample) int { return cmp.Compare(a.Name, b.Name) })
		longest = max(longest, len(samples))
	}
	ordered := l.Samples[:0:0]
	for round := range longest {
		for _, samples := range classes {
			if round < len(samples) {
				ordered = append(ordered, samples[round])
			}
		}
	}
	l.Samples = ordered
}
