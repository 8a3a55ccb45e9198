package engine

import (
	"context"
	"strings"

	"regft/cache"
	"regft/specs"
)

// oracleShare is the part of the files of two data sets, of the smaller, that they have in common where a choice on one
// has seen the other: published sets have single pictures twice.
const oracleShare = 0.02

// Oracle tells whether a choice that si's result rests on was made on the very data that it reports: the same node, or the
// same pictures under other names, in a mixture, or a part of them.
func (p *Plan) Oracle(si *specs.Instance) bool {
	if si.Oracle {
		return true
	}
	for _, seen := range si.Seen() {
		for _, reported := range si.Data() {
			if p.shareData(p.order[seen.Index], p.order[reported.Index]) {
				return true
			}
		}
	}
	return false
}

func (p *Plan) shareData(a, b *instance) bool {
	for _, x := range a.parts {
		for _, y := range b.parts {
			if x.node == y.node || p.shareFiles(x.node, y.node) {
				return true
			}
		}
	}
	return false
}

// shareFiles compares the files of two results. Those of sets of pictures that are not in folders are lists.
func (p *Plan) shareFiles(a, b *Node) bool {
	if a.Result == nil || b.Result == nil {
		return false
	}
	pair := [2]cache.ActionID{a.Result.Action, b.Result.Action}
	if share, known := p.shares[pair]; known {
		return share
	}
	x, y := p.filesOf(a.Result), p.filesOf(b.Result)
	if len(x) > len(y) {
		x, y = y, x
	}
	both := 0
	for digest := range x {
		if y[digest] {
			both++
		}
	}
	if p.shares == nil {
		p.shares = map[[2]cache.ActionID]bool{}
	}
	p.shares[pair] = both > 0 && float64(both) >= oracleShare*float64(len(x))
	return p.shares[pair]
}

// filesOf are the digests of the files in folders of r's outputs; none where a manifest is not there any more.
func (p *Plan) filesOf(r *cache.Result) map[cache.Digest]bool {
	out := map[cache.Digest]bool{}
	for _, digest := range r.Outputs {
		m, err := p.store.Manifest(context.Background(), digest)
		if err != nil {
			continue
		}
		for _, f := range m.Files {
			if strings.Contains(f.Name, "/") {
				out[f.Digest] = true
			}
		}
	}
	return out
}
