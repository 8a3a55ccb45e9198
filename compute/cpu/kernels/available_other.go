//go:build !amd64

package kernels

// available are the instruction sets of this processor, the best last.
func available() []*instructionSet { return []*instructionSet{portable} }
