// Package jpeg decodes JPEG files to the pixels that libjpeg-turbo gives by default, and so Pillow: the accurate integer inverse
// cosine transform, "fancy" upsampling, the same fixed point for colours. Every value is equal, not close.
//
// Baseline, extended and progressive files of 8 bits with Huffman codes, restart markers and any sampling factors are read; arithmetic
// coding, lossless files and 12 bits are refused by name. As in libjpeg, a segment that a marker ends too early is grey from there on;
// a file that just ends there is truncated. What libjpeg makes up for with a warning is an error: codes that no table has, restart markers
// out of order, scans that a progressive file lacks (it smoothes them over). Where libjpeg's C code and its SIMD code differ, in broken files
// alone, the values are those of the SIMD code for x86.
//
// Reference: libjpeg-turbo 3.1 (jdmarker.c, jdhuff.c, jdphuff.c, jidctint.c, jdsample.c, jdcolor.c).
package jpeg

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"regft/datasets/pil"
)

// The markers of a file (ITU T.81, table B.1).
const (
	sof0 = 0xc0 // baseline
	sof1 = 0xc1 // extended sequential
	sof2 = 0xc2 // progressive
	dht  = 0xc4
	jpg  = 0xc8 // reserved
	dac  = 0xcc
	rst0 = 0xd0
	rst7 = 0xd7
	soi  = 0xd8
	eoi  = 0xd9
	sos  = 0xda
	dqt  = 0xdb
	dri  = 0xdd
	app0 = 0xe0
	appE = 0xee // Adobe's
	appF = 0xef
	com  = 0xfe
	tem  = 0x01
)

// maxBlocksInMCU is T.81's and libjpeg's limit.
const maxBlocksInMCU = 10

// blockSize is the number of coefficients of a block.
const blockSize = 64

// smoothed is the number of coefficients, from the first on, whose missing bits libjpeg makes up for.
const smoothed = 10

// decoder is a file that is being decoded.
type decoder struct {
	data []byte
	at   int // next byte

	width, height int
	progressive   bool
	components    []component
	maxH, maxV    int // largest sampling factors
	across, down  int // MCUs of a scan of all components

	quant   [4]*[blockSize]uint16 // in natural order
	dc, ac  [4]*huffman
	restart int // MCUs between restart markers, or 0

	jfif  bool
	adobe int // Adobe's transform, or -1

	segment []byte // of entropy-coded data, without stuffed bytes, and padding
}

// component is a plane of the picture: luma, chroma, an ink.
type component struct {
	id            byte
	h, v          int // sampling factors
	table         int // of quantisation
	width, height int // in samples
	across, down  int // blocks that hold samples
	stride, rows  int // blocks in whole MCUs, the stride made even (see inverse)
	quant         *[blockSize]uint16
	missing       [blockSize]int // of progressive files, by place in the file's order: 1 and how many bits are missing, 0 for all
	coefficients  []int16        // [rows, stride, 64], natural order; of sequential files with one scan one row of MCUs
	plane         []uint8        // [rows*8, stride*8] samples
}

// row returns the samples of a row.
func (c *component) row(y int) []uint8 { return c.plane[y*c.stride*8:][:c.width] }

// A SizeFunc refuses sizes in pixels before anything is allocated for them.
type SizeFunc func(width, height int) error

// Decode decodes a file. Errors are io.ErrUnexpectedEOF where it ends too early, check's, or say what is wrong.
func Decode(data []byte, check SizeFunc) (*pil.Image, error) {
	d := &decoder{data: data, adobe: -1}
	if len(data) < 4 || data[0] != 0xff || data[1] != soi {
		return nil, errors.New("no start-of-image marker")
	}
	d.at = 2
	if err := d.read(check); err != nil {
		return nil, err
	}
	return d.picture()
}

// read goes through the file until all samples are there.
func (d *decoder) read(check SizeFunc) error {
	for {
		marker, err := d.marker()
		switch {
		case err != nil:
			return err
		case marker == eoi:
			return d.end()
		case marker == sos:
			done, err := d.scan()
			if err != nil {
				return err
			}
			if done {
				return d.rest(check)
			}
			continue
		}
		if err := d.segmentOf(marker, check); err != nil {
			return err
		}
	}
}

// end is what the end marker asks for: the transforms of files that keep their coefficients.
func (d *decoder) end() error {
	if len(d.components) == 0 {
		return errors.New("it has no picture")
	}
	for i := range d.components {
		c := &d.components[i]
		if c.quant == nil {
			return fmt.Errorf("component %d is in no scan", c.id)
		}
		if d.progressive && slices.ContainsFunc(c.missing[:smoothed], func(v int) bool { return v != 1 }) {
			return errors.New("it ends before the last of its progressive scans: take a whole copy")
		}
		c.transform(0, c.rows, c.coefficients)
	}
	return nil
}

// rest goes through what follows a picture that is whole: libjpeg wants an end marker, but no file that just ends is refused.
func (d *decoder) rest(check SizeFunc) error {
	for {
		marker, err := d.marker()
		switch {
		case err != nil || marker == eoi:
			return nil
		case marker == sos:
			return errors.New("a scan after the last")
		}
		if err := d.segmentOf(marker, check); err != nil {
			return err
		}
	}
}

