package preprocess

import (
	"encoding/json"
	"fmt"
	"io"
	"math"

	"regft/datasets/pil"
)

// config is preprocessor_config.json of transformers' CLIPImageProcessor; what a file leaves out has that class' default.
type config struct {
	Size          *edge     `json:"size"`
	CropSize      *edge     `json:"crop_size"`
	Resample      *int      `json:"resample"`
	Mean          []float64 `json:"image_mean"`
	Std           []float64 `json:"image_std"`
	RescaleFactor *float64  `json:"rescale_factor"`
	DoResize      *bool     `json:"do_resize"`
	DoCenterCrop  *bool     `json:"do_center_crop"`
	DoRescale     *bool     `json:"do_rescale"`
	DoNormalize   *bool     `json:"do_normalize"`
}

// edge is a size in pixels: 224, {"shortest_edge": 224} or {"height": 224, "width": 224}.
type edge int

func (e *edge) UnmarshalJSON(data []byte) error {
	var number int
	if json.Unmarshal(data, &number) == nil {
		*e = edge(number)
		return nil
	}
	var object struct {
		ShortestEdge int `json:"shortest_edge"`
		Height       int `json:"height"`
		Width        int `json:"width"`
	}
	if err := json.Unmarshal(data, &object); err != nil {
		return fmt.Errorf("a size is a number, {shortest_edge} or {height, width}, not %s", data)
	}
	*e = edge(max(object.ShortestEdge, object.Height))
	if object.Height != object.Width {
		return fmt.Errorf("a size of %d x %d: only squares are supported", object.Width, object.Height)
	}
	return nil
}

// Read reads a checkpoint's preprocessor_config.json.
func Read(r io.Reader) (CLIP, error) {
	var c config
	if err := json.NewDecoder(r).Decode(&c); err != nil {
		return CLIP{}, err
	}
	for name, done := range map[string]*bool{"do_resize": c.DoResize, "do_center_crop": c.DoCenterCrop, "do_rescale": c.DoRescale, "do_normalize": c.DoNormalize} {
		if done != nil && !*done {
			return CLIP{}, fmt.Errorf("%s is false: only CLIP's resize, centre crop, rescale and normalise are supported", name)
		}
	}
	if f := c.RescaleFactor; f != nil && math.Abs(*f*255-1) > 1e-6 {
		return CLIP{}, fmt.Errorf("rescale_factor is %v: only 1/255 is supported", *f)
	}
	return c.clip()
}

func (c config) clip() (CLIP, error) {
	out := ForSize(224)
	if c.Size != nil {
		out.Size, out.Crop = int(*c.Size), int(*c.Size)
	}
	if c.CropSize != nil {
		out.Crop = int(*c.CropSize)
	}
	if out.Size < 1 || out.Crop < 1 {
		return CLIP{}, fmt.Errorf("size %d and crop_size %d: both must be at least 1", out.Size, out.Crop)
	}
	if c.Resample != nil {
		out.Filter = pil.Filter(*c.Resample)
	}
	for _, v := range []struct {
		name string
		from []float64
		to   *[3]float32
	}{{"image_mean", c.Mean, &out.Mean}, {"image_std", c.Std, &out.Std}} {
		if v.from == nil {
			continue
		}
		if len(v.from) != 3 {
			return CLIP{}, fmt.Errorf("%s has %d numbers, not three", v.name, len(v.from))
		}
		for i, x := range v.from {
			v.to[i] = float32(x)
		}
	}
	if min(out.Std[0], out.Std[1], out.Std[2]) <= 0 {
		return CLIP{}, fmt.Errorf("image_std %v: must be above zero", out.Std)
	}
	return out, nil
}
