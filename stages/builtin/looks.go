package builtin

import (
	"context"
	"math"

	"golang.org/x/sync/errgroup"

	"regft/datasets/picture"
	"regft/datasets/pil"
	"regft/datasets/similarity"
	"regft/stages"
)

// A look is what the pixels of one picture say, without a model.
type look struct {
	hash      uint64  // perceptual
	deviation float64 // standard deviation of its values, of 255
	broken    error   // why it could not be decoded
}

// lookAt decodes every picture of a. What cannot be decoded is no error: its look says so.
func lookAt(ctx context.Context, env *stages.Env, a stages.Artifact, set *imageSet) ([]look, error) {
	looks := make([]look, len(set.images))
	group, first := errgroup.WithContext(ctx) // ended by the first error
	group.SetLimit(max(env.Cores, 1))
	for i, im := range set.images {
		if first.Err() != nil {
			break
		}
		group.Go(func() error {
			f, err := a.Open(first, im.FileName)
			if err != nil {
				return err
			}
			defer f.Close()
			pixels, err := picture.Read(f)
			if err != nil {
				looks[i] = look{broken: err}
				return first.Err()
			}
			looks[i].deviation = deviation(pixels)
			looks[i].hash, looks[i].broken = similarity.Hash(pixels)
			return first.Err()
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return looks, ctx.Err()
}

// deviation is the standard deviation of a picture's values, each colour about its own mean.
func deviation(im *pil.Image) float64 {
	var sum, squares [pil.Channels]float64
	for i, v := range im.Pix {
		sum[i%pil.Channels] += float64(v)
		squares[i%pil.Channels] += float64(v) * float64(v)
	}
	n, variance := float64(im.Width*im.Height), 0.0
	for c := range sum {
		variance += max(squares[c]/n-sum[c]/n*sum[c]/n, 0)
	}
	return math.Sqrt(variance / pil.Channels)
}
