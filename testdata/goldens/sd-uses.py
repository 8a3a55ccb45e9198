"""Write goldens of what pipelines do beside text to image: sd-uses.py GOLDENS_DIR (diffusers 0.42.1, peft 0.21.2, torch 2.15.0).

img2img: StableDiffusionImg2ImgPipeline on sd15-tiny and sd21v-tiny, each picture with a generator of its own.
lora: one adapter of sd21-tiny's U-Net and text encoder in the names of kohya (with convolutions), peft and diffusers, old and new,
and what load_lora_weights makes of it.
"""
import json
import pathlib
import sys

import numpy as np
import torch
from diffusers import StableDiffusionImg2ImgPipeline, StableDiffusionPipeline
from PIL import Image
from safetensors.torch import load_file, save_file

import diffusers

torch.set_num_threads(1)
diffusers.utils.logging.set_verbosity_error()
ROOT = pathlib.Path(sys.argv[1])
SCHEDULERS = {"pndm": ("PNDMScheduler", dict(skip_prk_steps=True)), "ddim": ("DDIMScheduler", dict(clip_sample=False)),
              "euler_ancestral": ("EulerAncestralDiscreteScheduler", {}), "dpmpp_2m_karras": ("DPMSolverMultistepScheduler", dict(use_karras_sigmas=True)),
              "lcm": ("LCMScheduler", {})}


def opened(cls, name, scheduler=None):
    pipe = cls.from_pretrained(ROOT / name, safety_checker=None, feature_extractor=None, tokenizer=None)
    if scheduler:
        sched, extra = SCHEDULERS[scheduler]
        pipe.scheduler = getattr(diffusers, sched).from_config(pipe.scheduler.config, **extra)
    pipe.set_progress_bar_config(disable=True)
    return pipe


@torch.no_grad()
def states(pipe, name):
    """The prompts' and the negative prompts' states: of golden.json's texts, in its tokens."""
    ids = load_file(ROOT / name / "golden.safetensors")["input_ids"].long()
    return pipe.text_encoder(ids)[0]


def pictures(size, seed):
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (2, 4, 4, 3), dtype=np.uint8)
    return [Image.fromarray(x).resize((size, size), Image.BICUBIC) for x in small]


@torch.no_grad()
def img2img():
    tensors, runs = {}, []
    for name in ("sd15-tiny", "sd21v-tiny"):
        meta = json.loads((ROOT / name / "golden.json").read_text())
        for scheduler, strength, steps in (("pndm", 0.6, 6), ("ddim", 1.0, 4), ("euler_ancestral", 0.5, 6), ("dpmpp_2m_karras", 0.75, 8), ("lcm", 0.5, 4)):
            pipe = opened(StableDiffusionImg2ImgPipeline, name, scheduler)
            size = pipe.unet.config.sample_size * pipe.vae_scale_factor
            init = pictures(size, 5)
            tensors[f"{name}.init"] = torch.from_numpy(np.stack([np.asarray(x) for x in init]))
            cond = states(pipe, name)
            generators = [torch.Generator().manual_seed(meta["seed"] + i) for i in range(len(init))]
            out = pipe(prompt_embeds=cond, negative_prompt_embeds=cond[:1].repeat(2, 1, 1), image=init, strength=strength, num_inference_steps=steps,
                       guidance_scale=4.0, generator=generators, output_type="np").images
            key = f"{name}.{scheduler}"
            tensors[key] = torch.from_numpy((out * 255).round().astype("uint8").transpose(0, 3, 1, 2).copy())
            runs.append({"key": key, "checkpoint": name, "scheduler": scheduler, "strength": strength, "steps": steps, "guidance_scale": 4.0,
                         "seed": meta["seed"], "prompts": meta["prompts"], "negative_prompt": meta["prompts"][0]})
    save_file(tensors, ROOT / "img2img" / "golden.safetensors")
    (ROOT / "img2img" / "golden.json").write_text(json.dumps({"runs": runs}, indent=1) + "\n")


RANK, ALPHA = 3, 2.0
TEXT = {"q_proj": "to_q", "k_proj": "to_k", "v_proj": "to_v", "out_proj": "to_out"}


