package train

import (
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"

	"regft/models/clip"
	"regft/models/nn"
)

// step maps pixels, labels and hyper to the record's values and the new state.
func (p *Program) step(q nn.Params, in []*Node) []*Node {
	h, seen := hyper{in[2]}, p.adapted(q)
	z := p.config.ImageFeatures(seen, in[0])
	l := p.losses(seen, h, z, p.startFeatures(q, in[0]), in[1])
	norm, penalty, state := p.update(q, h, Gradient(l.total, p.trainedNodes(q)...))
	return append([]*Node{l.record(norm, penalty)}, state...)
}

// trainedNodes are the parameters that are trained.
func (p *Program) trainedNodes(q nn.Params) []*Node {
	var nodes []*Node
	for _, name := range p.trained {
		nodes = append(nodes, q.Get(name, p.shape(name)...))
	}
	return nodes
}

// startFeatures are the features that the start gives pixels, nil without distillation.
func (p *Program) startFeatures(q nn.Params, pixels *Node) *Node {
	if !p.method.Distill {
		return nil
	}
	if p.method.Part != LowRank {
		q = q.At(startValue)
	}
	return StopGradient(p.config.ImageFeatures(q, pixels))
}

// losses are the parts of the loss on one batch: scalars, without their weights but for total.
type losses struct {
	total, crossEntropy, variance, covariance, distance *Node
	spread                                              *Node // mean variance of the features' coordinates
}

// losses are those of features z [batch, dim], before they are normalised, and the start's features zStart.
func (p *Program) losses(q nn.Params, h hyper, z, zStart, labels *Node) losses {
	l := losses{distance: ScalarZero(z.Graph(), dtypes.Float32)}
	l.crossEntropy = CrossEntropy(clip.Logits(q, z, p.classes), labels, h.get(labelSmoothing))
	l.variance, l.covariance, l.spread = VarianceCovariance(z)
	vc := Add(Mul(h.get(varianceWeight), l.variance), Mul(h.get(covarianceWeight), l.covariance))
	l.total = Add(Mul(h.get(lambdaCE), l.crossEntropy), vc)
	if zStart != nil {
		l.distance = ReduceAllMean(ReduceSum(Square(Sub(z, zStart)), -1))
		l.total = Add(l.total, Mul(h.get(distillWeight), l.distance))
	}
	return l
}

// record are a step's measures in the order in which newRecord reads them.
func (l losses) record(norm, penalty *Node) *Node {
	return Stack([]*Node{Add(l.total, penalty), l.crossEntropy, l.variance, l.covariance, norm, l.spread, l.distance, penalty}, 0)
}

// update takes a step of AdamW along the gradients of the loss on pictures. L2-SP adds its own first: weight·(θ − θ_start).
// It returns the length of the gradients before clipping, L2-SP's part of the loss, and the new state.
func (p *Program) update(q nn.Params, h hyper, gradients []*Node) (norm, penalty *Node, state []*Node) {
	parameters := p.trainedNodes(q)
	gradients, penalty = p.pull(q, h, parameters, gradients)
	gradients, norm = limitNorm(h, gradients)
	for i, name := range p.trained {
		dims := p.shape(name)
		parameter, m, v := adamW(h, i, defaultEpsilon, parameters[i], gradients[i],
			q.At(firstMoment).Get(name, dims...), q.At(secondMoment).Get(name, dims...))
		state = append(state, parameter, m, v)
		if p.method.Average {
			so := q.At(movingAverage).Get(name, dims...)
			state = append(state, Add(Mul(so, h.get(averageKeep)), Mul(parameter, h.get(averageTake))))
		}
	}
	return norm, penalty, state
}

// pull adds L2-SP's gradients, and gives its part of the loss: weight·½·‖θ − θ_start‖², where a low-rank update is
// θ − θ_start itself.
func (p *Program) pull(q nn.Params, h hyper, parameters, gradients []*Node) (pulled []*Node, penalty *Node) {
	penalty = ScalarZero(q.Graph(), dtypes.Float32)
	if !p.method.L2SP {
		return gradients, penalty
	}
	weight := h.get(l2spWeight)
	for _, moved := range p.moved(q, parameters) {
		penalty = Add(penalty, ReduceAllSum(Square(moved)))
	}
	penalty = Mul(weight, MulScalar(penalty, 0.5))
	for i, pull := range Gradient(penalty, parameters...) {
		pulled = append(pulled, Add(gradients[i], pull))
	}
	return pulled, penalty
}

// moved are the distances of the classifier's parameters from their start.
func (p *Program) moved(q nn.Params, parameters []*Node) []*Node {
	var out []*Node
	if p.method.Part != LowRank {
		for i, name := range p.trained {
			out = append(out, Sub(parameters[i], q.At(startValue).Get(name, p.shape(name)...)))
		}
		return out
	}
	for i := 0; i < len(p.trained); i += 2 { // A and B of a layer stand side by side
		out = append(out, MulScalar(Dot(parameters[i+1], parameters[i]).Product(), p.method.LoRA.Scale()))
	}
	return out
}
