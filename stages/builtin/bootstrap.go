package builtin

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
)

// bootstrap gives for each of the quantities of n pictures the 2.5 % and 97.5 % percentiles over resamplings of the
// pictures with replacement (Efron's percentile interval). What is drawn depends on seed and n alone: ChaCha8 keyed by
// their SHA-256. Values that are no number are left out.
func bootstrap(ctx context.Context, resamplings int, seed uint64, n int, quantities func(order []int) map[string]float64) (map[string][2]float64, error) {
	key := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, seed), uint64(n))
	draws := rand.New(rand.NewChaCha8(sha256.Sum256(key)))
	found := map[string][]float64{}
	order := make([]int, n)
	for range resamplings {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		for i := range order {
			order[i] = draws.IntN(n)
		}
		for name, x := range quantities(order) {
			if !math.IsNaN(x) {
				found[name] = append(found[name], x)
			}
		}
	}
	out := map[string][2]float64{}
	for name, values := range found {
		slices.Sort(values)
		out[name] = [2]float64{percentile(values, 0.025), percentile(values, 0.975)}
	}
	return out, nil
}

// percentile is the quantile q of sorted values, between two of them on the line that joins them, as numpy's.
func percentile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	low := int(at)
	high := min(low+1, len(sorted)-1)
	return sorted[low] + (at-float64(low))*(sorted[high]-sorted[low])
}
