package report

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"html/template"
	"image"
	_ "image/jpeg" // formats of samples
	"image/png"
	"slices"
	"strings"

	"golang.org/x/image/draw"
	_ "golang.org/x/image/webp"
)

// Bounds of what one page shows: a thumbnail's side in pixels, and rows and columns of pictures.
const (
	thumbnailSide    = 96
	maxSampleClasses = 24
	maxImagePixels   = 64 << 20
)

// MaxSampleGroups is how many rows of sample pictures a page shows. It tells whether there are more.
const MaxSampleGroups = 12

// A gallery is samples as a grid: a row for each group, a column for each class.
type gallery struct {
	Classes []string
	Rows    []galleryRow
	Note    string // what was left out
}

type galleryRow struct {
	Group string
	Cells []thumbnail
}

// A thumbnail is a picture of the page, or none.
type thumbnail struct {
	URI      template.URL
	Alt      string
	Pixelate bool // drawn larger than it is
}

func newGallery(samples []Sample) (gallery, error) {
	var g gallery
	var groups []string
	for _, s := range samples {
		if !slices.Contains(g.Classes, s.Class) {
			g.Classes = append(g.Classes, s.Class)
		}
		if !slices.Contains(groups, s.Group) {
			groups = append(groups, s.Group)
		}
	}
	g.Note = leftOut(len(g.Classes), len(groups))
	g.Classes = g.Classes[:min(len(g.Classes), maxSampleClasses)]
	for _, name := range groups[:min(len(groups), MaxSampleGroups)] {
		row, err := g.row(name, samples)
		if err != nil {
			return g, err
		}
		g.Rows = append(g.Rows, row)
	}
	return g, nil
}

func leftOut(classes, groups int) string {
	var parts []string
	if classes > maxSampleClasses {
		parts = append(parts, fmt.Sprintf("the first %d of %d classes", maxSampleClasses, classes))
	}
	if groups > MaxSampleGroups {
		parts = append(parts, fmt.Sprintf("the first %d rows", MaxSampleGroups))
	}
	if len(parts) == 0 {
		return ""
	}
	return "Shown: " + strings.Join(parts, ", ") + "."
}

// row holds the first sample of each class in a group.
func (g gallery) row(group string, samples []Sample) (galleryRow, error) {
	row := galleryRow{Group: group, Cells: make([]thumbnail, len(g.Classes))}
	for _, s := range samples {
		i := slices.Index(g.Classes, s.Class)
		if s.Group != group || i < 0 || row.Cells[i].URI != "" {
			continue
		}
		t, err := newThumbnail(s)
		if err != nil {
			return row, fmt.Errorf("sample picture of %q in %q: %w", s.Class, s.Group, err)
		}
		row.Cells[i] = t
	}
	return row, nil
}

// newThumbnail embeds a sample, scaled down to thumbnailSide where it is larger.
func newThumbnail(s Sample) (thumbnail, error) {
	content, err := s.Read()
	if err != nil {
		return thumbnail{}, err
	}
	size, _, err := image.DecodeConfig(bytes.NewReader(content))
	if err != nil {
		return thumbnail{}, err
	}
	if size.Width*size.Height > maxImagePixels || size.Width*size.Height == 0 {
		return thumbnail{}, fmt.Errorf("%d×%d pixels: want at most %d", size.Width, size.Height, maxImagePixels)
	}
	img, _, err := image.Decode(bytes.NewReader(content))
	if err != nil {
		return thumbnail{}, err
	}
	var b bytes.Buffer
	if err := png.Encode(&b, shrink(img)); err != nil {
		return thumbnail{}, err
	}
	uri := template.URL("data:image/png;base64," + base64.StdEncoding.EncodeToString(b.Bytes())) // our own bytes
	alt := s.Class
	if s.Detail != "" {
		alt += ": " + s.Detail
	}
	return thumbnail{uri, alt, max(size.Width, size.Height) < thumbnailSide}, nil
}

func shrink(img image.Image) image.Image {
	w, h := img.Bounds().Dx(), img.Bounds().Dy()
	longest := max(w, h)
	if longest <= thumbnailSide {
		return img
	}
	out := image.NewRGBA(image.Rect(0, 0, max(w*thumbnailSide/longest, 1), max(h*thumbnailSide/longest, 1)))
	draw.CatmullRom.Scale(out, out.Bounds(), img, img.Bounds(), draw.Src, nil)
	return out
}
