package preprocess

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"math/rand/v2"

	"regft/datasets/pil"
)

// RandomResizedCrop is torchvision's augmentation of that name, with a flip after it: a crop of random size and shape, resized to the
// square that the tower takes.
type RandomResizedCrop struct {
	Scale [2]float64 // smallest and largest part of the picture's area
	Ratio [2]float64 // smallest and largest width / height
	Flip  float64    // probability of mirroring left to right
}

// RegFT is the augmentation that RegFT and WiSE-FT train with (wise-ft, clip/clip.py: RandomResizedCrop(scale=(0.9, 1.0)), no flip).
var RegFT = RandomResizedCrop{Scale: [2]float64{0.9, 1}, Ratio: [2]float64{3. / 4, 4. / 3}}

// TipAdapter is the augmentation of Tip-Adapter and CaFo (main.py: RandomResizedCrop(scale=(0.5, 1)), RandomHorizontalFlip(0.5)).
var TipAdapter = RandomResizedCrop{Scale: [2]float64{0.5, 1}, Ratio: [2]float64{3. / 4, 4. / 3}, Flip: 0.5}

// Train writes the values of a picture, augmented, to out, [3, Crop, Crop]. What is drawn depends on seed, epoch and sample alone, so it
// is the same whatever the order, the batch or the number of workers.
func (c CLIP) Train(im *pil.Image, augment RandomResizedCrop, seed uint64, epoch, sample int, out []float32) error {
	d := newDraws(seed, epoch, sample)
	part := im.Crop(augment.crop(im.Width, im.Height, d))
	resized, err := part.Resize(c.Crop, c.Crop, c.Filter)
	if err != nil {
		return err
	}
	if augment.Flip > 0 && d.uniform(0, 1) < augment.Flip {
		resized.FlipHorizontal()
	}
	return c.Normalize(resized, out)
}

// crop draws a part of a picture (RandomResizedCrop.get_params): ten tries, then the largest centred part of an allowed shape.
func (r RandomResizedCrop) crop(width, height int, d draws) pil.Rect {
	for range 10 {
		area := float64(width*height) * d.uniform(r.Scale[0], r.Scale[1])
		ratio := math.Exp(d.uniform(math.Log(r.Ratio[0]), math.Log(r.Ratio[1])))
		w, h := int(math.RoundToEven(math.Sqrt(area*ratio))), int(math.RoundToEven(math.Sqrt(area/ratio)))
		if 0 < w && w <= width && 0 < h && h <= height {
			return pil.Rect{Y: d.below(height - h + 1), X: d.below(width - w + 1), Width: w, Height: h}
		}
	}
	w, h := width, height
	switch shape := float64(width) / float64(height); {
	case shape < r.Ratio[0]:
		h = int(math.RoundToEven(float64(w) / r.Ratio[0]))
	case shape > r.Ratio[1]:
		w = int(math.RoundToEven(float64(h) * r.Ratio[1]))
	}
	return pil.Rect{X: (width - w) / 2, Y: (height - h) / 2, Width: w, Height: h}
}

// draws is a stream of random numbers: ChaCha8 keyed by the SHA-256 of seed, epoch and sample.
type draws struct{ source *rand.ChaCha8 }

func newDraws(seed uint64, epoch, sample int) draws {
	key := binary.LittleEndian.AppendUint64(nil, seed)
	key = binary.LittleEndian.AppendUint64(key, uint64(epoch))
	key = binary.LittleEndian.AppendUint64(key, uint64(sample))
	return draws{rand.NewChaCha8(sha256.Sum256(key))}
}

// uniform draws from low to high, with 53 bits.
func (d draws) uniform(low, high float64) float64 {
	return low + (high-low)*float64(d.source.Uint64()>>11)*0x1p-53
}

// below draws an integer from 0 to n-1.
func (d draws) below(n int) int { return int(d.uniform(0, float64(n))) }
