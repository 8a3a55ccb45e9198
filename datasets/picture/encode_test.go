package picture

import (
	"bytes"
	"compress/zlib"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"image"
	"image/png"
	"io"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"regft/datasets/pil"
)

// waves is a smooth picture of integers alone, the same on every machine.
func waves(width, height int) *pil.Image {
	im := pil.New(width, height)
	for i := range im.Pix {
		x, y := i/3%width, i/3/width
		im.Pix[i] = uint8(x*y/7 + (i%3)*(x+2*y) + i*i%11)
	}
	return im
}

// TestIsWholePNG: no bit turned, no byte cut off and none added goes unseen.
func TestIsWholePNG(t *testing.T) {
	var b bytes.Buffer
	if err := EncodePNG(&b, waves(9, 7), Text{"parameters", "a fox"}); err != nil {
		t.Fatal(err)
	}
	content := b.Bytes()
	if !IsWholePNG(content) {
		t.Error("what EncodePNG writes is not whole")
	}
	for at := range content {
		if IsWholePNG(content[:at]) {
			t.Errorf("%d of %d bytes are whole", at, len(content))
		}
		for bit := range 8 {
			content[at] ^= 1 << bit
			if IsWholePNG(content) {
				t.Errorf("with bit %d of byte %d turned it is whole", bit, at)
			}
			content[at] ^= 1 << bit
		}
	}
	if IsWholePNG(append(content, 0)) {
		t.Error("with a byte more it is whole")
	}
}

// TestPNGBytesNeverChange holds digests that must stay: results in people's caches are keyed by them.
func TestPNGBytesNeverChange(t *testing.T) {
	for _, c := range []struct {
		im   *pil.Image
		want string
	}{
		{pil.New(1, 1), "b3924553219ca50979d28e68d0c96b26f5a2cf9a1dd6c58393e07ce70f0a9207"},
		{pil.New(224, 224), "e26cddf84a590f84332be47cf4913ea5137920e5d17269a5dc6331153c2e1133"},
		{waves(33, 21), "c1b6925995749fce7562bb37af0eae0ca08e3abb84898e9cfeabf6bc7609b404"},
		{waves(224, 224), "9ffff87ac9c3fd533edd325cee5e874f8bf3ef8464d464d3b924be39ccf15eb1"},
	} {
		sum := sha256.Sum256(encode(t, c.im))
		if got := hex.EncodeToString(sum[:]); got != c.want {
			t.Errorf("%d x %d: %s, want %s", c.im.Width, c.im.Height, got, c.want)
		}
	}
}

type fataler interface {
	Helper()
	Fatal(...any)
}

func encode(t fataler, im *pil.Image) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := EncodePNG(&out, im); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestPNGRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		im := pil.New(rapid.IntRange(1, 40).Draw(t, "width"), rapid.IntRange(1, 40).Draw(t, "height"))
		values := rapid.IntRange(1, 256).Draw(t, "values")
		seed := rapid.Uint64().Draw(t, "seed")
		for i := range im.Pix {
			seed = seed*6364136223846793005 + 1442695040888963407
			im.Pix[i] = uint8(int(seed>>40) % values)
		}
		data := encode(t, im)
		again, err := Decode(data)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(again.Pix, im.Pix) {
			t.Fatal("other pixels")
		}
		if _, err := png.Decode(bytes.NewReader(data)); err != nil {
			t.Fatal(err)
		}
	})
}

// TestDeflateRoundTrip is about what pictures seldom hold: single symbols, long runs, and counts like Fibonacci's numbers, whose Huffman
// code would be deeper than deflate allows.
func TestDeflateRoundTrip(t *testing.T) {
	fibonacci := []byte{}
	for symbol, a, b := 0, 1, 1; symbol < 24; symbol++ {
		for i := range a {
			fibonacci = append(fibonacci, byte(symbol), byte(100+i%2))
		}
		a, b = b, a+b
	}
	cases := [][]byte{nil, {7}, {7, 7, 7}, {7, 7, 7, 7}, bytes.Repeat([]byte{0}, 100_000), bytes.Repeat([]byte{1, 2}, 300), fibonacci}
	for n := 1; n < 600; n++ {
		cases = append(cases, append(bytes.Repeat([]byte{9}, n), 1))
	}
	for _, data := range cases {
		r, err := zlib.NewReader(bytes.NewReader(deflate(data)))
		if err != nil {
			t.Fatal(err)
		}
		again, err := io.ReadAll(r)
		if err != nil {
			t.Fatalf("%d bytes: %v", len(data), err)
		}
		if !bytes.Equal(again, data) {
			t.Fatalf("%d bytes come back as others", len(data))
		}
	}
}

// TestPNGIsSmall compares with the standard library's compressor, which searches for matches.
func TestPNGIsSmall(t *testing.T) {
	photo := open(t, "420_noise.jpg")
	for i := range photo.Pix { // smooth, and a little noise
		x, y := i/3%photo.Width, i/3/photo.Width
		photo.Pix[i] = uint8(127 + 90*math.Sin(float64(x)/9+float64(i%3))*math.Cos(float64(y)/13) + float64(photo.Pix[i])/32)
	}
	for name, im := range map[string]*pil.Image{"photograph": photo, "flat": pil.New(224, 224)} {
		standard := image.NewNRGBA(image.Rect(0, 0, im.Width, im.Height))
		for i := range im.Width * im.Height {
			copy(standard.Pix[i*4:], append(im.Pix[i*3:i*3+3:i*3+3], 255))
		}
		var theirs bytes.Buffer
		if err := png.Encode(&theirs, standard); err != nil {
			t.Fatal(err)
		}
		ours := len(encode(t, im))
		t.Logf("%s: %d bytes, image/png %d", name, ours, theirs.Len())
		if float64(ours) > 1.1*float64(theirs.Len())+1000 {
			t.Errorf("%s: %d bytes, where image/png needs %d", name, ours, theirs.Len())
		}
	}
}

func BenchmarkEncodePNG(b *testing.B) {
	im := waves(224, 224)
	for b.Loop() {
		if err := EncodePNG(io.Discard, im); err != nil {
			b.Fatal(err)
		}
	}
}

// TestEncodePNGText: texts do not touch the pixels, and are chunks that other decoders take.
func TestEncodePNGText(t *testing.T) {
	im := pil.New(3, 2)
	im.Pix[4] = 200
	var plain, noted bytes.Buffer
	if err := errors.Join(EncodePNG(&plain, im), EncodePNG(&noted, im, Text{"parameters", "née\nSteps: 1"}, Text{"parameters", "鯉"})); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"tEXtparameters\x00n\xe9e\nSteps: 1", "iTXtparameters\x00\x00\x00\x00\x00鯉"} {
		if !strings.Contains(noted.String(), want) {
			t.Errorf("%q is not there", want)
		}
	}
	got, err := Read(&noted)
	if err != nil || !slices.Equal(got.Pix, im.Pix) {
		t.Errorf("decoded to %v, %v", got, err)
	}
}
