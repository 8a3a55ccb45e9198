package nn

import (
	"slices"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	gnn "github.com/gomlx/gomlx/ml/nn"
)

// A 3×3 convolution by Winograd's minimal filtering F(4×4, 3×3), Lavin and Gray, arXiv 1509.09308: tiles of 6×6
// pixels that overlap by two make 4×4 pixels each, with 36 products between channels where the definition has 144.
// The polynomials' points are 0, 1, -1, 2, -2 and infinity. In float32 it is off by some 1e-6 of the largest value.

// tile is the side of what one tile makes.
const tile = 4

// fitsWinograd tells whether whole tiles cover x, [batch, height, width, channels].
func (w Window) fitsWinograd(x *Node) bool {
	d := x.Shape().Dimensions
	return w == Same(3) && d[1]%tile == 0 && d[2]%tile == 0
}

// winograd convolves x [batch, height, width, in] with weight [out, in, 3, 3].
func winograd(x, weight, bias *Node) *Node {
	tiles := Window{Kernel: tile + 2, Stride: tile, Before: 1, After: 1}.views(x)
	tiles = winogradInput.both(tiles)
	kernel := winogradKernel.both(taps(weight))
	for i := range tiles {
		var plus *Node
		if i == atOne {
			plus = bias
		}
		tiles[i] = gnn.Dense(tiles[i], kernel[i], plus, compute.DenseLayoutInputOutputs)
	}
	return interleave(winogradOutput.both(tiles))
}

// atOne is the product at the points 1 and 1, which enters each output once: a bias of it is a bias of all.
const atOne = tile + 2 + 1

// taps are the maps from channels to channels, [in, out], of each place in the kernel, row by row.
func taps(weight *Node) []*Node {
	d := weight.Shape().Dimensions
	rows := Reshape(TransposeAllAxes(weight, 2, 3, 1, 0), -1, d[1], d[0])
	var all []*Node
	for i := range d[2] * d[3] {
		all = append(all, Squeeze(Slice(rows, AxisElem(i)), 0))
	}
	return all
}

// interleave puts pixel (i, j) of all tiles, [batch, rows of tiles, columns of tiles, channels] for each row by
// row, in its place: [batch, height, width, channels].
func interleave(pixels []*Node) *Node {
	d := pixels[0].Shape().Dimensions
	rows := make([]*Node, tile)
	for i := range rows {
		columns := make([]*Node, tile)
		for j := range columns {
			columns[j] = InsertAxes(pixels[i*tile+j], 3)
		}
		rows[i] = Reshape(Concatenate(columns, 3), d[0], d[1], 1, tile*d[2], d[3])
	}
	return Reshape(Concatenate(rows, 2), d[0], tile*d[1], tile*d[2], d[3])
}

// A transform is a matrix as a product of sparse ones, the first to be applied first.
type transform [][][]float64

// The paper's Bᵀ, G and Aᵀ. The even and the odd powers of a point and of its negative differ in sign only.
var (
	winogradInput = transform{
		{{4, 0, -5, 0, 1, 0}, {0, 0, 4, 0, -1, 0}, {0, 4, 0, -1, 0, 0}, {0, 0, -1, 0, 1, 0}, {0, -1, 0, 1, 0, 0}, {0, 4, 0, -5, 0, 1}},
		{{1, 0, 0, 0, 0, 0}, {0, 1, 1, 0, 0, 0}, {0, 1, -1, 0, 0, 0}, {0, 0, 0, 1, 2, 0}, {0, 0, 0, 1, -2, 0}, {0, 0, 0, 0, 0, 1}},
	}
	winogradKernel = transform{
		{{1. / 4, 0, 0}, {1. / 6, 0, 1. / 6}, {0, 1. / 6, 0}, {1. / 24, 0, 1. / 6}, {0, 1. / 12, 0}, {0, 0, 1}},
		{{1, 0, 0, 0, 0, 0}, {0, 1, 1, 0, 0, 0}, {0, 1, -1, 0, 0, 0}, {0, 0, 0, 1, 1, 0}, {0, 0, 0, 1, -1, 0}, {0, 0, 0, 0, 0, 1}},
	}
	winogradOutput = transform{
		{{1, 0, 0, 0, 0, 0}, {0, 1, 1, 0, 0, 0}, {0, 1, -1, 0, 0, 0}, {0, 0, 0, 1, 1, 0}, {0, 0, 0, 1, -1, 0}, {0, 0, 0, 0, 0, 1}},
		{{1, 1, 0, 1, 0, 0}, {0, 0, 1, 0, 2, 0}, {0, 1, 0, 4, 0, 0}, {0, 0, 1, 0, 8, 1}},
	}
)

// both is T·X·Tᵀ for a square matrix X of nodes, given and returned row by row.
func (t transform) both(x []*Node) []*Node { return t.turned(t.turned(x)) }

// turned is (T·X)ᵀ.
func (t transform) turned(x []*Node) []*Node {
	var all []*Node
	height := len(t[0][0])
	width := len(x) / height
	for j := range width {
		column := make([]*Node, height)
		for i := range column {
			column[i] = x[i*width+j]
		}
		for _, matrix := range t {
			column = times(matrix, column)
		}
		all = append(all, column...)
	}
	return all
}

// times is matrix·x.
func times(matrix [][]float64, x []*Node) []*Node {
	y := make([]*Node, len(matrix))
	for i, row := range matrix {
		first := slices.IndexFunc(row, func(c float64) bool { return c > 0 })
		y[i] = scaled(x[first], row[first])
		for k, c := range row {
			switch {
			case c > 0 && k != first:
				y[i] = Add(y[i], scaled(x[k], c))
			case c < 0:
				y[i] = Sub(y[i], scaled(x[k], -c))
			}
		}
	}
	return y
}

func scaled(x *Node, by float64) *Node {
	if by == 1 {
		return x
	}
	return MulScalar(x, by)
}