// marker moves behind the next marker and returns it. Bytes before it are skipped, as libjpeg does with a warning.
func (d *decoder) marker() (byte, error) {
	for {
		for d.at < len(d.data) && d.data[d.at] != 0xff {
			d.at++
		}
		for d.at < len(d.data) && d.data[d.at] == 0xff {
			d.at++
		}
		if d.at >= len(d.data) {
			return 0, io.ErrUnexpectedEOF
		}
		marker := d.data[d.at]
		d.at++
		if marker != 0 && marker != tem && (marker < rst0 || marker > rst7) { // those have no length
			return marker, nil
		}
	}
}

// body moves behind a segment and returns what is in it.
func (d *decoder) body() ([]byte, error) {
	if d.at+2 > len(d.data) {
		return nil, io.ErrUnexpectedEOF
	}
	length := int(d.data[d.at])<<8 | int(d.data[d.at+1])
	if length < 2 {
		return nil, fmt.Errorf("a segment of %d bytes", length)
	}
	if d.at+length > len(d.data) {
		return nil, io.ErrUnexpectedEOF
	}
	body := d.data[d.at+2 : d.at+length]
	d.at += length
	return body, nil
}

func (d *decoder) segmentOf(marker byte, check SizeFunc) error {
	switch {
	case marker == soi:
		return errors.New("a second start-of-image marker")
	case marker < sof0 || marker > appF && marker != com || marker > dri && marker < app0:
		return fmt.Errorf("an unknown marker, %#x", marker)
	}
	body, err := d.body()
	if err != nil {
		return err
	}
	switch marker {
	case sof0, sof1, sof2:
		d.progressive = marker == sof2
		return d.frame(body, check)
	case dht:
		return d.huffmanTables(body)
	case dqt:
		return d.quantTables(body)
	case dri:
		if len(body) != 2 {
			return errors.New("a bad restart interval")
		}
		d.restart = int(body[0])<<8 | int(body[1])
	case app0:
		d.jfif = d.jfif || len(body) >= 5 && string(body[:5]) == "JFIF\x00"
	case appE:
		if len(body) >= 12 && string(body[:5]) == "Adobe" {
			d.adobe = int(body[11])
		}
	case 0xc3:
		return errors.New("it is lossless JPEG, which is not supported: save it anew as baseline JPEG or PNG")
	case 0xc9, 0xca, dac:
		return errors.New("it has arithmetic coding, which is not supported: save it anew as baseline JPEG")
	case 0xc5, 0xc6, 0xc7, 0xcb, 0xcd, 0xce, 0xcf, jpg:
		return fmt.Errorf("frames of type %#x are not supported: save it anew as baseline JPEG", marker)
	}
	return nil
}

// quantTables reads DQT.
func (d *decoder) quantTables(body []byte) error {
	for len(body) > 0 {
		wide, id := int(body[0]>>4), body[0]&15
		body = body[1:]
		if wide > 1 || id > 3 || len(body) < blockSize*(1+wide) {
			return errors.New("a bad quantisation table")
		}
		table := new([blockSize]uint16)
		for i := range blockSize {
			if wide == 1 {
				table[zigzag[i]] = uint16(body[2*i])<<8 | uint16(body[2*i+1])
			} else {
				table[zigzag[i]] = uint16(body[i])
			}
		}
		d.quant[id], body = table, body[blockSize*(1+wide):]
	}
	return nil
}

// frame reads SOF0, SOF1 or SOF2.
func (d *decoder) frame(body []byte, check SizeFunc) error {
	switch {
	case len(d.components) > 0:
		return errors.New("it has two frames")
	case len(body) < 6:
		return fmt.Errorf("a frame of %d bytes", len(body))
	case body[0] != 8:
		return fmt.Errorf("values of %d bits are not supported: save it anew with 8", body[0])
	}
	d.height, d.width = int(body[1])<<8|int(body[2]), int(body[3])<<8|int(body[4])
	if err := check(d.width, d.height); err != nil {
		return err
	}
	n := int(body[5])
	if n != 1 && n != 3 && n != 4 {
		return fmt.Errorf("%d components: 1, 3 and 4 are supported", n)
	}
	if len(body) != 6+3*n {
		return fmt.Errorf("a frame of %d bytes", len(body))
	}
	d.components = make([]component, n)
	for i := range d.components {
		p := body[6+3*i:]
		c := component{id: p[0], h: int(p[1] >> 4), v: int(p[1] & 15), table: int(p[2])}
		if c.h < 1 || c.h > 4 || c.v < 1 || c.v > 4 || c.table > 3 {
			return fmt.Errorf("component %d has sampling factors %d x %d and table %d", c.id, c.h, c.v, c.table)
		}
		if n == 1 { // it has no other to be sampled against
			c.h, c.v = 1, 1
		}
		d.maxH, d.maxV = max(d.maxH, c.h), max(d.maxV, c.v)
		d.components[i] = c
	}
	d.layOut()
	return nil
}

// layOut computes the components' sizes.
func (d *decoder) layOut() {
	d.across, d.down = ceil(d.width, 8*d.maxH), ceil(d.height, 8*d.maxV)
	for i := range d.components {
		c := &d.components[i]
		c.width, c.height = ceil(d.width*c.h, d.maxH), ceil(d.height*c.v, d.maxV)
		c.across, c.down = ceil(c.width, 8), ceil(c.height, 8)
		c.stride, c.rows = d.across*c.h, d.down*c.v
		c.stride += c.stride & 1
	}
}

func ceil(a, b int) int { return (a + b - 1) / b }
