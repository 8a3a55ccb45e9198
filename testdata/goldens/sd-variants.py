"""Write goldens of U-Nets and autoencoders with uncommon configs: sd-variants.py OUT_DIR (diffusers 0.42.1, torch 2.15.0).

What published checkpoints set, but no pipeline of the goldens: blocks in any order, lists per block, heads that do not
divide the channels, other kernels and paddings, latents that do not halve evenly, attention weights as 1x1 convolutions. sd15-tiny and sd21v-tiny beside them are what `goldens.py sd-more.json OUT_DIR sd` of the reference goldens writes.
"""
import pathlib
import sys

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import load_file, save_file

torch.set_num_threads(1)

VARIANTS = {
    "sd-variant-a": dict(
        seed=1, size=(2, 7, 10), text=(6, 12),
        unet=dict(block_out_channels=[8, 12, 16], down_block_types=["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
                  up_block_types=["CrossAttnUpBlock2D", "UpBlock2D", "CrossAttnUpBlock2D"], layers_per_block=[1, 2, 1],
                  transformer_layers_per_block=[1, 2, 1], attention_head_dim=[2, 5, 4], cross_attention_dim=12, norm_num_groups=4,
                  only_cross_attention=[False, True, False], conv_in_kernel=5, conv_out_kernel=1, time_embedding_dim=20,
                  flip_sin_to_cos=False, freq_shift=1, use_linear_projection=True, act_fn="gelu", norm_eps=1e-4),
        vae=dict(block_out_channels=[4, 8], down_block_types=["DownEncoderBlock2D"] * 2, up_block_types=["UpDecoderBlock2D"] * 2,
                 layers_per_block=2, norm_num_groups=2, latent_channels=4, use_quant_conv=False, use_post_quant_conv=False,
                 scaling_factor=0.5, shift_factor=0.1, mid_block_add_attention=False), conv_attention=False),
    "sd-variant-b": dict(
        seed=2, size=(1, 6, 5), text=(4, 8),
        unet=dict(block_out_channels=[6, 12], down_block_types=["CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
                  up_block_types=["CrossAttnUpBlock2D", "CrossAttnUpBlock2D"], layers_per_block=1, attention_head_dim=3,
                  cross_attention_dim=8, norm_num_groups=3, only_cross_attention=True, downsample_padding=0,
                  in_channels=4, out_channels=3, upcast_attention=True),
        vae=dict(block_out_channels=[6, 6, 6], down_block_types=["DownEncoderBlock2D"] * 3, up_block_types=["UpDecoderBlock2D"] * 3,
                 layers_per_block=1, norm_num_groups=3, latent_channels=4), conv_attention=True),
}
DISTILLED = dict(block_out_channels=[8, 12], down_block_types=["CrossAttnDownBlock2D", "DownBlock2D"],
                 up_block_types=["UpBlock2D", "CrossAttnUpBlock2D"], layers_per_block=1, attention_head_dim=2, cross_attention_dim=8, norm_num_groups=4,
                 time_cond_proj_dim=9)


@torch.no_grad()
def write(folder, c):
    torch.manual_seed(c["seed"])
    unet, vae = UNet2DConditionModel(**c["unet"]).eval(), AutoencoderKL(**c["vae"]).eval()
    for module in (unet, vae):
        for p in module.parameters():
            p.add_(torch.randn_like(p) * 0.1)
    n, h, w = c["size"]
    latents, text = torch.randn(n, 4, h, w), torch.randn(n, *c["text"])
    tensors = {"latents": latents, "text_hidden_state": text}
    for t in (1, 401, 981):
        tensors[f"unet.t{t}"] = unet(latents, torch.tensor(t), encoder_hidden_states=text).sample
    image = vae.decode(latents / vae.config.scaling_factor + (vae.config.shift_factor or 0)).sample
    moments = vae.encode(image.clamp(-1, 1)).latent_dist
    tensors.update({"vae_decoded": image, "vae_encoded_mean": moments.mean, "vae_encoded_logvar": moments.logvar})
    unet.save_pretrained(folder / "unet")
    vae.save_pretrained(folder / "vae")
    if c["conv_attention"]:
        conv_attention(folder / "vae" / "diffusion_pytorch_model.safetensors")
    save_file({k: v.contiguous() for k, v in tensors.items()}, folder / "golden.safetensors")


def conv_attention(path):
    """The names and shapes of the autoencoders of 2022."""
    old, state = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}, {}
    for k, v in load_file(path).items():
        for new, was in old.items():
            if ".attentions." in k and f".{new}." in k:
                k, v = k.replace(f".{new}.", f".{was}."), v[..., None, None] if v.ndim == 2 else v
        state[k] = v.contiguous()
    save_file(state, path, metadata={"format": "pt"})


def guidance_embedding(scale, dim):
    """What LatentConsistencyModelPipeline tells a distilled U-Net."""
    from diffusers import LatentConsistencyModelPipeline
    return LatentConsistencyModelPipeline.get_guidance_scale_embedding(None, torch.tensor([scale - 1.0]), embedding_dim=dim)


@torch.no_grad()
def write_distilled(folder):
    torch.manual_seed(3)
    unet = UNet2DConditionModel(**DISTILLED).eval()
    for p in unet.parameters():
        p.add_(torch.randn_like(p) * 0.1)
    latents, text = torch.randn(2, 4, 6, 6), torch.randn(2, 4, 8)
    tensors = {"latents": latents, "text_hidden_state": text}
    for scale in (1.0, 8.5):
        tensors[f"unet.guidance.{scale:g}"] = unet(latents, torch.tensor(401), encoder_hidden_states=text,
                                                   timestep_cond=guidance_embedding(scale, 9).repeat(2, 1)).sample
    for t in (1, 401, 981):  # told the timestep as its guidance scale, as TestUNet does
        tensors[f"unet.t{t}"] = unet(latents, torch.tensor(t), encoder_hidden_states=text, timestep_cond=guidance_embedding(float(t), 9).repeat(2, 1)).sample
    unet.save_pretrained(folder / "unet")
    save_file(tensors, folder / "golden.safetensors")


write_distilled(pathlib.Path(sys.argv[1]) / "sd-variant-c")
for name, config in VARIANTS.items():
    write(pathlib.Path(sys.argv[1]) / name, config)
