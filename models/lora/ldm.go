package lora

import (
	"regexp"
	"strconv"
	"strings"

	"regft/models/nn"
)

// The original code of Stable Diffusion (CompVis/latent-diffusion, openaimodel.py) numbers all blocks of a U-Net in one row.

// ldmBlock matches a module's path in those names: the row, the block, the module of the block, and what is below it.
var ldmBlock = regexp.MustCompile(`^(input|output)_blocks_(\d+)_(\d)_?(.*)$|^middle_block_(\d)_(.*)$`)

// ldmResNet are the parts of a residual block, ldmOutside the modules outside blocks.
var (
	ldmResNet = map[string]string{"in_layers_0": "norm1", "in_layers_2": "conv1", "emb_layers_1": "time_emb_proj", "out_layers_0": "norm2",
		"out_layers_3": "conv2", "skip_connection": "conv_shortcut"}
	ldmOutside = map[string]string{"time_embed_0": "time_embedding_linear_1", "time_embed_2": "time_embedding_linear_2",
		"input_blocks_0_0": "conv_in", "out_0": "conv_norm_out", "out_2": "conv_out"}
)

// fromLDM gives diffusers' path of a module of a U-Net whose path may be in the original names; layers is the number of residual blocks
// of a down block. Paths in other names stay.
func fromLDM(path string, layers int) string {
	if name, ok := ldmOutside[path]; ok {
		return name
	}
	m := ldmBlock.FindStringSubmatch(path)
	if m == nil {
		return path
	}
	if m[1] == "" { // residual block, attention, residual block
		return ldmModule("mid_block", m[5] == "1", index(m[5])/2, m[6])
	}
	number, inner, rest := index(m[2]), index(m[3]), m[4]
	if m[1] == "input" {
		number-- // the first is conv_in
	}
	block, layer := number/(layers+1), number%(layers+1)
	name := "down_blocks_" + strconv.Itoa(block)
	if m[1] == "output" {
		name = "up_blocks_" + strconv.Itoa(block)
	}
	switch {
	case m[1] == "input" && rest == "op":
		return name + "_downsamplers_0_conv"
	case m[1] == "output" && inner > 0 && rest == "conv":
		return name + "_upsamplers_0_conv"
	}
	return ldmModule(name, inner == 1, layer, rest)
}

// ldmModule is part `rest` of a block's layer: of its residual block, or of its attention.
func ldmModule(block string, attention bool, layer int, rest string) string {
	if attention {
		return block + "_attentions_" + strconv.Itoa(layer) + "_" + rest
	}
	part, ok := ldmResNet[rest]
	if !ok {
		part = rest
	}
	return block + "_resnets_" + strconv.Itoa(layer) + "_" + part
}

// index reads a number that a pattern has matched.
func index(digits string) int {
	n, err := strconv.Atoi(digits)
	if err != nil { // too long: no block has it
		return 1 << 20
	}
	return n
}

// layersOf is the number of residual blocks of a U-Net's first down block.
func layersOf(weights nn.Shapes) int {
	n := 0
	for name := range weights {
		if strings.HasPrefix(name, "down_blocks.0.resnets.") && strings.HasSuffix(name, ".conv1.weight") {
			n++
		}
	}
	return n
}
