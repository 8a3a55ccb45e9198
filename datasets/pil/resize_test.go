package pil

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// picture is the formula of testdata/resize.py.
func picture(width, height int) *Image {
	im := New(width, height)
	for i := range im.Pix {
		n := uint64(i + 1)
		switch v := n * n * 2654435761 >> 16 & 255; {
		case v < 60:
		case v > 200:
			im.Pix[i] = 255
		default:
			im.Pix[i] = uint8(v)
		}
	}
	return im
}

func TestResizeEqualsPillow(t *testing.T) {
	data, err := os.ReadFile("testdata/resize.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		From, To       [2]int
		Filter, SHA256 string
	}
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) == 0 {
		t.Fatal("no cases")
	}
	for _, c := range cases {
		t.Run(fmt.Sprint(c.From, c.To, c.Filter), func(t *testing.T) {
			out, err := picture(c.From[0], c.From[1]).Resize(c.To[0], c.To[1], Filter(slices.Index(filterNames[:], c.Filter)))
			if err != nil {
				t.Fatal(err)
			}
			if sum := sha256.Sum256(out.Pix); hex.EncodeToString(sum[:]) != c.SHA256 {
				t.Error("not what Pillow gives")
			}
		})
	}
}

func TestResizeWindowIsACropOfTheWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		side := rapid.IntRange(1, 60)
		im := picture(side.Draw(t, "from width"), side.Draw(t, "from height"))
		width, height := side.Draw(t, "to width"), side.Draw(t, "to height")
		x, y := rapid.IntRange(0, width-1).Draw(t, "x"), rapid.IntRange(0, height-1).Draw(t, "y")
		window := Rect{x, y, rapid.IntRange(1, width-x).Draw(t, "width"), rapid.IntRange(1, height-y).Draw(t, "height")}
		filter := Filter(rapid.IntRange(0, 5).Draw(t, "filter"))
		whole, err := im.Resize(width, height, filter)
		if err != nil {
			t.Fatal(err)
		}
		part, err := im.ResizeWindow(width, height, window, filter)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(part.Pix, whole.Crop(window).Pix) {
			t.Error("the window differs from the whole")
		}
	})
}

func TestResizeRefuses(t *testing.T) {
	for _, c := range []struct {
		im            *Image
		width, height int
		window        Rect
		filter        Filter
		want          string
	}{
		{New(4, 4), 0, 4, Rect{0, 0, 0, 4}, Bicubic, "at least 1"},
		{New(0, 4), 4, 4, Rect{0, 0, 4, 4}, Bicubic, "at least 1"},
		{New(4, 4), 8, 8, Rect{5, 0, 4, 4}, Bicubic, "not within 8 x 8"},
		{New(4, 4), 8, 8, Rect{-1, 0, 4, 4}, Nearest, "not within 8 x 8"},
		{New(4, 4), 8, 8, Rect{0, 0, 8, 8}, 6, "filter 6"},
	} {
		_, err := c.im.ResizeWindow(c.width, c.height, c.window, c.filter)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: got %v, want %q", c, err, c.want)
		}
	}
}

func TestCropOutsideIsBlack(t *testing.T) {
	im := New(2, 1)
	copy(im.Pix, []uint8{1, 2, 3, 4, 5, 6})
	for _, c := range []struct {
		part Rect
		want []uint8
	}{
		{Rect{1, 0, 2, 1}, []uint8{4, 5, 6, 0, 0, 0}},
		{Rect{-1, -1, 2, 2}, []uint8{0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3}},
		{Rect{5, 5, 1, 1}, []uint8{0, 0, 0}},
	} {
		if got := im.Crop(c.part).Pix; !slices.Equal(got, c.want) {
			t.Errorf("%v: got %v, want %v", c.part, got, c.want)
		}
	}
}

func TestFlipHorizontal(t *testing.T) {
	im := New(3, 1)
	copy(im.Pix, []uint8{1, 2, 3, 4, 5, 6, 7, 8, 9})
	im.FlipHorizontal()
	if !slices.Equal(im.Pix, []uint8{7, 8, 9, 4, 5, 6, 1, 2, 3}) {
		t.Errorf("got %v", im.Pix)
	}
}

func BenchmarkResize(b *testing.B) {
	for _, c := range []struct{ width, height, to int }{{500, 375, 224}, {512, 512, 224}} {
		b.Run(fmt.Sprintf("%dx%d", c.width, c.height), func(b *testing.B) {
			im := picture(c.width, c.height)
			for b.Loop() {
				if _, err := im.Resize(c.to, c.to, Bicubic); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
