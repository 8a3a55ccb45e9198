package jpeg

// firstDC reads the upper bits of a block's first coefficient.
func (s *scan) firstDC(p *part, block *[blockSize]int16) error {
	s.bits.fill()
	size, err := s.bits.symbol(p.dc)
	if err != nil {
		return err
	}
	p.prediction += s.bits.value(size & 15)
	block[0] = int16(p.prediction << s.low)
	return nil
}

// refineDC reads one more bit of it.
func (s *scan) refineDC(_ *part, block *[blockSize]int16) error {
	s.bits.fill()
	block[0] |= int16(s.bits.take(1) << s.low)
	return nil
}

// firstAC reads the upper bits of a band of coefficients.
func (s *scan) firstAC(p *part, block *[blockSize]int16) error {
	if s.endOfBand > 0 {
		s.endOfBand--
		return nil
	}
	for k := s.first; k <= s.last; k++ {
		s.bits.fill()
		symbol, err := s.bits.symbol(p.ac)
		if err != nil {
			return err
		}
		run, size := symbol>>4, symbol&15
		switch {
		case size > 0:
			k += run
			block[zigzag[k&127]] = int16(s.bits.value(size) << s.low)
		case run == 15:
			k += run
		default:
			s.endOfBand = 1<<run + s.bits.take(uint(run)) - 1
			return nil
		}
	}
	return nil
}

// refineAC reads one more bit of a band's coefficients that are not zero, and those that become so.
func (s *scan) refineAC(p *part, block *[blockSize]int16) error {
	k, one := s.first, int16(1)<<s.low
	for s.endOfBand == 0 && k <= s.last {
		s.bits.fill()
		symbol, err := s.bits.symbol(p.ac)
		if err != nil {
			return err
		}
		run, value := symbol>>4, int16(0)
		switch {
		case symbol&15 > 0: // a new one, of magnitude 1
			if value = -one; s.bits.take(1) == 1 {
				value = one
			}
		case run < 15:
			s.endOfBand = 1<<run + s.bits.take(uint(run))
		}
		if s.endOfBand > 0 {
			break
		}
		k = s.refine(block, k, run, one)
		if value != 0 {
			block[zigzag[k&127]] = value
		}
		k++
	}
	if s.endOfBand > 0 {
		s.refine(block, k, blockSize, one)
		s.endOfBand--
	}
	return nil
}

// refine reads a bit for every coefficient from k on that is not zero, until it has passed `run` zeros and is at the next, whose place
// it returns, or the band ends.
func (s *scan) refine(block *[blockSize]int16, k, run int, one int16) int {
	for ; k <= s.last; k++ {
		c := &block[zigzag[k&127]]
		if *c == 0 {
			if run == 0 {
				break
			}
			run--
			continue
		}
		s.bits.fill()
		if s.bits.take(1) == 0 || *c&one != 0 { // broken files repeat themselves
			continue
		}
		if *c > 0 {
			*c += one
		} else {
			*c -= one
		}
	}
	return k
}
