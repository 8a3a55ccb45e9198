"""Time PyTorch on the work that regft does. Usage: peers.py CHECKPOINTS WORK [WORK ...]

One JSON line per work: name, median seconds of one call, processor seconds of one call, seconds of the first, peak memory
of the process in bytes, operations of one call (2 for a multiplication and its addition), what one call does.
"""
import argparse
import json
import pathlib
import resource
import statistics
import time

import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode


def spent():
    u = resource.getrusage(resource.RUSAGE_SELF)
    return u.ru_utime + u.ru_stime


def clock(name, what, call, runs):
    with FlopCounterMode(display=False) as flops:
        start = time.perf_counter()
        call()
        first = time.perf_counter() - start
    times, begun = [], spent()
    for _ in range(runs):
        start = time.perf_counter()
        call()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    print(json.dumps({"work": name, "seconds": statistics.median(times), "runs": runs, "call": what, "first": first,
                      "cpu": (spent() - begun) / runs, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10,
                      "flops": flops.get_total_flops(), "threads": torch.get_num_threads(), "device": DEVICE}), flush=True)


RUNS = 1  # whoever calls repeats this program, in turn with others
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
features = lambda x: x if torch.is_tensor(x) else x.pooler_output


def clip(root):
    from transformers import CLIPModel
    return CLIPModel.from_pretrained(root / "clip-vit-base-patch16", dtype=torch.float32).to(DEVICE)


def encode(root, batch):
    model, x = clip(root).eval(), torch.randn(batch, 3, 224, 224, device=DEVICE)

    @torch.no_grad()
    def call():
        model.get_image_features(pixel_values=x)
    clock(f"clip-encode-{batch}", f"CLIP ViT-B/16 image features of {batch} images, fp32", call, RUNS)


def finetune(root, batch):
    model = clip(root).train()
    head = torch.nn.Linear(512, 1000, device=DEVICE)
    params = [p for n, p in model.named_parameters() if n.startswith("vision")] + [model.visual_projection.weight] + list(head.parameters())
    opt = torch.optim.AdamW(params, lr=1e-5, weight_decay=0.1)
    x, y = torch.randn(batch, 3, 224, 224, device=DEVICE), torch.randint(0, 1000, (batch,), device=DEVICE)

    def call():
        opt.zero_grad()
        z = features(model.get_image_features(pixel_values=x))
        cov = torch.cov(z.T)
        d = cov.shape[0]
        v = torch.clamp(1 - torch.sqrt(cov.diag() + 1e-7), min=0).mean()
        c = ((cov * (1 - torch.eye(d, device=DEVICE))) ** 2).sum() / (d * (d - 1))
        (F.cross_entropy(head(F.normalize(z, dim=-1)), y) + 0.16 * v + 0.02 * c).backward()
        torch.nn.utils.clip_grad_norm_(params, 1.0)
        opt.step()
    clock(f"finetune-step-{batch}", f"one RegFT training step of CLIP ViT-B/16, batch {batch}, fp32", call, RUNS)


@torch.no_grad()
def unet(root, size):
    from diffusers import UNet2DConditionModel
    dtype = torch.float16 if DEVICE == "cuda" else torch.float32
    model = UNet2DConditionModel.from_pretrained(root / "stable-diffusion-2-1-base" / "unet", torch_dtype=dtype).to(DEVICE).eval()
    x, text = torch.randn(2, 4, size, size, device=DEVICE, dtype=dtype), torch.randn(2, 77, 1024, device=DEVICE, dtype=dtype)
    clock(f"unet-{size}", f"SD 2.1 U-Net, one guided step (batch 2), {size}x{size} latents, {dtype}",
          lambda: model(x, torch.tensor(500, device=DEVICE), encoder_hidden_states=text), RUNS)


@torch.no_grad()
def vae(root, size):
    from diffusers import AutoencoderKL
    model = AutoencoderKL.from_pretrained(root / "stable-diffusion-2-1-base" / "vae", torch_dtype=torch.float32).to(DEVICE).eval()
    x = torch.randn(1, 4, size, size, device=DEVICE)
    clock(f"vae-{size}", f"SD 2.1 VAE decode of one {size}x{size} latent, fp32", lambda: model.decode(x), RUNS)


@torch.no_grad()
def images(root, size):
    """Whole pipeline: images per second of diffusers, 50 steps, batch 16, guidance 5 (a GPU's work)."""
    from diffusers import StableDiffusionPipeline
    pipe = StableDiffusionPipeline.from_pretrained(root / "stable-diffusion-2-1-base", torch_dtype=torch.float16).to(DEVICE)
    pipe.set_progress_bar_config(disable=True)
    clock(f"images-{size}", "16 images 512x512, 50 steps, guidance 5, fp16",
          lambda: pipe(["a photo of a tench"] * 16, guidance_scale=5.0, num_inference_steps=50, output_type="np"), RUNS)


WORKS = {"encode": (encode, 32), "finetune": (finetune, 16), "unet": (unet, 64), "unet-small": (unet, 32), "vae": (vae, 64), "images": (images, 64)}

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("checkpoints", type=pathlib.Path)
    parser.add_argument("work", nargs="+", choices=WORKS)
    args = parser.parse_args()
    for name in args.work:
        f, n = WORKS[name]
        f(args.checkpoints, n)
