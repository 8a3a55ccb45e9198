// Package similarity finds pictures that are nearly the same: by a perceptual hash of their pixels, or by the angle
// between their features.
package similarity

import (
	"context"
	"fmt"
	"image"
	"math/bits"

	"github.com/corona10/goimagehash"

	"regft/datasets/pil"
)

// HashBits is the length of a perceptual hash, and the largest distance between two.
const HashBits = 64

// Hash is the perceptual hash of a picture: of the 64 lowest frequencies of its luminance at 64x64 pixels, which are
// above their median. Pictures that look alike differ in few bits: 0 for copies, up to about 8 after recompression.
func Hash(im *pil.Image) (uint64, error) {
	h, err := goimagehash.PerceptionHash(rgba(im))
	if err != nil {
		return 0, fmt.Errorf("hashing a picture of %d x %d pixels: %w", im.Width, im.Height, err)
	}
	return h.GetHash(), nil
}

func rgba(im *pil.Image) *image.RGBA {
	out := image.NewRGBA(image.Rect(0, 0, im.Width, im.Height))
	for i := range im.Width * im.Height {
		copy(out.Pix[4*i:], im.Pix[pil.Channels*i:][:pil.Channels])
		out.Pix[4*i+3] = 255
	}
	return out
}

// A Match is the nearest of some pictures to one: its place among them, and how far it is. Index is −1 where there
// was none to compare with.
type Match struct {
	Index    int
	Distance float64 // bits of a hash, or 1 − the cosine of features
}

// NearestEarlierHash is, for each hash, the nearest of those before it; of equally near ones the first.
func NearestEarlierHash(ctx context.Context, hashes []uint64) ([]Match, error) {
	return nearestHash(ctx, hashes, hashes, true)
}

// NearestHash is, for each hash, the nearest of reference; of equally near ones the first.
func NearestHash(ctx context.Context, hashes, reference []uint64) ([]Match, error) {
	return nearestHash(ctx, hashes, reference, false)
}

func nearestHash(ctx context.Context, hashes, reference []uint64, earlier bool) ([]Match, error) {
	matches := make([]Match, len(hashes))
	for i, h := range hashes {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		candidates := reference
		if earlier {
			candidates = reference[:i]
		}
		at, nearest := -1, HashBits+1
		for j, other := range candidates {
			if d := bits.OnesCount64(h ^ other); d < nearest {
				at, nearest = j, d
			}
		}
		matches[i] = Match{at, float64(min(nearest, HashBits))}
	}
	return matches, nil
}
