package clip

import (
	"encoding/json"
	"fmt"
	"math"

	"regft/models/checkpoint"
)

// A Preprocessor is preprocessor_config.json: how a picture becomes pixels. The shorter edge is resized to Resize,
// the middle Crop × Crop cut out, values divided by 255, and (x − Mean) / Std taken for each channel.
type Preprocessor struct {
	Resize   int // pixels of the shorter edge
	Crop     int // pixels a side
	Resample int // Pillow's number of the filter: 2 bilinear, 3 bicubic, …
	Mean     [3]float32
	Std      [3]float32
}

// bicubic is Pillow's number of the filter of all published CLIP checkpoints.
const bicubic = 3

// DefaultPreprocessor is OpenAI's, for pictures of that size.
func DefaultPreprocessor(size int) Preprocessor {
	return Preprocessor{
		Resize: size, Crop: size, Resample: bicubic,
		Mean: [3]float32{0.48145466, 0.4578275, 0.40821073},
		Std:  [3]float32{0.26862954, 0.26130258, 0.27577711},
	}
}

// ReadPreprocessor reads preprocessor_config.json of a checkpoint whose image tower takes pictures of image
// pixels a side. Without that file, and for keys that it leaves out, it is OpenAI's.
func ReadPreprocessor(files checkpoint.Files, image int) (Preprocessor, error) {
	const name = "preprocessor_config.json"
	p := DefaultPreprocessor(image)
	if _, err := files.Path(name); err != nil {
		return p, nil
	}
	raw := processor{Size: edges(image), Crop: edges(image), Resample: bicubic}
	if err := checkpoint.ReadJSON(files, name, &raw); err != nil {
		return p, err
	}
	if err := raw.refused(); err != nil {
		return p, fmt.Errorf("%s: %w", name, err)
	}
	p.Resample = raw.Resample
	p.Resize, p.Crop = int(raw.Size), int(raw.Crop)
	for what, values := range map[*[3]float32]*[]float32{&p.Mean: raw.Mean, &p.Std: raw.Std} {
		if values == nil {
			continue
		}
		if len(*values) != 3 {
			return p, fmt.Errorf("%s: image_mean and image_std need 3 values, one has %d", name, len(*values))
		}
		copy(what[:], *values)
	}
	return p, p.validate(name, image)
}

// processor is transformers' CLIPImageProcessor.
type processor struct {
	Size        edges      `json:"size"`
	Crop        edges      `json:"crop_size"`
	Resample    int        `json:"resample"`
	Mean        *[]float32 `json:"image_mean"`
	Std         *[]float32 `json:"image_std"`
	Factor      *float64   `json:"rescale_factor"`
	DoResize    *bool      `json:"do_resize"`
	DoCrop      *bool      `json:"do_center_crop"`
	DoRescale   *bool      `json:"do_rescale"`
	DoNormalize *bool      `json:"do_normalize"`
}

// refused tells of what CLIP's own preprocessing is not.
func (c processor) refused() error {
	steps := []struct {
		name string
		done *bool
	}{{"do_resize", c.DoResize}, {"do_center_crop", c.DoCrop}, {"do_rescale", c.DoRescale}, {"do_normalize", c.DoNormalize}}
	for _, step := range steps {
		if step.done != nil && !*step.done {
			return fmt.Errorf("%s is false: only resize, centre crop, rescale and normalise, all four, are supported", step.name)
		}
	}
	if c.Factor != nil && math.Abs(*c.Factor*255-1) > 1e-6 {
		return fmt.Errorf("rescale_factor is %v: only 1/255 is supported", *c.Factor)
	}
	return nil
}

func (p Preprocessor) validate(name string, image int) error {
	if p.Crop != image {
		return fmt.Errorf("%s crops to %d pixels, but the image tower takes %d", name, p.Crop, image)
	}
	if p.Resize < p.Crop {
		return fmt.Errorf("%s resizes to %d pixels and then crops %d out of them", name, p.Resize, p.Crop)
	}
	for _, std := range p.Std {
		if !(std > 0) {
			return fmt.Errorf("%s: image_std %v, expected values above 0", name, p.Std)
		}
	}
	return nil
}

// edges is a size as the versions of transformers wrote it: 224, {"shortest_edge": 224} or
// {"height": 224, "width": 224}.
type edges int

func (e *edges) UnmarshalJSON(data []byte) error {
	var n int
	if json.Unmarshal(data, &n) == nil {
		*e = edges(n)
		return nil
	}
	var object struct {
		Shortest int `json:"shortest_edge"`
		Height   int `json:"height"`
		Width    int `json:"width"`
	}
	if err := json.Unmarshal(data, &object); err != nil {
		return err
	}
	switch {
	case object.Shortest > 0:
		*e = edges(object.Shortest)
	case object.Height > 0 && object.Height == object.Width:
		*e = edges(object.Height)
	default:
		return fmt.Errorf("size %s is neither a number, nor a shortest_edge, nor a square", data)
	}
	return nil
}
