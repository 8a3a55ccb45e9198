// Command gen writes the functions of package kernels for AVX2 and FMA, or for AVX-512: avx2_amd64.s or avx512_amd64.s, and
// their Go declarations. Run it with go generate in the package's folder. It is a module of its own, so that nobody who builds
// the package needs avo.
package main

import (
	"flag"

	. "github.com/mmcloughlin/avo/build"
)

var set = flag.String("set", "avx2", "the instruction set: avx2 or avx512")

func main() {
	flag.Parse()
	ConstraintExpr("amd64")
	avx512 = *set == "avx512"
	if avx512 {
		tile512()
		transpose512()
		copyRows512()
		attention512()
	} else {
		tile()
	}
	elementwiseFunctions()
	reductions()
	if !avx512 {
		transpose()
	}
	winograd()
	adamW()
	halves()
	Generate()
}
