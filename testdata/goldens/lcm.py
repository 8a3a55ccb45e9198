"""Write goldens of whole runs of latent consistency models: lcm.py GOLDENS_DIR (diffusers 0.42.1, torch 2.15.0).

plain: StableDiffusionPipeline on sd15-tiny with LCMScheduler, guided, as one draws with an LCM-LoRA.
distilled: LatentConsistencyModelPipeline, whose U-Net (lcm/distilled; all else is sd15-tiny's) is told the guidance scale.
"""
import json
import pathlib
import sys

import diffusers
import torch
from diffusers import LatentConsistencyModelPipeline, LCMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from safetensors.torch import load_file, save_file

torch.set_num_threads(1)
diffusers.utils.logging.set_verbosity_error()
ROOT = pathlib.Path(sys.argv[1])
NAME, OUT = "sd15-tiny", ROOT / "lcm"


@torch.no_grad()
def states(pipe):
    ids = load_file(ROOT / NAME / "golden.safetensors")["input_ids"].long()
    return pipe.text_encoder(ids)[0]


@torch.no_grad()
def unet():
    torch.manual_seed(5)
    u = UNet2DConditionModel(sample_size=8, block_out_channels=[8, 16], down_block_types=["CrossAttnDownBlock2D", "DownBlock2D"],
                             up_block_types=["UpBlock2D", "CrossAttnUpBlock2D"], layers_per_block=1, attention_head_dim=2, cross_attention_dim=24,
                             norm_num_groups=4, time_cond_proj_dim=12).eval()
    for p in u.parameters():
        p.add_(torch.randn_like(p) * 0.06)
    u.save_pretrained(OUT / "distilled")
    return u


meta = json.loads((ROOT / NAME / "golden.json").read_text())
tensors, runs = {}, []
for key, steps, scale in (("plain", 4, 1.5), ("distilled", 4, 8.5), ("distilled.1", 1, 4.0)):
    options = dict(safety_checker=None, feature_extractor=None, tokenizer=None)
    if key == "plain":
        pipe = StableDiffusionPipeline.from_pretrained(ROOT / NAME, **options)
    else:
        pipe = LatentConsistencyModelPipeline.from_pretrained(ROOT / NAME, unet=unet(), **options)
    pipe.scheduler = LCMScheduler.from_config(pipe.scheduler.config)
    pipe.set_progress_bar_config(disable=True)
    cond = states(pipe)
    n = len(meta["prompts"])
    more = dict(negative_prompt_embeds=cond[:1].repeat(n, 1, 1)) if key == "plain" else {}
    generators = [torch.Generator().manual_seed(meta["seed"] + i) for i in range(n)]
    out = pipe(prompt_embeds=cond[-n:], num_inference_steps=steps, guidance_scale=scale, generator=generators, output_type="np", **more).images
    tensors[key] = torch.from_numpy((out * 255).round().astype("uint8").transpose(0, 3, 1, 2).copy())
    runs.append({"key": key, "distilled": key != "plain", "steps": steps, "guidance_scale": scale, "seed": meta["seed"], "prompts": meta["prompts"],
                 "negative_prompt": meta["prompts"][0]})
save_file(tensors, OUT / "golden.safetensors")
(OUT / "golden.json").write_text(json.dumps({"checkpoint": NAME, "runs": runs}, indent=1) + "\n")
