package builtin

import (
	"context"
	"errors"
	"fmt"
	goimage "image"
	"math"

	"regft/datasets"
	"regft/datasets/picture"
	"regft/datasets/pil"
	"regft/models/sd"
)

// defaultStrength is that of diffusers' image to image.
const defaultStrength = 0.8

// setInit gives each picture the one that it starts from: round r of a class the class's picture r mod their number, without
// labels picture i the picture i mod their number.
func (g *Generate) setInit(ctx context.Context, pipeline *sd.Pipeline, set *imageSet, drawn []sd.Picture) error {
	if g.Init == nil {
		return nil
	}
	a := g.Init.Artifact()
	from, err := readImages(ctx, a)
	if err != nil {
		return err
	}
	if len(from.images) == 0 {
		return errors.New("there are no pictures")
	}
	places, err := from.places(set)
	if err != nil {
		return err
	}
	width, height := pipeline.Size(g.settings())
	for k, p := range drawn {
		label, round := set.images[p.Index].Label, p.Index
		if label != datasets.Unlabelled && len(from.classes) > 0 {
			round /= len(set.classes)
		} else {
			label = 0
		}
		im := from.images[places[label][round%len(places[label])]]
		drawn[k].Init = func(ctx context.Context) (*goimage.NRGBA, error) {
			r, err := a.Open(ctx, im.FileName)
			if err != nil {
				return nil, err
			}
			defer r.Close()
			decoded, err := picture.Read(r)
			if err != nil {
				return nil, fmt.Errorf("init: %w", unreadable(ctx, a, im.FileName, err))
			}
			return cover(decoded, width, height)
		}
	}
	return nil
}

// places are the numbers of from's pictures by label, all in one list where one of the sets has no labels. Class lists must agree.
func (s *imageSet) places(drawn *imageSet) ([][]int, error) {
	if len(s.classes) == 0 || len(drawn.classes) == 0 {
		return [][]int{everyPicture(s)}, nil
	}
	if len(s.classes) != len(drawn.classes) {
		return nil, fmt.Errorf("%d classes, and the pictures to draw have %d", len(s.classes), len(drawn.classes))
	}
	places := make([][]int, len(s.classes))
	for i, im := range s.images {
		if im.Label != datasets.Unlabelled {
			places[im.Label] = append(places[im.Label], i)
		}
	}
	for label, class := range drawn.classes {
		if !sameClass(s.classes[label], class) {
			return nil, fmt.Errorf("label %d is %q, and of the pictures to draw %q", label, s.classes[label].Folder, class.Folder)
		}
		if places[label] == nil {
			return nil, fmt.Errorf("class %q has no pictures", class.Folder)
		}
	}
	return places, nil
}

// cover scales a picture until it covers width × height, as diffusers scales (Lanczos), and crops its middle.
func cover(im *pil.Image, width, height int) (*goimage.NRGBA, error) {
	scale := max(float64(width)/float64(im.Width), float64(height)/float64(im.Height))
	w, h := max(int(math.Round(float64(im.Width)*scale)), width), max(int(math.Round(float64(im.Height)*scale)), height)
	im, err := im.ResizeWindow(w, h, pil.Rect{X: (w - width) / 2, Y: (h - height) / 2, Width: width, Height: height}, pil.Lanczos)
	if err != nil {
		return nil, err
	}
	out := goimage.NewNRGBA(goimage.Rect(0, 0, width, height))
	for i := range width * height {
		copy(out.Pix[4*i:4*i+3], im.Pix[3*i:3*i+3])
		out.Pix[4*i+3] = 0xff
	}
	return out, nil
}
