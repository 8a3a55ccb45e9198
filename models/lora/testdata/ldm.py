"""Writes ldm.json: modules of Stable Diffusion 1.5's U-Net in the names of the original code, and in those of diffusers, by diffusers' own
converter (0.42.1, convert_ldm_unet_checkpoint). Of a transformer's modules some stand for all. Usage: python ldm.py ldm.json
"""
import json
import sys

import torch
from diffusers import UNet2DConditionModel
from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint

config = dict(UNet2DConditionModel(block_out_channels=[8, 8, 8, 8], norm_num_groups=4, cross_attention_dim=4, attention_head_dim=2).config)
resnet = ["in_layers.0", "in_layers.2", "emb_layers.1", "out_layers.0", "out_layers.3", "skip_connection"]
attention = ["norm", "proj_in", "transformer_blocks.0.attn1.to_q", "transformer_blocks.0.attn2.to_out.0", "transformer_blocks.0.ff.net.0.proj", "proj_out"]
names = ["time_embed.0", "time_embed.2", "input_blocks.0.0", "out.0", "out.2"]
for i in range(1, 12):
    names += [f"input_blocks.{i}.0.op"] if i % 3 == 0 else [f"input_blocks.{i}.0.{r}" for r in resnet]
    names += [f"input_blocks.{i}.1.{a}" for a in attention if i % 3 and i < 9]
for i in range(12):
    names += [f"output_blocks.{i}.0.{r}" for r in resnet] + [f"output_blocks.{i}.1.{a}" for a in attention if i > 2]
    names += [f"output_blocks.{i}.{1 if i == 2 else 2}.conv"] if i % 3 == 2 and i < 11 else []
for i, parts in enumerate((resnet, attention, resnet)):
    names += [f"middle_block.{i}.{p}" for p in parts]
original = {f"model.diffusion_model.{n}.{k}": torch.tensor(float(i)) for i, n in enumerate(names) for k in ("weight", "bias")}
converted = convert_ldm_unet_checkpoint(original, config)
found = {int(v): k[:-7] for k, v in converted.items() if k.endswith(".weight")}
json.dump({n: found[i] for i, n in enumerate(names) if i in found}, open(sys.argv[1], "w"), indent=0)
print(len(names), len(found), [n for i, n in enumerate(names) if i not in found][:5])
