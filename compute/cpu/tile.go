package cpu

import (
	"slices"
	"sync"
)

// Element-wise chains, and the reductions of them, are computed tile by tile: every instruction on a tile's elements
// before the next tile, so that what is in between stays in the L1 cache. Truth values are 0 and 1 there.

const (
	tileSize = 1024 // elements; 4 KiB each of a tile's registers
	taskSize = 16 * tileSize
)

// A source is an operand of a chain: a view of an input.
type source struct {
	input int
	view  // merged
}

// An instruction computes a register of a tile from others.
type instruction struct {
	dst    int
	args   []int // registers
	scalar int   // a scalar, -1 for none
	apply  func(dst []float32, args [][]float32, scalar float32)
}

// A chain is an element-wise computation. Its registers are the sources, in order, and then those of instructions.
type chain struct {
	size         int // elements
	sources      []source
	scalars      []source  // single elements
	constants    []float32 // scalars known at compile time, after those
	instructions []instruction
	registers    int
	result       int // register
	tiles        sync.Pool
}

// A tile is the registers of a chain at work.
type tile struct {
	registers [][]float32
	own       []float32 // memory of those that are not a part of an input
	rows      []row     // by source
	args      [][]float32
	reader    reader
	bools     []bool
}

// A row is what a source repeats, as often as a tile needs that begins anywhere in it: a tile's register is a part of it,
// wherever the tile begins.
type row struct {
	repeated []float32
	period   int // 0 before it is read
}

// tile is a tile that no task uses, or a new one.
func (c *chain) tile() *tile {
	if t, ok := c.tiles.Get().(*tile); ok {
		for i := range t.rows {
			t.rows[i].period = 0 // inputs may have changed
		}
		return t
	}
	return &tile{
		registers: make([][]float32, c.registers), own: make([]float32, c.registers*tileSize), args: make([][]float32, 3),
		rows: make([]row, len(c.sources)), bools: make([]bool, tileSize),
	}
}

// run computes the result's elements from, …, to-1, at most a tile of them. dst, where it is not nil, is where the last
// instruction puts them; the result is dst or a part of an input.
func (c *chain) run(t *tile, in []any, scalars []float32, from, to int, dst []float32) []float32 {
	n := to - from
	for i := range t.registers {
		t.registers[i] = t.own[i*tileSize:][:n]
	}
	for i, s := range c.sources {
		s.load(t, i, in[s.input], from, n)
	}
	for k, ins := range c.instructions {
		for i, a := range ins.args {
			t.args[i] = t.registers[a]
		}
		if k == len(c.instructions)-1 && dst != nil {
			t.registers[ins.dst] = dst
		}
		var scalar float32
		if ins.scalar >= 0 {
			scalar = scalars[ins.scalar]
		}
		ins.apply(t.registers[ins.dst], t.args, scalar)
	}
	return t.registers[c.result]
}

// load makes register i the source's elements of the place from and after.
func (s source) load(t *tile, i int, in any, from, n int) {
	switch flat := in.(type) {
	case []float32:
		if s.isRun() {
			t.registers[i] = flat[s.offset+from:][:n]
			return
		}
		if period := s.rowLength(); period > 0 {
			t.registers[i] = t.rows[i].of(flat[s.offset:][:period], from, n)
			return
		}
		read(&t.reader, t.registers[i], flat, s.view, from)
	case []bool:
		read(&t.reader, t.bools[:n], flat, s.view, from)
		for k, b := range t.bools[:n] {
			t.registers[i][k] = truth(b)
		}
	}
}

// rowLength is the length of the row that the view, merged, repeats, 0 where it does not or where that is longer than a tile.
func (v view) rowLength() int {
	if len(v.dims) == 2 && v.strides[0] == 0 && v.strides[1] == 1 && v.dims[1] <= tileSize {
		return v.dims[1]
	}
	return 0
}

// of gives n elements from element from on of values repeated.
func (r *row) of(values []float32, from, n int) []float32 {
	if r.period == 0 {
		r.period = len(values)
		r.repeated = slices.Grow(r.repeated[:0], tileSize+2*r.period)
		for len(r.repeated) < tileSize+r.period {
			r.repeated = append(r.repeated, values...)
		}
	}
	return r.repeated[from%r.period:][:n]
}

func truth(b bool) float32 {
	if b {
		return 1
	}
	return 0
}

// scalarValues reads the scalars.
func (c *chain) scalarValues(in []any) []float32 {
	values := make([]float32, 0, len(c.scalars)+len(c.constants))
	for _, s := range c.scalars {
		switch flat := in[s.input].(type) {
		case []float32:
			values = append(values, flat[s.offset])
		case []bool:
			values = append(values, truth(flat[s.offset]))
		}
	}
	return append(values, c.constants...)
}

// tasks runs f on ranges of [0, n) of taskSize, side by side.
func tasks(x *execution, n int, f func(from, to int)) {
	x.pool.Run((n+taskSize-1)/taskSize, func(i int) { f(i*taskSize, min(n, (i+1)*taskSize)) })
}

// store is the kernel that computes the chain into memory.
func (c *chain) store() kernel {
	return func(x *execution, in, out []any) error {
		scalars := c.scalarValues(in)
		tasks(x, c.size, func(from, to int) {
			t := c.tile()
			defer c.tiles.Put(t)
			for ; from < to; from += tileSize {
				c.storeTile(t, in, scalars, out[0], from, min(to, from+tileSize))
			}
		})
		return nil
	}
}

func (c *chain) storeTile(t *tile, in []any, scalars []float32, out any, from, to int) {
	switch flat := out.(type) {
	case []float32:
		dst := flat[from:to]
		result := c.run(t, in, scalars, from, to, dst)
		if len(c.instructions) == 0 {
			copy(dst, result)
		}
	case []bool:
		for i, v := range c.run(t, in, scalars, from, to, nil) {
			flat[from+i] = v != 0
		}
	}
}
