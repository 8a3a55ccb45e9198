// Package featurestats describes sets of pictures by the distribution of their features.
package featurestats

import (
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"
)

// A Gaussian is the normal distribution that has the mean and the covariance of a set of features.
type Gaussian struct {
	Mean       []float64
	Covariance *mat.SymDense // unbiased
}

// Fit takes the mean and covariance of features [n, dim], of which there must be two at least.
func Fit(features []float32, dim int) (Gaussian, error) {
	n := len(features) / dim
	if n < 2 {
		return Gaussian{}, fmt.Errorf("the covariance of features needs two pictures at least, there are %d", n)
	}
	x := mat.NewDense(n, dim, nil)
	for i, v := range features {
		x.Set(i/dim, i%dim, float64(v))
	}
	g := Gaussian{Mean: make([]float64, dim), Covariance: mat.NewSymDense(dim, nil)}
	for j := range dim {
		g.Mean[j] = stat.Mean(mat.Col(nil, j, x), nil)
	}
	stat.CovarianceMatrix(g.Covariance, x, nil)
	return g, nil
}

// Deviation is the mean over the dimensions of their standard deviation.
func (g Gaussian) Deviation() float64 {
	sum := 0.0
	for j := range g.Mean {
		sum += math.Sqrt(max(g.Covariance.At(j, j), 0))
	}
	return sum / float64(len(g.Mean))
}

// EffectiveRank is the number of dimensions that the features really spread over (Roy and Vetterli, EUSIPCO 2007): the
// exponential of the entropy of the singular values of the centred features, taken as shares of their sum. It is 0
// where all features are equal.
func (g Gaussian) EffectiveRank() (float64, error) {
	values, _, err := eigen(g.Covariance)
	if err != nil {
		return 0, err
	}
	total := 0.0
	for i, v := range values {
		values[i] = math.Sqrt(v)
		total += values[i]
	}
	if total == 0 {
		return 0, nil
	}
	entropy := 0.0
	for _, v := range values {
		if p := v / total; p > 0 {
			entropy -= p * math.Log(p)
		}
	}
	return math.Exp(entropy), nil
}

// Frechet is the Fréchet distance of two distributions, squared as is usual (Heusel et al., arXiv 1706.08500):
//
//	|μ₁ − μ₂|² + tr(C₁ + C₂ − 2·(C₁·C₂)^½)
//
// The trace of the root is that of (C₁^½·C₂·C₁^½)^½, which is symmetric: no complex numbers, and no need of full rank.
func Frechet(a, b Gaussian) (float64, error) {
	if len(a.Mean) != len(b.Mean) {
		return 0, fmt.Errorf("the Fréchet distance of features of %d and %d dimensions", len(a.Mean), len(b.Mean))
	}
	root, err := squareRoot(a.Covariance)
	if err != nil {
		return 0, err
	}
	var half, product mat.Dense
	half.Mul(root, b.Covariance)
	product.Mul(&half, root)
	values, _, err := eigen(symmetric(&product))
	if err != nil {
		return 0, err
	}
	distance := mat.Trace(a.Covariance) + mat.Trace(b.Covariance)
	for _, v := range values {
		distance -= 2 * math.Sqrt(v)
	}
	for j, m := range a.Mean {
		distance += (m - b.Mean[j]) * (m - b.Mean[j])
	}
	return max(distance, 0), nil
}

// symmetric is m without the asymmetry of rounding.
func symmetric(m *mat.Dense) *mat.SymDense {
	n, _ := m.Dims()
	s := mat.NewSymDense(n, nil)
	for i := range n {
		for j := i; j < n; j++ {
			s.SetSym(i, j, (m.At(i, j)+m.At(j, i))/2)
		}
	}
	return s
}

// squareRoot is the symmetric root of a covariance.
func squareRoot(c *mat.SymDense) (*mat.Dense, error) {
	values, vectors, err := eigen(c)
	if err != nil {
		return nil, err
	}
	for i, v := range values {
		values[i] = math.Sqrt(v)
	}
	var scaled, root mat.Dense
	scaled.Mul(vectors, mat.NewDiagDense(len(values), values))
	root.Mul(&scaled, vectors.T())
	return &root, nil
}

// eigen are the eigenvalues, those that rounding made negative as 0, and eigenvectors of a covariance.
func eigen(c *mat.SymDense) ([]float64, *mat.Dense, error) {
	var e mat.EigenSym
	if math.IsNaN(mat.Sum(c)) || !e.Factorize(c, true) {
		return nil, nil, errors.New("the covariance of the features has no eigenvalues: are all features finite?")
	}
	values, vectors := e.Values(nil), &mat.Dense{}
	for i, v := range values {
		values[i] = max(v, 0)
	}
	e.VectorsTo(vectors)
	return values, vectors, nil
}
