"""Write what PyTorch computes at full size, inputs and outputs. Usage: reference.py CHECKPOINTS OUT [WORK ...]"""
import pathlib
import sys

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

SD = "stable-diffusion-2-1-base"
features = lambda x: x if torch.is_tensor(x) else x.pooler_output


def clip(root):
    from transformers import CLIPModel
    return CLIPModel.from_pretrained(root / "clip-vit-base-patch16", dtype=torch.float32)


@torch.no_grad()
def encode(root):
    x = torch.randn(2, 3, 224, 224)
    return {"pixels": x, "features": features(clip(root).eval().get_image_features(pixel_values=x))}


def finetune(root):
    """One RegFT training step: losses, the length of all gradients, and the gradients cut to length 1."""
    model, head = clip(root).train(), torch.nn.Linear(512, 1000)
    params = {n: p for n, p in model.named_parameters() if n.startswith(("vision_model", "visual_projection"))}
    params |= {"head." + n: p for n, p in head.named_parameters()}
    x, y = torch.randn(4, 3, 224, 224), torch.randint(0, 1000, (4,), dtype=torch.int32)
    z = features(model.get_image_features(pixel_values=x))
    cov = torch.cov(z.T)
    d = cov.shape[0]
    v = torch.clamp(1 - torch.sqrt(cov.diag() + 1e-7), min=0).mean()
    c = ((cov * (1 - torch.eye(d))) ** 2).sum() / (d * (d - 1))
    ce = F.cross_entropy(head(F.normalize(z, dim=-1)), y.long())
    loss = ce + 0.16 * v + 0.02 * c
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(params.values(), 1.0)
    out = {"pixels": x, "labels": y, "record": torch.stack([loss, ce, v, c, norm]).detach()}
    out |= {"head.weight": head.weight.detach(), "head.bias": head.bias.detach()}
    return out | {"gradient." + n: p.grad for n, p in params.items() if p.grad is not None}


@torch.no_grad()
def text(root):
    from transformers import CLIPTextModel
    model = CLIPTextModel.from_pretrained(root / SD / "text_encoder", dtype=torch.float32).eval()
    tokens = torch.randint(0, 49000, (1, 77), dtype=torch.int32)
    return {"tokens": tokens, "states": model(tokens.long()).last_hidden_state}


@torch.no_grad()
def unet(root):
    from diffusers import UNet2DConditionModel
    model = UNet2DConditionModel.from_pretrained(root / SD / "unet", torch_dtype=torch.float32).eval()
    x, states = torch.randn(2, 4, 64, 64), torch.randn(2, 77, 1024)
    return {"latents": x, "states": states, "prediction": model(x, torch.tensor(500), encoder_hidden_states=states).sample}


@torch.no_grad()
def vae(root):
    from diffusers import AutoencoderKL
    model = AutoencoderKL.from_pretrained(root / SD / "vae", torch_dtype=torch.float32).eval()
    x = torch.randn(1, 4, 64, 64)
    return {"latents": x, "picture": model.decode(x).sample}


WORKS = {"encode": encode, "finetune": finetune, "text": text, "unet": unet, "vae": vae}

if __name__ == "__main__":
    root, out = map(pathlib.Path, sys.argv[1:3])
    out.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[3:] or WORKS:
        torch.manual_seed(1)
        save_file({k: t.contiguous() for k, t in WORKS[name](root).items()}, out / f"{name}.safetensors")
