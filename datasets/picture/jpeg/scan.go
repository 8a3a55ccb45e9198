package jpeg

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// scan is a scan of a file.
type scan struct {
	*decoder
	parts             []part
	first, last       int // coefficients, in the file's order
	high, low         int // of successive approximation
	across, down      int // MCUs
	bits              bits
	endOfBand         int  // blocks that have no more coefficients in this band
	left              int  // MCUs to the next restart marker
	restarts          int  // that were due
	marker            byte // that ends the segment, 0 where the file does
	missing, finished bool // of the segment: too short; the last
}

// part is a component in a scan.
type part struct {
	*component
	dc, ac     *huffman
	prediction int
	h, v       int // blocks in an MCU
}

// scan reads a scan; done says that nothing is missing then, whatever follows.
func (d *decoder) scan() (done bool, err error) {
	body, err := d.body()
	if err != nil {
		return false, err
	}
	s, err := d.newScan(body)
	if err != nil {
		return false, err
	}
	single := !d.progressive && len(s.parts) == len(d.components)
	for i := range d.components {
		d.components[i].allocate(single)
	}
	block := s.blockReader()
	if err := s.open(); err != nil {
		return false, err
	}
	for y := range s.down {
		if s.missing && s.finished && !single {
			break // nothing more will come
		}
		for x := range s.across {
			if err := s.mcu(x, y, single, block); err != nil {
				return false, err
			}
		}
		if single {
			for _, p := range s.parts {
				p.transform(y*p.v, p.v, p.coefficients)
				clear(p.coefficients)
			}
		}
	}
	return single, nil
}

// allocate makes room for samples, and for coefficients: of one row of MCUs, or of all.
func (c *component) allocate(single bool) {
	if c.plane != nil {
		return
	}
	rows := c.rows
	if single {
		rows = c.v
	}
	c.plane = make([]uint8, c.rows*c.stride*blockSize)
	c.coefficients = make([]int16, rows*c.stride*blockSize)
}

var errScan = errors.New("a bad scan")

func (d *decoder) newScan(body []byte) (*scan, error) {
	if len(d.components) == 0 {
		return nil, errors.New("a scan before its frame")
	}
	if len(body) < 1 || body[0] < 1 || int(body[0]) > len(d.components) || len(body) != 4+2*int(body[0]) {
		return nil, errScan
	}
	n := int(body[0])
	s := &scan{decoder: d, parts: make([]part, n)}
	for i := range s.parts {
		p, err := d.part(body[1+2*i], body[2+2*i])
		if err != nil {
			return nil, err
		}
		for _, q := range s.parts[:i] {
			if q.component == p.component {
				return nil, errScan
			}
		}
		s.parts[i] = p
	}
	tail := body[1+2*n:]
	s.first, s.last, s.high, s.low = 0, 63, 0, 0
	if d.progressive {
		s.first, s.last, s.high, s.low = int(tail[0]), int(tail[1]), int(tail[2]>>4), int(tail[2]&15)
		if s.last > 63 || s.first > s.last || s.first == 0 && s.last != 0 || s.first > 0 && n > 1 || s.low > 13 || s.high != 0 && s.high != s.low+1 {
			return nil, errScan
		}
		for _, p := range s.parts {
			for k := s.first; k <= s.last; k++ {
				p.component.missing[k] = 1 + s.low
			}
		}
	}
	return s, errors.Join(s.layOut(), s.check())
}

// part finds a component and its tables.
func (d *decoder) part(id, tables byte) (part, error) {
	for i := range d.components {
		c := &d.components[i]
		if c.id != id {
			continue
		}
		if tables>>4 > 3 || tables&15 > 3 {
			return part{}, errScan
		}
		if c.quant == nil { // as libjpeg, the table at the component's first scan
			if c.quant = d.quant[c.table]; c.quant == nil {
				return part{}, fmt.Errorf("quantisation table %d is missing", c.table)
			}
		}
		return part{component: c, dc: d.dc[tables>>4], ac: d.ac[tables&15]}, nil
	}
	return part{}, errScan
}

