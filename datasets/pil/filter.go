package pil

import (
	"fmt"
	"math"
)

// Filter is a resampling filter. The numbers are Pillow's, which preprocessor_config.json holds as "resample".
type Filter int

// Pillow's resampling filters.
const (
	Nearest  Filter = 0
	Lanczos  Filter = 1
	Bilinear Filter = 2
	Bicubic  Filter = 3
	Box      Filter = 4
	Hamming  Filter = 5
)

var filterNames = [...]string{"nearest", "lanczos", "bilinear", "bicubic", "box", "hamming"}

func (f Filter) String() string {
	if f < 0 || int(f) >= len(filterNames) {
		return fmt.Sprintf("filter %d", int(f))
	}
	return filterNames[f]
}

// support is half the width, in output pixels, over which a filter is not zero.
func (f Filter) support() (float64, error) {
	switch f {
	case Lanczos:
		return 3, nil
	case Bilinear, Hamming:
		return 1, nil
	case Bicubic:
		return 2, nil
	case Box:
		return 0.5, nil
	}
	return 0, fmt.Errorf("%v: the resampling filters are 0 nearest, 1 lanczos, 2 bilinear, 3 bicubic, 4 box, 5 hamming", f)
}

// at is the filter's weight at a distance from its centre. float64(…) around products keeps compilers from fusing them with the sum
// that follows, which would change the last bit and, once in a while, a pixel.
func (f Filter) at(x float64) float64 {
	switch f {
	case Lanczos:
		if -3 <= x && x < 3 {
			return float64(sinc(x) * sinc(x/3))
		}
		return 0
	case Bilinear:
		return max(0, 1-math.Abs(x))
	case Bicubic:
		return bicubic(math.Abs(x))
	case Hamming:
		return hamming(math.Abs(x))
	case Box:
		if -0.5 < x && x <= 0.5 {
			return 1
		}
	}
	return 0
}

func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	x *= math.Pi
	return math.Sin(x) / x
}

// bicubic is Keys' cubic with a = -0.5.
func bicubic(x float64) float64 {
	const a = -0.5
	switch {
	case x < 1:
		return float64(float64(float64(float64((a+2)*x)-(a+3))*x)*x) + 1
	case x < 2:
		return float64((float64((float64((x-5)*x)+8)*x) - 4) * a)
	}
	return 0
}

func hamming(x float64) float64 {
	switch {
	case x == 0:
		return 1
	case x >= 1:
		return 0
	}
	x *= math.Pi
	return float64(math.Sin(x) / x * (0.54 + float64(0.46*math.Cos(x))))
}
