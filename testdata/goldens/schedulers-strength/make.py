"""Write goldens of diffusers' schedulers that start from data with noise, as image to image does: make.py OUT_DIR

Made with torch 2.15.0, diffusers 0.42.1 and numpy 2.4.6 on x86-64. Where the run starts, and the order of the noise, are those of
StableDiffusionImg2ImgPipeline; the model is that of ../schedulers.
"""
import inspect
import json
import math
import pathlib
import sys

import diffusers
import torch
from safetensors.torch import save_file

diffusers.utils.logging.set_verbosity_error()
CLASSES = {
    "pndm": ("PNDMScheduler", dict(skip_prk_steps=True)),
    "ddim": ("DDIMScheduler", dict(clip_sample=False)),
    "euler": ("EulerDiscreteScheduler", {}),
    "euler_ancestral": ("EulerAncestralDiscreteScheduler", {}),
    "dpmpp_2m": ("DPMSolverMultistepScheduler", {}),
    "dpmpp_2m_karras": ("DPMSolverMultistepScheduler", dict(use_karras_sigmas=True)),
    "ddpm": ("DDPMScheduler", dict(clip_sample=False)),
    "lcm": ("LCMScheduler", {}),
}
BASE = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", set_alpha_to_one=False, steps_offset=1)
OPTIONS = [{}, {"timestep_spacing": "trailing"}, {"timestep_spacing": "leading", "solver_order": 3, "algorithm_type": "sde-dpmsolver++"},
           {"timestep_spacing": "linspace", "beta_schedule": "linear"}, {"solver_order": 3, "final_sigmas_type": "sigma_min"}]
SEED, RUNS = 17, [(10, 1.0), (10, 0.8), (10, 0.35), (20, 0.95), (10, 0.1)]


def trace_of(s, steps, strength):
    s.set_timesteps(steps)
    g = torch.Generator().manual_seed(SEED)
    data = torch.randn(1, 4, 2, 2, generator=g)
    start = max(steps - min(int(steps * strength), steps), 0)
    if hasattr(s, "set_begin_index"):
        s.set_begin_index(start)
    timesteps = s.timesteps[start:]
    x = s.add_noise(data, torch.randn(data.shape, generator=g), timesteps[:1])
    trace = [data, x]
    for t in timesteps:
        scaled = s.scale_model_input(x, t)
        e = torch.sin(3 * scaled) * math.cos(float(t) / 250) - 0.2 * scaled
        kw = {"generator": g} if "generator" in inspect.signature(s.step).parameters else {}
        x = s.step(e, t, x, **kw).prev_sample
        trace.append(x)
    return start, timesteps, trace


tensors, meta = {}, {"model": "that of ../schedulers; samples: the data, the data with noise, and after each step", "cases": []}
for name, (cls, extra) in CLASSES.items():
    has = inspect.signature(getattr(diffusers, cls).__init__).parameters
    for number, options in enumerate(OPTIONS):
        options = {k: v for k, v in options.items() if k in has}
        if number and not options:
            continue
        for prediction in ("epsilon", "v_prediction"):
            keys = {**BASE, "prediction_type": prediction, **extra, **options}
            for steps, strength in RUNS if number == 0 else RUNS[1:3]:
                s = getattr(diffusers, cls)(**{k: v for k, v in keys.items() if k in has})
                key = f"{name}.{prediction}.{number}.{steps}.{strength}"
                start, timesteps, trace = trace_of(s, steps, strength)
                tensors[key] = torch.stack(trace)
                meta["cases"].append({"key": key, "scheduler": name, "steps": steps, "seed": SEED, "start": start, "timesteps": timesteps.tolist(),
                                      "config": {k: v for k, v in s.config.items() if not k.startswith("_")}})
out = pathlib.Path(sys.argv[1])
save_file(tensors, out / "golden.safetensors")
(out / "golden.json").write_text('{"model": ' + json.dumps(meta["model"]) + ', "cases": [\n' + ",\n".join(json.dumps(c) for c in meta["cases"]) + "\n]}\n")
