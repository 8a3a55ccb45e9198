package picture

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"strconv"

	"regft/datasets/pil"
)

// decodePNM decodes PBM, PGM and PPM, plain (P1 to P3) and raw (P4 to P6).
func decodePNM(data []byte) (*pil.Image, error) {
	p := &pnm{data: data[2:], kind: data[1]}
	width, height, maximum := p.number(), p.number(), 1
	if p.kind != '1' && p.kind != '4' {
		maximum = p.number()
	}
	if p.err != nil {
		return nil, p.err
	}
	if maximum < 1 || maximum > 65535 {
		return nil, fmt.Errorf("a largest value of %d, which must be from 1 to 65535", maximum)
	}
	if err := checkSize(width, height, data, 8); err != nil {
		return nil, err
	}
	if len(p.data) > 0 && p.kind > '3' {
		p.data = p.data[1:] // one blank between header and raw data
	}
	out := pil.New(width, height)
	for y := range height {
		p.row(out.Row(y), maximum)
		if p.err != nil {
			return nil, p.err
		}
	}
	return out, nil
}

type pnm struct {
	data []byte
	kind byte // '1' to '6'
	err  error
}

// row reads one row.
func (p *pnm) row(out []uint8, maximum int) {
	switch p.kind {
	case '4':
		p.bits(out)
	case '3', '6':
		for i := range out {
			out[i] = p.colour(maximum)
		}
	default:
		for x := range len(out) / pil.Channels {
			v := p.grey(maximum)
			out[x*3], out[x*3+1], out[x*3+2] = v, v, v
		}
	}
}

// bits reads a row of a raw PBM, where a one is black.
func (p *pnm) bits(out []uint8) {
	width := len(out) / pil.Channels
	bytes := p.take((width + 7) / 8)
	if p.err != nil {
		return
	}
	for x := range width {
		v := bytes[x/8]>>(7-x%8)&1 - 1
		out[x*3], out[x*3+1], out[x*3+2] = v, v, v
	}
}

func (p *pnm) colour(maximum int) uint8 { return scale(p.value(maximum), maximum, 255) }

// grey is a grey value as Pillow's mode L has it or, of more than 8 bits, its mode I: scaled to 16 bits, then clipped to 8.
func (p *pnm) grey(maximum int) uint8 {
	v := p.value(maximum)
	switch {
	case p.kind == '1':
		return uint8(1-min(v, 1)) * 255
	case maximum > 255:
		return uint8(min(255, int(math.RoundToEven(float64(v)/float64(maximum)*65535))))
	}
	return scale(v, maximum, 255)
}

func scale(v, maximum, to int) uint8 {
	return uint8(min(to, int(math.RoundToEven(float64(v)/float64(maximum)*float64(to)))))
}

// value reads one value, plain or raw.
func (p *pnm) value(maximum int) int {
	switch {
	case p.kind == '1':
		return p.digit()
	case p.kind < '4':
		v := p.number()
		if v > maximum && p.err == nil {
			p.err = fmt.Errorf("a value of %d, more than the largest, %d", v, maximum)
		}
		return v
	case maximum < 256:
		if b := p.take(1); p.err == nil {
			return int(b[0])
		}
	default:
		if b := p.take(2); p.err == nil {
			return int(b[0])<<8 | int(b[1])
		}
	}
	return 0
}

func (p *pnm) take(n int) []byte {
	if len(p.data) < n {
		p.err = io.ErrUnexpectedEOF
		return nil
	}
	b := p.data[:n]
	p.data = p.data[n:]
	return b
}

// skip drops white space and comments.
func (p *pnm) skip() {
	for {
		p.data = bytes.TrimLeft(p.data, " \t\r\n\v\f")
		if len(p.data) == 0 || p.data[0] != '#' {
			return
		}
		end := bytes.IndexAny(p.data, "\r\n")
		if end < 0 {
			end = len(p.data)
		}
		p.data = p.data[end:]
	}
}

// digit reads one bit of a plain PBM, whose bits need no space between them.
func (p *pnm) digit() int {
	p.skip()
	b := p.take(1)
	if p.err == nil && b[0] != '0' && b[0] != '1' {
		p.err = fmt.Errorf("%q, which is no bit", b)
	}
	if p.err != nil {
		return 0
	}
	return int(b[0] - '0')
}

func (p *pnm) number() int {
	p.skip()
	end := bytes.IndexAny(p.data, " \t\r\n\v\f#")
	if end < 0 {
		end = len(p.data)
	}
	token := p.data[:end]
	p.data = p.data[end:]
	v, err := strconv.ParseUint(string(token[:min(len(token), 20)]), 10, 31)
	switch {
	case p.err != nil:
	case len(token) == 0:
		p.err = io.ErrUnexpectedEOF
	case err != nil:
		p.err = fmt.Errorf("%q is no number", token[:min(len(token), 20)])
	}
	return int(v)
}
