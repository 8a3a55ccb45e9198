package picture

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func read(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata/pictures", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestTruncated cuts one file of every format at many places: each is refused, but a JPEG that lacks no more than its end marker, which
// Pillow reads as well.
func TestTruncated(t *testing.T) {
	for _, name := range []string{"rgb.png", "interlaced.png", "420.jpg", "420_progressive.jpg", "grey.jpg", "cmyk.jpg", "lossless.webp", "lossy.webp",
		"rgb.gif", "rgb.bmp", "rgb_tiff_lzw.tif", "rgb.ppm", "plain.ppm"} {
		t.Run(name, func(t *testing.T) {
			data := read(t, name)
			for _, cut := range []int{3, 10, 30, len(data) / 2, len(data) * 3 / 4, len(data) - 40} {
				if cut <= 0 || cut >= len(data) {
					continue
				}
				if _, err := Decode(data[:cut]); err == nil {
					t.Errorf("the first %d of %d bytes are read as if they were all", cut, len(data))
				}
			}
		})
	}
}

func TestJPEGWithoutItsEndMarkerIsWhole(t *testing.T) {
	data := read(t, "420.jpg")
	im, err := Decode(data[:len(data)-2])
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(im.Pix, open(t, "420.jpg").Pix) {
		t.Error("not the picture that the whole file has")
	}
}

func TestDecodeErrorsSayWhatIsWrong(t *testing.T) {
	bomb := bytes.Clone(read(t, "rgb.png"))
	binary.BigEndian.PutUint32(bomb[16:], 50_000)
	binary.BigEndian.PutUint32(bomb[20:], 50_000)
	binary.BigEndian.PutUint32(bomb[29:], crc32.ChecksumIEEE(bomb[12:29]))
	big := bytes.Clone(read(t, "rgb.png"))
	binary.BigEndian.PutUint32(big[16:], 8_000)
	binary.BigEndian.PutUint32(big[20:], 9_000)
	binary.BigEndian.PutUint32(big[29:], crc32.ChecksumIEEE(big[12:29]))
	flipped := bytes.Clone(read(t, "rgb.png"))
	flipped[len(flipped)-30] ^= 1
	baseline, progressive, restarts := read(t, "420.jpg"), read(t, "420_progressive.jpg"), read(t, "420_restarts.jpg")
	scan := baseline[bytes.Index(baseline, []byte("\xff\xda")):]
	sizes := bytes.Clone(baseline)
	sizes[bytes.Index(sizes, []byte("\xff\xc4"))+4+1+16] = 16
	animation := append([]byte("RIFF\x12\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00\x02"), make([]byte, 9)...)
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"missing scans":     {append(progressive[:len(progressive)*2/3:len(progressive)*2/3], 0xff, 0xd9), "ends before the last of its progressive scans"},
		"a scan twice":      {append(baseline[:len(baseline)-2:len(baseline)-2], scan...), "a scan after the last"},
		"two pictures":      {append(baseline[:len(baseline)-2:len(baseline)-2], baseline...), "a second start-of-image marker"},
		"a restart missing": {bytes.Replace(restarts, []byte("\xff\xd0"), nil, 1), "marker 0xd1 where restart marker 0xd0 is due"},
		"a strange marker":  {bytes.Replace(baseline, []byte("\xff\xdb"), []byte("\xff\xf0"), 1), "an unknown marker, 0xf0"},
		"16 bits of DC":     {sizes, "a bad Huffman table"},
		"animated WebP":     {animation, "it is an animation"},
		"cut WebP":          {read(t, "lossless.webp")[:60], "truncated WebP"},
		"CMYK in TIFF":      {bytes.Replace(read(t, "rgb_None.tif"), []byte("\x06\x01\x03\x00\x01\x00\x00\x00\x02"), []byte("\x06\x01\x03\x00\x01\x00\x00\x00\x05"), 1), "save it anew as PNG"},
		"arithmetic":        {bytes.Replace(read(t, "420.jpg"), []byte("\xff\xc0\x00"), []byte("\xff\xc9\x00"), 1), "arithmetic coding, which is not supported: save it anew"},
		"lossless":          {bytes.Replace(read(t, "420.jpg"), []byte("\xff\xc0\x00"), []byte("\xff\xc3\x00"), 1), "lossless JPEG, which is not supported"},
		"12 bits":           {bytes.Replace(read(t, "420.jpg"), []byte("\xff\xc0\x00\x11\x08"), []byte("\xff\xc0\x00\x11\x0c"), 1), "12 bits are not supported"},
		"empty":             {nil, "the file is empty"},
		"text":              {[]byte("hello, world"), "not a PNG"},
		"AppleDouble":       {[]byte("\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        "), "not a PNG"},
		"bomb":              {bomb, "50000 x 50000 pixels are more"},
		"lie":               {big, "truncated PNG"},
		"flipped":           {flipped, "broken PNG"},
		"pgm":               {[]byte("P5 2 2 70000\n1234"), "70000"},
		"plain pgm":         {[]byte("P2 2 1 5\n1 6"), "a value of 6"},
		"letters":           {[]byte("P2 2 x 5\n1 6"), `"x" is no number`},
		"zero":              {[]byte("P5 0 4 255\n1234"), "0 x 4 pixels"},
		"long":              {[]byte("P5 3 4 255\n1234"), "truncated PNM"},
	} {
		if _, err := Decode(c.data); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

func TestOpenNamesTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "broken.png")
	if err := os.WriteFile(path, read(t, "rgb.png")[:100], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "truncated PNG") {
		t.Errorf("got %v", err)
	}
}

func TestHasExtension(t *testing.T) {
	for name, want := range map[string]bool{"a.jpg": true, "A.JPEG": true, "x.Tiff": true, "x.gif": false, "jpg": false, "a.txt": false, ".jpg": true, "a.b/c": false} {
		if HasExtension(name) != want {
			t.Errorf("%s: %v", name, !want)
		}
	}
}

// FuzzDecode feeds damaged files: the decoder may refuse, but neither panics nor gives a picture whose size and pixels disagree.
func FuzzDecode(f *testing.F) {
	paths, err := filepath.Glob("testdata/pictures/*")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		im, err := Decode(data)
		if err == nil && (im.Width < 1 || im.Height < 1 || len(im.Pix) != im.Width*im.Height*3) {
			t.Errorf("%d x %d pixels, %d values", im.Width, im.Height, len(im.Pix))
		}
	})
}
