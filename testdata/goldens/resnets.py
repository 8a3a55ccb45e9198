"""Write goldens of small ResNets with bottlenecks: resnets.py OUT_DIR (torchvision 0.29.2, torch 2.15.0).

torchvision's own blocks and forward with other depths and widths; weights and norm statistics are random. One has its
weights in safetensors, the other as torch.save writes them, with a classifier that DINO's do not have.
"""
import json
import pathlib
import sys

import torch
from safetensors.torch import save_file
from torchvision.models.resnet import Bottleneck, ResNet

torch.set_num_threads(1)

VARIANTS = {
    "resnet-a": dict(seed=1, stem=6, planes=[3, 4, 5, 6], blocks=[2, 1, 2, 1], size=(2, 40), classes=None),
    "resnet-b": dict(seed=2, stem=8, planes=[2, 3, 4, 2], blocks=[1, 3, 1, 2], size=(3, 64), classes=5),
}


class Small(ResNet):
    def __init__(self, stem, planes, blocks, classes):
        torch.nn.Module.__init__(self)
        self._norm_layer, self.inplanes, self.dilation, self.groups, self.base_width = torch.nn.BatchNorm2d, stem, 1, 1, 64
        self.conv1 = torch.nn.Conv2d(3, stem, 7, stride=2, padding=3, bias=False)
        self.bn1, self.relu, self.maxpool = torch.nn.BatchNorm2d(stem), torch.nn.ReLU(inplace=True), torch.nn.MaxPool2d(3, 2, 1)
        for i, (p, n) in enumerate(zip(planes, blocks)):
            setattr(self, f"layer{i + 1}", self._make_layer(Bottleneck, p, n, stride=1 if i == 0 else 2))
        self.avgpool = torch.nn.AdaptiveAvgPool2d(1)
        self.fc = torch.nn.Linear(4 * planes[-1], classes) if classes else torch.nn.Identity()


for name, v in VARIANTS.items():
    gen = torch.Generator().manual_seed(v["seed"])
    net = Small(v["stem"], v["planes"], v["blocks"], v["classes"]).eval()
    with torch.no_grad():
        for key, x in net.state_dict().items():
            if x.is_floating_point():
                noise = torch.randn(x.shape, generator=gen)
                x.copy_(noise.abs() + 0.3 if key.endswith("running_var") else noise * (2 / x[0].numel()) ** 0.5 if x.ndim > 1 else noise * 0.3 + 0.5)
        folder = pathlib.Path(sys.argv[1]) / name
        folder.mkdir(parents=True, exist_ok=True)
        state = net.state_dict()
        if v["classes"]:
            torch.save(state, folder / "pytorch_model.bin")
        else:
            save_file(state, folder / "model.safetensors")
        batch, size = v["size"]
        pixels = torch.randn(batch, 3, size, size, generator=gen)
        net.fc = torch.nn.Identity()
        save_file({"pixels": pixels, "features": net(pixels)}, folder / "golden.safetensors")
        (folder / "golden.json").write_text(json.dumps({"parameters": len(state), "width": 4 * v["planes"][-1]}) + "\n")
