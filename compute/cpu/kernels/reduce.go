package kernels

// reduceBlock is how many numbers of one long row add to one partial sum.
const reduceBlock = 1 << 14

// SumRows sets dst[i] to the sum of row i of x [rows, cols].
func SumRows(dst, x []float32, rows, cols int) { eachRow(dst, x, rows, cols, active.sum) }

// MeanRows sets dst[i] to the mean of row i of x [rows, cols].
func MeanRows(dst, x []float32, rows, cols int) {
	SumRows(dst, x, rows, cols)
	active.binaryScalar[Div](dst[:rows], dst[:rows], float32(cols))
}

// MaxRows sets dst[i] to the largest of row i of x [rows, cols], NaN if it holds one.
func MaxRows(dst, x []float32, rows, cols int) { eachRow(dst, x, rows, cols, active.maximum) }

// MinRows sets dst[i] to the smallest of row i of x [rows, cols], NaN if it holds one.
func MinRows(dst, x []float32, rows, cols int) { eachRow(dst, x, rows, cols, active.minimum) }

// SumSquaresRows sets dst[i] to the sum of the squares of row i of x [rows, cols].
func SumSquaresRows(dst, x []float32, rows, cols int) {
	eachRow(dst, x, rows, cols, func(row []float32) float32 { return active.sumSquares(row, 0) })
}

func eachRow(dst, x []float32, rows, cols int, f func([]float32) float32) {
	for i := range rows {
		dst[i] = f(x[i*cols:][:cols])
	}
}

// columnRows is how many rows one task of a reduction over rows takes.
const columnRows = 256

// SumColumns sets dst[j] to the sum of column j of x [rows, cols]: the gradient of a bias. Sums run in blocks of 256 rows.
func SumColumns(pool Pool, dst, x []float32, rows, cols int) {
	reduceColumns(pool, dst, x, rows, cols, Add)
}

// MaxColumns sets dst[j] to the largest of column j of x [rows, cols], rows ≥ 1.
func MaxColumns(pool Pool, dst, x []float32, rows, cols int) {
	reduceColumns(pool, dst, x, rows, cols, Max)
}

// MinColumns sets dst[j] to the smallest of column j of x [rows, cols], rows ≥ 1.
func MinColumns(pool Pool, dst, x []float32, rows, cols int) {
	reduceColumns(pool, dst, x, rows, cols, Min)
}

func reduceColumns(pool Pool, dst, x []float32, rows, cols int, op BinaryOp) {
	dst = dst[:cols]
	blocks := ceilDiv(rows, columnRows)
	if blocks == 0 {
		clear(dst)
		return
	}
	partial := newScratch(blocks * cols)
	defer partial.release()
	runBlocks(pool, rows, columnRows, func(from, to int) {
		sum := partial.data[from/columnRows*cols:][:cols]
		copy(sum, x[from*cols:])
		for i := from + 1; i < to; i++ {
			active.binary[op](sum, sum, x[i*cols:][:cols])
		}
	})
	copy(dst, partial.data)
	for b := 1; b < blocks; b++ {
		active.binary[op](dst, dst, partial.data[b*cols:][:cols])
	}
}
