// Package lora reads low-rank adaptations (Hu et al., arXiv 2106.09685) of diffusion checkpoints and adds them to the weights: a
// module's weight W becomes W + scale·alpha/rank·B·A.
//
// Files name modules in three ways: kohya's sd-scripts (lora_unet_…to_q.lora_down.weight, with alpha), peft (…to_q.lora_A.weight,
// alpha in adapter_config.json or in the file's own metadata), and diffusers of 2023 (….processor.to_q_lora.down.weight).
package lora

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"regft/models/checkpoint"
)

// An Adapter is the content of one file.
type Adapter struct {
	path    string
	modules []*module
}

// A module is what the file adds to one weight.
type module struct {
	name      string // as the file has it
	component string // "unet", "text_encoder", or "" where the file does not say
	path      string // below the component, "." as "_"
	a, b      []float32
	aShape    []int // [rank, in, …]
	bShape    []int // [out, rank, …]
	alpha     float64
	scale     float64 // alpha over rank
}

// Scaled is an Adapter with the weight that it is added with.
type Scaled struct {
	*Adapter
	Scale float64
}

// Read reads the adapter whose weights files have as name, see Files. Tensors that belong to no LoRA are an error that names them.
func Read(files checkpoint.Files, name string) (*Adapter, error) {
	path, err := files.Path(name)
	if err != nil {
		return nil, fmt.Errorf("reading LoRA: %w", err)
	}
	file, err := checkpoint.OpenFile(files, name)
	if err != nil {
		return nil, fmt.Errorf("reading LoRA: %w", err)
	}
	defer file.Close()
	adapter := &Adapter{path: path}
	if err := adapter.read(file); err != nil {
		return nil, fmt.Errorf("reading LoRA %s: %w", adapter.path, err)
	}
	settings, err := readSettings(files, name)
	if err != nil {
		return nil, fmt.Errorf("reading LoRA %s: %w", adapter.path, err)
	}
	for _, m := range adapter.modules {
		if err := m.finish(settings); err != nil {
			return nil, fmt.Errorf("reading LoRA %s: %s: %w", adapter.path, m.name, err)
		}
	}
	return adapter, nil
}

// read sorts the tensors into modules.
func (a *Adapter) read(file *checkpoint.Weights) error {
	modules := map[string]*module{}
	var foreign []string
	for _, name := range file.Names() {
		module, part := parse(name)
		if part == "" {
			foreign = append(foreign, name)
			continue
		}
		m := modules[module.component+"."+module.path]
		if m == nil {
			m = &module
			modules[module.component+"."+module.path] = m
		}
		t, _ := file.Lookup(name)
		values, err := file.Float32s(name)
		if err != nil {
			return err
		}
		m.take(part, values, t.Shape)
	}
	if foreign != nil {
		return fmt.Errorf("%d tensors are no part of a LoRA in the names of kohya, peft, diffusers or the original code: %s%s", len(foreign), someOf(foreign), kindOf(foreign))
	}
	if len(modules) == 0 {
		return errors.New("it holds no tensors")
	}
	for _, key := range slices.Sorted(maps.Keys(modules)) {
		a.modules = append(a.modules, modules[key])
	}
	return nil
}

func (m *module) take(part string, values []float32, shape []int) {
	switch part {
	case partA:
		m.a, m.aShape = values, shape
	case partB:
		m.b, m.bShape = values, shape
	case partAlpha:
		m.alpha = math.NaN()
		if len(values) == 1 {
			m.alpha = float64(values[0])
		}
	}
}

// finish checks that the parts belong together, and settles the scale.
func (m *module) finish(s settings) error {
	switch {
	case m.a == nil || m.b == nil:
		return errors.New("one of its two matrices (down and up, or A and B) is missing")
	case len(m.aShape) < 2 || len(m.bShape) < 2:
		return fmt.Errorf("matrices of shapes %v and %v: want two dimensions, or four of a convolution", m.aShape, m.bShape)
	case m.aShape[0] != m.bShape[1]:
		return fmt.Errorf("its matrices have ranks %d (down, %v) and %d (up, %v)", m.aShape[0], m.aShape, m.bShape[1], m.bShape)
	case len(m.b) != m.bShape[0]*m.bShape[1]:
		return fmt.Errorf("up of shape %v: a convolution's is 1×1", m.bShape)
	case m.aShape[0] < 1 || math.IsNaN(m.alpha):
		return fmt.Errorf("rank %d and an alpha that is no single number", m.aShape[0])
	}
	rank := float64(m.aShape[0])
	if m.alpha != 0 {
		m.scale = m.alpha / rank
		return nil
	}
	alpha, root, err := s.alpha(m, rank)
	if err != nil {
		return err
	}
	m.scale = alpha / rank
	if root {
		m.scale = alpha / math.Sqrt(rank)
	}
	return nil
}

// addTo adds scale·alpha/rank·B·A to a weight of out rows.
func (m *module) addTo(weight []float32, scale float64) {
	rank, columns := m.aShape[0], len(m.a)/m.aShape[0]
	for o := range m.bShape[0] {
		row := weight[o*columns : (o+1)*columns]
		for r := range rank {
			factor := float32(scale*m.scale) * m.b[o*rank+r]
			for i, x := range m.a[r*columns : (r+1)*columns] {
				row[i] += factor * x
			}
		}
	}
}

// someOf names the first of many.
func someOf(names []string) string {
	const most = 5
	if rest := len(names) - most; rest > 0 {
		return fmt.Sprintf("%s, and %d more", strings.Join(names[:most], ", "), rest)
	}
	return strings.Join(names, ", ")
}