def chosen(pipe, convolutions):
    """The modules of the adapter, by component and path, with their weights."""
    found = {}
    for component in ("unet", "text_encoder"):
        for path, module in getattr(pipe, component).named_modules():
            last = path.rsplit(".", 1)[-1]
            linear = isinstance(module, torch.nn.Linear) and ("attn" in path) and (component == "unet" or last in TEXT)
            more = convolutions and component == "unet" and (isinstance(module, torch.nn.Conv2d) and ".resnets." in path or last in ("proj_in", "proj_out") or ".ff.net." in path and hasattr(module, "weight"))
            if (linear or more) and module.weight.numel() < 20000:
                found[component, path] = module.weight
    return found


def matrices(weights):
    gen, out = torch.Generator().manual_seed(9), {}
    for key, w in weights.items():
        conv = w.ndim == 4
        a = torch.randn(RANK, *w.shape[1:], generator=gen) / w[0].numel() ** 0.5
        b = torch.randn(w.shape[0], RANK, *([1, 1] if conv else []), generator=gen) * 0.2
        out[key] = a.contiguous(), b.contiguous()
    return out


def text_path(path):
    return path if path.startswith("text_model.") else "text_model." + path


def names(style, component, path):
    """The names of A, B and alpha of a module."""
    if style == "kohya":
        module = ("lora_unet_" if component == "unet" else "lora_te_") + (path if component == "unet" else text_path(path)).replace(".", "_")
        return module + ".lora_down.weight", module + ".lora_up.weight", module + ".alpha"
    path = path if component == "unet" else text_path(path)
    if style == "peft":
        return f"{component}.{path}.lora_A.weight", f"{component}.{path}.lora_B.weight", None
    if component == "unet":  # diffusers of 2023
        parent, last = path.split(".attn")[0] + ".attn" + path.split(".attn")[1].split(".")[0], path.split(".")[-1]
        last = "to_out" if last == "0" else last
        return f"unet.{parent}.processor.{last}_lora.down.weight", f"unet.{parent}.processor.{last}_lora.up.weight", None
    parent, last = path.rsplit(".", 1)
    return f"text_encoder.{parent}.{TEXT[last]}_lora.down.weight", f"text_encoder.{parent}.{TEXT[last]}_lora.up.weight", None


@torch.no_grad()
def lora():
    name = "sd21-tiny"
    golden = load_file(ROOT / name / "golden.safetensors")
    tensors, cases = {}, []
    for style, convolutions in (("kohya", True), ("peft", False), ("old", False)):
        pipe = opened(StableDiffusionPipeline, name)
        state = {}
        for (component, path), (a, b) in matrices(chosen(pipe, convolutions)).items():
            down, up, alpha = names(style, component, path)
            state[down], state[up] = a, b
            if alpha:
                state[alpha] = torch.tensor(ALPHA)
        half = {k: v.half() if style == "peft" else v for k, v in state.items()}
        save_file(half, ROOT / "lora" / f"{style}.safetensors", metadata={"format": "pt"})
        pipe.load_lora_weights(str(ROOT / "lora"), weight_name=f"{style}.safetensors", adapter_name="x")
        loaded = sum(len(getattr(pipe, c).peft_config) for c in ("unet", "text_encoder"))
        assert loaded == 2, (style, loaded)
        for scale in (1.0, 0.5):
            pipe.set_adapters("x", scale)
            hidden = pipe.text_encoder(golden["input_ids"].long())[0]
            unet = pipe.unet(golden["latents"], torch.tensor(401), encoder_hidden_states=hidden).sample
            key = f"{style}.{scale}"
            tensors[key + ".text"], tensors[key + ".unet"] = hidden, unet
            cases.append({"key": key, "checkpoint": name, "file": f"{style}.safetensors", "scale": scale, "modules": len(state) // (3 if style == "kohya" else 2)})
    save_file({k: v.contiguous() for k, v in tensors.items()}, ROOT / "lora" / "golden.safetensors")
    (ROOT / "lora" / "golden.json").write_text(json.dumps({"timestep": 401, "cases": cases}, indent=1) + "\n")


img2img()
lora()
