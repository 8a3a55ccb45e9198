// Package train fine-tunes CLIP's image tower and a linear head on pictures, with RegFT's
// variance-covariance regularisation (arXiv 2406.05432).
//
// What a training run may vary without compiling again is an input of its graph: learning rate, weight decay, the
// weights of the losses, label smoothing, the clipping norm. One [Program] serves all of them.
package train

import (
	"math"
	"slices"

	. "github.com/gomlx/gomlx/core/graph"
)

// CrossEntropy is the mean of the label-smoothed cross-entropy of logits [batch, classes] against labels [batch]:
// (1−s)·(−log p_y) + s·mean(−log p), as in the published code.
func CrossEntropy(logits, labels, smoothing *Node) *Node {
	classes := logits.Shape().Dimensions[1]
	logp := LogSoftmax(logits, -1)
	nll := Neg(ReduceSum(Mul(OneHot(labels, classes, logits.DType()), logp), -1))
	spread := Neg(ReduceMean(logp, -1))
	return ReduceAllMean(Add(Mul(OneMinus(smoothing), nll), Mul(smoothing, spread)))
}

// VarianceCovariance returns the two regularisers of features z [batch, dim] before they are normalised, and the
// mean variance of their coordinates. With C the unbiased covariance over the batch (RegFT, after VICReg,
// arXiv 2105.04906; unlike there, the second is divided by dim·(dim−1)):
//
//	variance   = mean_j max(0, 1 − √(C_jj + 1e-7))
//	covariance = Σ_{i≠j} C_ij² / (dim·(dim−1))
//
// A batch of one has no covariance; its C is taken as 0.
func VarianceCovariance(z *Node) (variance, covariance, spread *Node) {
	batch, dim := z.Shape().Dimensions[0], z.Shape().Dimensions[1]
	centred := Sub(z, ReduceAndKeep(z, ReduceMean, 0))
	c := DivScalar(Dot(centred, centred).General([]int{0}, nil, []int{0}, nil), float64(max(batch-1, 1)))
	diagonal := DivScalar(ReduceSum(Square(centred), 0), float64(max(batch-1, 1)))
	hinge := MaxScalar(OneMinus(Sqrt(AddScalar(diagonal, 1e-7))), 0)
	off := Where(Diagonal(z.Graph(), dim), ZerosLike(c), c)
	pairs := float64(max(dim*(dim-1), 1))
	return ReduceAllMean(hinge), DivScalar(ReduceAllSum(Square(off)), pairs), ReduceAllMean(diagonal)
}

// Probabilities are those that the logits of one picture stand for, in float64.
func Probabilities(logits []float32) []float64 {
	top, total := slices.Max(logits), 0.0
	p := make([]float64, len(logits))
	for i, x := range logits {
		p[i] = math.Exp(float64(x - top))
		total += p[i]
	}
	for i := range p {
		p[i] /= total
	}
	return p
}
