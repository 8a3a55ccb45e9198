package pil

import "math"

// weights are those of one direction of a resize: out[i] = sum over j of of(i)[j] * in[first[i]+j].
type weights struct {
	first  []int    // first input position of every output position
	ends   []int    // where every output position's kernel ends in `kernel`
	kernel []uint64 // fixed point with `precision` fractional bits, negative ones in two's complement
	copies bool     // the size stays: every output is the input at `first`
}

// of returns the kernel of an output position.
func (w *weights) of(i int) []uint64 {
	if i == 0 {
		return w.kernel[:w.ends[0]]
	}
	return w.kernel[w.ends[i-1]:w.ends[i]]
}

// longest is the length of the longest kernel.
func (w *weights) longest() int {
	most := 0
	for i := range w.first {
		most = max(most, len(w.of(i)))
	}
	return most
}

// inputs returns the first input position that has any weight, and the one after the last.
func (w *weights) inputs() (first, end int) {
	last := len(w.first) - 1
	return w.first[0], w.first[last] + len(w.of(last))
}

// after returns the same weights for an input that begins at position `start` of the former.
func (w weights) after(start int) weights {
	moved := make([]int, len(w.first))
	for i, first := range w.first {
		moved[i] = first - start
	}
	w.first = moved
	return w
}

// copying are the weights of a direction that keeps its size, which Pillow leaves out.
func copying(start, count int) weights {
	w := weights{first: make([]int, count), ends: make([]int, count), kernel: make([]uint64, count), copies: true}
	for i := range count {
		w.first[i], w.ends[i], w.kernel[i] = start+i, i+1, 1<<precision
	}
	return w
}

// weightsFor computes the kernels of `count` output positions from `start` on, of a resize from `in` to `out` positions
// (precompute_coeffs and normalize_coeffs_8bpc of Pillow).
func weightsFor(in, out, start, count int, filter Filter) (weights, error) {
	support, err := filter.support()
	if err != nil {
		return weights{}, err
	}
	if in == out {
		return copying(start, count), nil
	}
	scale := float64(in) / float64(out)
	stretch := max(scale, 1) // antialias: when shrinking, the filter covers as many inputs as an output pixel does
	support *= stretch
	w := weights{first: make([]int, count), ends: make([]int, count), kernel: make([]uint64, 0, count*(2*int(math.Ceil(support))+1))}
	values := make([]float64, 0, 2*int(math.Ceil(support))+1)
	for i := range count {
		centre := float64((float64(start+i) + 0.5) * scale)
		first, end := max(int(centre-support+0.5), 0), min(int(centre+support+0.5), in)
		values = filterValues(values[:0], filter, first, end, centre, 1/stretch)
		for _, v := range values {
			w.kernel = append(w.kernel, fixed(v))
		}
		w.first[i], w.ends[i] = first, len(w.kernel)
	}
	return w, nil
}

// filterValues appends the filter at the inputs from first to end, scaled to sum to one.
func filterValues(values []float64, filter Filter, first, end int, centre, shrink float64) []float64 {
	sum := 0.0
	for x := first; x < end; x++ {
		v := filter.at((float64(x) - centre + 0.5) * shrink)
		values = append(values, v)
		sum += v
	}
	if sum != 0 {
		for i := range values {
			values[i] /= sum
		}
	}
	return values
}

// fixed rounds half away from zero.
func fixed(v float64) uint64 {
	if v < 0 {
		return uint64(int64(-0.5 + float64(v*(1<<precision))))
	}
	return uint64(0.5 + float64(v*(1<<precision)))
}
