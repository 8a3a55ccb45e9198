"""Write goldens of diffusers' schedulers with options drawn at random: make.py OUT_DIR

Made with torch 2.15.0, diffusers 0.42.1 and numpy 2.4.6 on x86-64. The cases are those of ../schedulers, with every option
that the classes know. Where the reference refuses an option, the case is listed under `refused`.
"""
import inspect
import json
import math
import pathlib
import random
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
# option: how often it is set, and the values that it takes
OPTIONS = {
    "num_train_timesteps": (0.2, [50, 100, 500, 777]),
    "beta_schedule": (0.5, ["linear", "scaled_linear", "squaredcos_cap_v2"]),
    "beta_start": (0.2, [0.0001, 0.002]),
    "beta_end": (0.2, [0.02, 0.03]),
    "timestep_spacing": (0.6, ["leading", "linspace", "trailing"]),
    "steps_offset": (0.4, [0, 1, 2]),
    "set_alpha_to_one": (0.4, [True]),
    "rescale_betas_zero_snr": (0.25, [True]),
    "skip_prk_steps": (0.3, [False]),
    "clip_sample": (0.3, [True]),
    "clip_sample_range": (0.3, [1.0, 2.0]),
    "thresholding": (0.15, [True]),
    "sample_max_value": (0.3, [1.0, 1.5, 3.0]),
    "dynamic_thresholding_ratio": (0.2, [0.9, 0.95]),
    "final_sigmas_type": (0.4, ["sigma_min"]),
    "solver_order": (0.5, [1, 2, 3]),
    "algorithm_type": (0.5, ["dpmsolver", "dpmsolver++", "sde-dpmsolver", "sde-dpmsolver++"]),
    "solver_type": (0.5, ["midpoint", "heun", "logrho"]),
    "lower_order_final": (0.3, [False]),
    "euler_at_final": (0.3, [True]),
    "lambda_min_clipped": (0.2, [-5.1, -3.0]),
    "use_lu_lambdas": (0.15, [True]),
    "variance_type": (0.4, ["fixed_small", "fixed_small_log", "fixed_large"]),
    "use_karras_sigmas": (0.2, [True]),
    "use_exponential_sigmas": (0.15, [True]),
    "interpolation_type": (0.2, ["log_linear"]),
    "timestep_type": (0.2, ["continuous"]),
    "sigma_min": (0.1, [0.01, 0.05]),
    "sigma_max": (0.1, [10.0, 20.0]),
    "original_inference_steps": (0.3, [20, 40]),
    "timestep_scaling": (0.2, [1.0, 5.0]),
    "trained_betas": (0.05, [[round(0.001 + 0.0004 * t, 8) for t in range(50)]]),
}
# Divides by an alpha of 1e-5: what the reference gives is its own rounding error.
LEFT_OUT = {"101.dpmpp_2m.8"}


def draw(rng, name, has):
    options = {k: rng.choice(values) for k, (often, values) in OPTIONS.items() if k in has and rng.random() < often}
    if name == "ddpm" and rng.random() < 0.3:
        options["beta_schedule"] = rng.choice(["laplace", "sigmoid"])
    if name.startswith("dpmpp"):
        options.pop("variance_type", None)
    options["prediction_type"] = rng.choice(["epsilon", "v_prediction"] + ["sample"] * (name not in ("pndm", "euler_ancestral")))
    return options


def trace(s, steps, seed):
    s.set_timesteps(steps)
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(1, 4, 2, 4, generator=g) * s.init_noise_sigma
    samples = [x]
    takes = inspect.signature(s.step).parameters
    for t in s.timesteps:
        scaled = s.scale_model_input(x, t)
        e = torch.sin(3 * scaled) * math.cos(float(t) / 250) - 0.2 * scaled
        x = s.step(e, t, x, **({"generator": g} if "generator" in takes else {})).prev_sample
        samples.append(x)
    return torch.stack(samples)


def main():
    rng, out = random.Random(3), pathlib.Path(sys.argv[1])
    tensors, meta = {}, {"note": "made by make.py", "cases": [], "refused": []}
    for seed in range(160):
        name = rng.choice(list(CLASSES))
        cls, extra = getattr(diffusers, CLASSES[name][0]), CLASSES[name][1]
        has = inspect.signature(cls.__init__).parameters
        options, steps = draw(rng, name, has), rng.choice([1, 2, 3, 4, 5, 7, 8, 10, 12])
        config = {**{k: v for k, v in BASE.items() if k in has and not (name == "ddpm" and k == "steps_offset")}, **extra, **options}
        case = {"key": f"{seed:03d}.{name}.{steps}", "scheduler": name, "steps": steps, "seed": seed, "options": options, "config": config}
        if case["key"] in LEFT_OUT:
            continue
        try:
            s = cls(**config)
            samples = trace(s, steps, seed)
        except (IndexError, ValueError, RuntimeError, NameError) as e:
            meta["refused"].append({**case, "by": f"{type(e).__name__}: {e}"})
            continue
        if samples.isfinite().all() and samples.abs().max() < 1e6:
            tensors[case["key"] + ".timesteps"], tensors[case["key"] + ".samples"] = s.timesteps.float(), samples
            meta["cases"].append(case)
    out.mkdir(parents=True, exist_ok=True)
    save_file(tensors, out / "golden.safetensors")
    (out / "golden.json").write_text(json.dumps(meta, indent=None, separators=(",", ":")).replace('{"key"', '\n{"key"') + "\n")
    print(len(meta["cases"]), len(meta["refused"]))


if __name__ == "__main__":
    main()
