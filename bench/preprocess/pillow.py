"""CPU milliseconds that Pillow and torchvision take for what BenchmarkPicture does: pillow.py FILE.jpg [PICTURES] (one thread)."""
import io
import pathlib
import sys
import time

import PIL
import torch
import torchvision
from PIL import Image
from torchvision import transforms

torch.set_num_threads(1)
data = pathlib.Path(sys.argv[1]).read_bytes()
pictures = int(sys.argv[2]) if len(sys.argv) > 2 else 300
mean, std = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
resize = transforms.Resize(224, interpolation=transforms.InterpolationMode.BICUBIC)
transform = transforms.Compose([resize, transforms.CenterCrop(224), transforms.ToTensor(), transforms.Normalize(mean, std)])


def decoded():
    return Image.open(io.BytesIO(data)).convert("RGB")


def timed(what, work):
    work()
    start = time.process_time()
    for _ in range(pictures):
        work()
    print(f"{what:24} {(time.process_time() - start) / pictures * 1e3:.2f} CPU ms")


print(f"Pillow {PIL.__version__}, torchvision {torchvision.__version__}")
im = decoded()
timed("decode", decoded)
timed("resize, normalise", lambda: transform(im))
timed("both", lambda: transform(decoded()))
