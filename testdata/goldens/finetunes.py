"""Write goldens of RegFT's training step with more than the published code has: finetunes.py GOLDENS_DIR
(torch 2.15.0, transformers 5.23.0, peft 0.21.2). They are read as those of goldens.py's finetune are.

finetune-groups: parameter groups and layer-wise decay. finetune-anchored: L2-SP, distances from the start's features and
a moving average. finetune-lora, finetune-lora-anchored: peft's LoRA, the latter with all of them.
"""
import fnmatch
import json
import math
import pathlib
import re
import sys

import peft
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from transformers import CLIPModel

torch.set_num_threads(1)

BASE = dict(steps=4, batch=7, lr=1e-3, wd=0.1, warmup=2, label_smoothing=0.1, lambda_ce=1.0, vc_reg=[0.16, 0.02], alphas=[])
RUNS = {
    "finetune-groups": dict(clip="clip-tiny-quickgelu", classes=5, seed=11, layer_decay=0.7, groups=[
        dict(match=["head.*"], learning_rate=1e-2, weight_decay=0.0),
        dict(match=["*.bias", "*norm*.weight"], weight_decay=0.0),
        dict(match=["*.layers.0.*"], learning_rate=3e-4)]),
    "finetune-anchored": dict(clip="clip-tiny-gelu", classes=4, seed=12, l2_sp=0.3, distill=0.02, ema=0.75),
    "finetune-lora": dict(clip="clip-tiny-gelu", classes=4, seed=13, lora=dict(rank=3, alpha=6.0, targets=["q_proj", "v_proj"])),
    "finetune-lora-anchored": dict(
        clip="clip-tiny-quickgelu", classes=3, seed=14, l2_sp=0.5, distill=0.05, ema=0.6, lr=5e-3,
        lora=dict(rank=2, alpha=1.0, targets=["fc1", "layers.1.self_attn.out_proj", "visual_projection"])),
}


def vc(z):
    z = z - z.mean(0)
    cov = z.T @ z / (len(z) - 1)
    d = z.shape[1]
    off = (cov - torch.diag(torch.diag(cov))).pow(2).sum() / (d * (d - 1))
    return F.relu(1 - torch.sqrt(torch.diag(cov) + 1e-7)).mean(), off


def smoothed(logits, y, s):
    logp = F.log_softmax(logits, -1)
    return ((1 - s) * -logp.gather(1, y[:, None])[:, 0] + s * -logp.mean(-1)).mean()


def depth(name, layers):
    if m := re.match(r"vision_model\.encoder\.layers\.(\d+)\.", name):
        return int(m[1]) + 1
    return 0 if name.startswith(("vision_model.embeddings.", "vision_model.pre_layrnorm.")) else layers + 1


def rates(f, name, layers):
    lr, wd = f["lr"], f["wd"]
    for g in f.get("groups", []):
        if any(fnmatch.fnmatchcase(name, p) for p in g["match"]):
            lr, wd = g.get("learning_rate", lr), g.get("weight_decay", wd)
            break
    return lr * f.get("layer_decay", 1) ** (layers + 1 - depth(name, layers)), wd


def encoded(model, x):
    out = model.get_image_features(pixel_values=x)
    return out if isinstance(out, torch.Tensor) else out.pooler_output