// layOut sets what an MCU is: one block, where the scan has one component.
func (s *scan) layOut() error {
	if len(s.parts) == 1 {
		p := &s.parts[0]
		p.h, p.v, s.across, s.down = 1, 1, p.across, p.down
		return nil
	}
	s.across, s.down = s.decoder.across, s.decoder.down
	blocks := 0
	for i := range s.parts {
		p := &s.parts[i]
		p.h, p.v = p.component.h, p.component.v
		blocks += p.h * p.v
	}
	if blocks > maxBlocksInMCU {
		return fmt.Errorf("sampling factors that make %d blocks in an MCU: at most %d are allowed", blocks, maxBlocksInMCU)
	}
	return nil
}

// check refuses a scan that lacks a Huffman table.
func (s *scan) check() error {
	for _, p := range s.parts {
		if s.first == 0 && s.high == 0 && p.dc == nil || s.last > 0 && p.ac == nil {
			return errors.New("a scan without its Huffman table")
		}
	}
	return nil
}

// A blockFunc reads what a scan holds of a block.
type blockFunc func(s *scan, p *part, block *[blockSize]int16) error

func (s *scan) blockReader() blockFunc {
	switch {
	case !s.progressive:
		return (*scan).sequential
	case s.first == 0 && s.high == 0:
		return (*scan).firstDC
	case s.first == 0:
		return (*scan).refineDC
	case s.high == 0:
		return (*scan).firstAC
	}
	return (*scan).refineAC
}

// mcu reads the MCU at column x and row y; with `single`, into the one row of coefficients that there is.
func (s *scan) mcu(x, y int, single bool, block blockFunc) error {
	if s.restart > 0 && s.left == 0 {
		if err := errors.Join(s.atRestart(), s.open()); err != nil {
			return err
		}
	}
	s.left--
	if s.missing {
		return nil
	}
	if single {
		y = 0
	}
	for i := range s.parts {
		p := &s.parts[i]
		for v := range p.v {
			row := ((y*p.v+v)*p.stride + x*p.h) * blockSize
			for h := range p.h {
				if err := block(s, p, (*[blockSize]int16)(p.coefficients[row+h*blockSize:])); err != nil {
					return err
				}
			}
		}
	}
	if s.bits.over() {
		if s.finished && s.at >= len(s.data) {
			return io.ErrUnexpectedEOF
		}
		s.missing = true
	}
	return nil
}

// atRestart refuses another marker in the place of the restart marker that is due. libjpeg would guess which of them are missing; one of
// another kind ends the data for it as for us.
func (s *scan) atRestart() error {
	due := byte(rst0 + s.restarts&7)
	s.restarts++
	if s.marker == due || s.marker == 0 || s.marker >= sof0 && (s.marker < rst0 || s.marker > rst7) {
		return nil
	}
	return fmt.Errorf("marker %#x where restart marker %#x is due", s.marker, due)
}

// open goes to the next segment of entropy-coded data: to what follows a scan's header or a restart marker. Where there is none, the
// segment is empty.
func (s *scan) open() error {
	s.left, s.missing, s.endOfBand = s.restart, s.missing && s.finished, 0
	for i := range s.parts {
		s.parts[i].prediction = 0
	}
	if s.finished {
		if s.at >= len(s.data) {
			return io.ErrUnexpectedEOF
		}
		s.bits = bits{data: zeros[:]} // libjpeg decodes one more MCU, of zeros
		return nil
	}
	s.unstuff()
	s.bits = bits{data: s.segment, end: (len(s.segment) - padding) * 8}
	return nil
}

// unstuff copies the data up to the next marker without its stuffed zeros, and moves behind it if it is a restart marker.
func (s *scan) unstuff() {
	if s.segment == nil {
		s.segment = make([]byte, 0, len(s.data)-s.at+padding)
	}
	out := s.segment[:0]
	s.finished, s.marker = true, 0
	for {
		n := bytes.IndexByte(s.data[s.at:], 0xff)
		if n < 0 {
			out = append(out, s.data[s.at:]...)
			s.at = len(s.data)
			break
		}
		out = append(out, s.data[s.at:s.at+n]...)
		s.at += n
		after := s.at + 1
		for after < len(s.data) && s.data[after] == 0xff { // fill bytes
			after++
		}
		if after == len(s.data) {
			s.at = after
			break
		}
		if s.data[after] == 0 {
			out = append(out, 0xff)
			s.at = after + 1
			continue
		}
		s.marker = s.data[after]
		if s.data[after] >= rst0 && s.data[after] <= rst7 && s.restart > 0 {
			s.at, s.finished = after+1, false
		}
		break
	}
	s.segment = append(out, zeros[:]...)
}
