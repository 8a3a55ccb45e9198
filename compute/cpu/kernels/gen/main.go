// Command gen writes the AVX2 and FMA functions of package kernels: avx2_amd64.s and their Go declarations. Run it with
// go generate in the package's folder. It is a module of its own, so that nobody who builds the package needs avo.
package main

import (
	. "github.com/mmcloughlin/avo/build"
)

func main() {
	ConstraintExpr("amd64")
	tile()
	elementwiseFunctions()
	reductions()
	transpose()
	winograd()
	adamW()
	halves()
	Generate()
}
