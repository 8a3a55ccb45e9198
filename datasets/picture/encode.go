package picture

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"

	"regft/datasets/pil"
)

const pngSignature = "\x89PNG\r\n\x1a\n"

// EncodePNG writes a picture as PNG. The same pixels give the same bytes for ever: digests of generated pictures, and with them the keys
// of all that follows, depend on them. So the compressor is our own (deflate.go): the standard library's may change with any release of
// Go, as may other people's. It spends little: row filters, then runs and Huffman codes, without a search for longer matches, which
// photographs hardly have. Texts come before the pixels.
func EncodePNG(w io.Writer, im *pil.Image, texts ...Text) error {
	header := binary.BigEndian.AppendUint32(nil, uint32(im.Width))
	header = binary.BigEndian.AppendUint32(header, uint32(im.Height))
	header = append(header, 8, 2, 0, 0, 0) // 8 bits, RGB, deflate, adaptive filters, not interlaced
	out := []byte(pngSignature)
	out = appendChunk(out, "IHDR", header)
	for _, t := range texts {
		out = t.appendTo(out)
	}
	out = appendChunk(out, "IDAT", deflate(filterRows(im)))
	out = appendChunk(out, "IEND", nil)
	_, err := w.Write(out)
	return err
}

// IsWholePNG says that a PNG is there from its signature to its end, each chunk with its own sum: as it was written, but for
// what 32 bits do not tell.
func IsWholePNG(data []byte) bool {
	data, signed := bytes.CutPrefix(data, []byte(pngSignature))
	for signed && len(data) >= 12 {
		size := uint64(binary.BigEndian.Uint32(data))
		if uint64(len(data)) < size+12 || crc32.ChecksumIEEE(data[4:size+8]) != binary.BigEndian.Uint32(data[size+8:]) {
			return false
		}
		if string(data[4:8]) == "IEND" {
			return len(data) == 12
		}
		data = data[size+12:]
	}
	return false
}

// Text is a note in a picture. The keyword has 1 to 79 letters of Latin-1.
type Text struct{ Keyword, Text string }

// appendTo writes a chunk tEXt where Latin-1 has all of the text, else iTXt in UTF-8, as Pillow's PngInfo does.
func (t Text) appendTo(out []byte) []byte {
	latin := make([]byte, 0, len(t.Text))
	for _, r := range t.Text {
		if r > 0xff {
			return appendChunk(out, "iTXt", append([]byte(t.Keyword+"\x00\x00\x00\x00\x00"), t.Text...)) // not compressed, of no language
		}
		latin = append(latin, byte(r))
	}
	return appendChunk(out, "tEXt", append([]byte(t.Keyword+"\x00"), latin...))
}

func appendChunk(out []byte, kind string, data []byte) []byte {
	out = binary.BigEndian.AppendUint32(out, uint32(len(data)))
	start := len(out)
	out = append(append(out, kind...), data...)
	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(out[start:]))
}

// filterRows returns every row after the number of the PNG filter that leaves the smallest sum of absolute differences, the first of
// equals: the heuristic of the PNG specification (12.8).
func filterRows(im *pil.Image) []byte {
	stride := im.Width * pil.Channels
	out := make([]byte, 0, (stride+1)*im.Height)
	above := make([]byte, stride)
	var candidates [5][]byte
	for i := range candidates {
		candidates[i] = make([]byte, stride)
	}
	for y := range im.Height {
		row := im.Row(y)
		filterRow(&candidates, row, above)
		best := 0
		for f := range candidates {
			if magnitude(candidates[f]) < magnitude(candidates[best]) {
				best = f
			}
		}
		out = append(append(out, byte(best)), candidates[best]...)
		above = row
	}
	return out
}

// filterRow writes a row less its prediction: by nothing, the pixel to the left, the one above, their mean, and Paeth's choice.
func filterRow(out *[5][]byte, row, above []byte) {
	for i, v := range row {
		var left, corner byte
		if i >= pil.Channels {
			left, corner = row[i-pil.Channels], above[i-pil.Channels]
		}
		out[0][i] = v
		out[1][i] = v - left
		out[2][i] = v - above[i]
		out[3][i] = v - byte((int(left)+int(above[i]))/2)
		out[4][i] = v - paeth(left, above[i], corner)
	}
}

// paeth is whichever of left, above and corner is closest to left + above - corner.
func paeth(left, above, corner byte) byte {
	toLeft, toAbove := int(above)-int(corner), int(left)-int(corner)
	toCorner := abs(toLeft + toAbove)
	toLeft, toAbove = abs(toLeft), abs(toAbove)
	switch {
	case toLeft <= toAbove && toLeft <= toCorner:
		return left
	case toAbove <= toCorner:
		return above
	}
	return corner
}

// magnitude is the sum of the bytes taken as signed numbers.
func magnitude(row []byte) (sum int) {
	for _, v := range row {
		sum += abs(int(int8(v)))
	}
	return sum
}

func abs(v int) int { return max(v, -v) }