def run(name, f, goldens):
    f = {**BASE, **f, "name": name}
    torch.manual_seed(f["seed"])
    model, start = (CLIPModel.from_pretrained(goldens / f["clip"], attn_implementation="eager").eval() for _ in range(2))
    dim, image = model.config.projection_dim, model.config.vision_config.image_size
    layers = model.config.vision_config.num_hidden_layers
    head_w, head_b = (F.normalize(torch.randn(f["classes"], dim), dim=-1) * 100).requires_grad_(), torch.zeros(f["classes"], requires_grad=True)
    x, y = torch.randn(f["steps"], f["batch"], 3, image, image), torch.randint(0, f["classes"], (f["steps"], f["batch"]))
    tensors = {"pixel_values": x, "labels": y, "head.weight": head_w.detach().clone(), "head.bias": head_b.detach().clone()}

    if lora := f.get("lora"):
        modules = [n for n, m in model.named_modules() if isinstance(m, torch.nn.Linear) and n.startswith(("vision_model.", "visual_projection"))
                   and any(n == t or n.endswith("." + t) for t in lora["targets"])]
        model = peft.get_peft_model(model, peft.LoraConfig(r=lora["rank"], lora_alpha=lora["alpha"], target_modules=modules))
        params = {n.removeprefix("base_model.model.").replace(".default.weight", ".weight"): p for n, p in model.named_parameters() if p.requires_grad}
        tensors.update({"start." + n: p.detach().clone() for n, p in params.items()})
    else:
        params = {n: p for n, p in model.named_parameters() if n.startswith(("vision_model.", "visual_projection."))}
        params |= {"head.weight": head_w, "head.bias": head_b}
    first = {n: p.detach().clone() for n, p in params.items()}
    average = {n: p.detach().clone() for n, p in params.items()}
    rate = {n: rates(f, n, layers) for n in params}
    opt = torch.optim.AdamW([{"params": [p], "lr": rate[n][0], "weight_decay": rate[n][1], "name": n} for n, p in params.items()])
    rows = []
    for step in range(f["steps"]):
        e, es = step - f["warmup"], f["steps"] - f["warmup"]
        factor = (step + 1) / f["warmup"] if step < f["warmup"] else 0.5 * (1 + math.cos(math.pi * e / es))
        for group in opt.param_groups:
            group["lr"] = rate[group["name"]][0] * factor
        opt.zero_grad()
        z = encoded(model, x[step])
        ce = smoothed(F.linear(F.normalize(z, dim=-1), head_w, head_b), y[step], f["label_smoothing"])
        v, c = vc(z)
        loss = f["lambda_ce"] * ce + f["vc_reg"][0] * v + f["vc_reg"][1] * c
        row = {"step": step, "lr": f["lr"] * factor, "ce": ce.item(), "variance": v.item(), "covariance": c.item()}
        if d := f.get("distill"):
            with torch.no_grad():
                z0 = encoded(start, x[step])
            distance = (z - z0).pow(2).sum(-1).mean()
            loss, row["distance"] = loss + d * distance, distance.item()
        if w := f.get("l2_sp"):
            if lora:
                moved = [params[n] @ params[n.replace("lora_B", "lora_A")] * (lora["alpha"] / lora["rank"]) for n in params if "lora_B" in n]
            else:
                moved = [p - first[n] for n, p in params.items()]
            penalty = 0.5 * w * sum(m.pow(2).sum() for m in moved)
            loss, row["l2_sp"] = loss + penalty, penalty.item()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(params.values(), 1.0)
        opt.step()
        rows.append({**row, "loss": loss.item(), "grad_norm": norm.item()})
        for n, p in params.items():
            average[n] = f.get("ema", 0) * average[n] + (1 - f.get("ema", 0)) * p.detach()
    trained = average if "ema" in f else {n: p.detach() for n, p in params.items()}
    if lora:
        with torch.no_grad():
            for n, p in params.items():
                p.copy_(trained[n])
        tensors.update({"adapter." + n: p.clone() for n, p in trained.items()})
        merged = model.merge_and_unload()
        trained = {n + ".weight": merged.get_submodule(n).weight.detach() for n in modules}
    tensors.update({"final." + n: p.clone() for n, p in trained.items()})
    folder = goldens / name
    folder.mkdir(exist_ok=True)
    save_file({k: v.contiguous() for k, v in tensors.items()}, folder / "golden.safetensors", {"format": "pt"})
    (folder / "golden.json").write_text(json.dumps({**f, "steps_log": rows}, indent=1) + "\n")


for name, f in RUNS.items():
    run(name, f, pathlib.Path(sys.argv[1]))
