package similarity

import (
	"context"
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
)

// Sizes of the blocks of cosines that are computed at once.
const (
	blockRows    = 128
	blockColumns = 1024
)

// farthest is the distance where there was nothing to compare with: that of opposite features.
const farthest = 2

// NearestEarlierFeature is, for each row of features [n, dim], the nearest in angle of those before it.
func NearestEarlierFeature(ctx context.Context, features []float32, dim int) ([]Match, error) {
	unit := normalised(features, dim)
	return nearestFeature(ctx, unit, unit, dim, true)
}

// NearestFeature is, for each row of features [n, dim], the nearest in angle of reference [m, dim].
func NearestFeature(ctx context.Context, features, reference []float32, dim int) ([]Match, error) {
	return nearestFeature(ctx, normalised(features, dim), normalised(reference, dim), dim, false)
}

func normalised(features []float32, dim int) []float32 {
	out := make([]float32, len(features))
	for i := 0; i < len(features); i += dim {
		sum := 0.0
		for _, x := range features[i : i+dim] {
			sum += float64(x) * float64(x)
		}
		length := max(math.Sqrt(sum), 1e-12)
		for k, x := range features[i : i+dim] {
			out[i+k] = float32(float64(x) / length)
		}
	}
	return out
}

func nearestFeature(ctx context.Context, rows, reference []float32, dim int, earlier bool) ([]Match, error) {
	n, m := len(rows)/dim, len(reference)/dim
	matches := make([]Match, n)
	for i := range matches {
		matches[i] = Match{-1, farthest}
	}
	for i := 0; i < n; i += blockRows {
		for j := 0; j < m && !(earlier && j >= i+blockRows); j += blockColumns {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			a, b := block(rows, i, blockRows, dim), block(reference, j, blockColumns, dim)
			improve(matches[i:i+a.Rows], cosines(a, b), j, i, earlier)
		}
	}
	return matches, nil
}

// block is up to size rows from row i on.
func block(rows []float32, i, size, dim int) blas32.General {
	part := rows[i*dim : min((i+size)*dim, len(rows))]
	return blas32.General{Rows: len(part) / dim, Cols: dim, Stride: dim, Data: part}
}

func cosines(a, b blas32.General) blas32.General {
	c := blas32.General{Rows: a.Rows, Cols: b.Rows, Stride: b.Rows, Data: make([]float32, a.Rows*b.Rows)}
	blas32.Gemm(blas.NoTrans, blas.Trans, 1, a, b, 0, c)
	return c
}

// improve takes what is nearer among a block of cosines, whose first row is picture row and whose first column is
// picture column of the reference.
func improve(matches []Match, c blas32.General, column, row int, earlier bool) {
	for i := range c.Rows {
		for j, cosine := range c.Data[i*c.Stride : i*c.Stride+c.Cols] {
			if earlier && column+j >= row+i {
				break
			}
			if d := 1 - float64(cosine); d < matches[i].Distance || matches[i].Index < 0 {
				matches[i] = Match{column + j, d}
			}
		}
	}
}
