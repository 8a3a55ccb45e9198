package jpeg

// transform computes the samples of n rows of blocks from `row` on: the coefficients' values, and libjpeg's accurate integer inverse
// cosine transform of them (jidctint.c).
func (c *component) transform(row, n int, coefficients []int16) {
	across := c.stride * blockSize
	for y := range n {
		active.inverse(c.plane[(row+y)*across:][:across], coefficients[y*across:][:across], c.quant)
	}
}

// inversePortable is inverse of instructionSet.
func inversePortable(samples []uint8, coefficients []int16, quant *[blockSize]uint16) {
	stride := len(samples) / 8
	for i := range len(coefficients) / blockSize {
		block := (*[blockSize]int16)(coefficients[i*blockSize:])
		inverseBlock(samples[i*8:], stride, block, quant)
	}
}

func inverseBlock(samples []uint8, stride int, block *[blockSize]int16, quant *[blockSize]uint16) {
	var work [blockSize]int32
	for x := range 8 {
		in := [8]int32{}
		others := int16(0)
		for y := range 8 {
			others |= block[8*y+x]
			in[y] = int32(block[8*y+x] * int16(quant[8*y+x]))
		}
		if others == 0 {
			continue
		}
		for y, v := range oneDimension(&in) {
			work[8*y+x] = min(max((v+1<<10)>>11, -1<<15), 1<<15-1)
		}
	}
	for y := range 8 {
		out := samples[y*stride:][:8]
		for x, v := range oneDimension((*[8]int32)(work[8*y:])) {
			out[x] = uint8(min(max((v+1<<17)>>18+128, 0), 255))
		}
	}
}

// oneDimension transforms eight values, with 13 more fractional bits in the result. The factors are sums of jidctint.c's constants,
// which have 13 bits: it computes the same with fewer products.
func oneDimension(in *[8]int32) [8]int32 {
	sum, difference := (in[0]+in[4])<<13, (in[0]-in[4])<<13
	a, b := 10703*in[2]+4433*in[6], 4433*in[2]-10704*in[6]
	even := [4]int32{sum + a, difference + b, difference - b, sum - a}
	odd := [4]int32{
		11363*in[1] + 9633*in[3] + 6437*in[5] + 2260*in[7],
		9633*in[1] - 2259*in[3] - 11362*in[5] - 6436*in[7],
		6437*in[1] - 11362*in[3] + 2261*in[5] + 9633*in[7],
		2260*in[1] - 6436*in[3] + 9633*in[5] - 11363*in[7],
	}
	return [8]int32{
		even[0] + odd[0], even[1] + odd[1], even[2] + odd[2], even[3] + odd[3],
		even[3] - odd[3], even[2] - odd[2], even[1] - odd[1], even[0] - odd[0],
	}
}
