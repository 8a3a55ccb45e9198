"""Loads published classifiers in transformers and encodes pictures and texts with them.

    python load_classifier.py PICTURES TEXTS CLASSIFIER...

PICTURES is a published set of pictures, TEXTS a JSON list. A classifier is a folder, or FOLDER+UPDATES with the folder of
low-rank updates that peft loads over it. The result is JSON on standard output, an entry for each classifier.
"""

import json
import math
import sys
from pathlib import Path

import torch
import transformers
from PIL import Image
from safetensors.torch import load_file


def projected(output):
    return output if torch.is_tensor(output) else output.pooler_output  # transformers 4, 5


@torch.no_grad()
def load(folder, pictures, texts):
    folder, _, updates = folder.partition("+")
    model, info = transformers.CLIPModel.from_pretrained(folder, output_loading_info=True)
    model.eval()
    if updates:
        import peft
        start = {name: p.clone() for name, p in model.named_parameters()}
        model = peft.PeftModel.from_pretrained(model, updates)
        loaded = {n.replace(".default.", ".") for n, _ in model.named_parameters() if ".lora_" in n}
        given = set(load_file(f"{updates}/adapter_model.safetensors"))
        info["missing_keys"] = loaded ^ given
        model = model.merge_and_unload()
        moved = [n for n, p in model.named_parameters() if not torch.equal(p, start[n])]
        info["unexpected_keys"] = [n for n in moved if f"base_model.model.{n.removesuffix('.weight')}.lora_A.weight" not in given]
    # transformers 5 has torchvision's resampling as well, which differs from Pillow's in last bits.
    image_processor = getattr(transformers, "CLIPImageProcessorPil", transformers.CLIPImageProcessor)
    pixels = image_processor.from_pretrained(folder)(pictures, return_tensors="pt")["pixel_values"]
    tokenizer = transformers.CLIPTokenizer.from_pretrained(folder)
    head = []
    for text in texts:
        row = projected(model.get_text_features(**tokenizer([text], return_tensors="pt")))[0]
        head += (row / row.norm() * math.exp(model.logit_scale.item())).tolist()
    return {
        "wrong": sorted(map(str, [*info["missing_keys"], *info["unexpected_keys"], *info["mismatched_keys"]])),
        "dtype": str(model.dtype),
        "features": projected(model.get_image_features(pixel_values=pixels)).flatten().tolist(),
        "head": head,
    }


pictures, texts = Path(sys.argv[1]), json.loads(sys.argv[2])
rows = [json.loads(line) for line in (pictures / "metadata.jsonl").read_text().splitlines()]
images = [Image.open(pictures / row["file_name"]).convert("RGB") for row in rows]
json.dump({
    "versions": {"python": sys.version.split()[0], "transformers": transformers.__version__, "torch": torch.__version__},
    "loaded": [load(folder, images, texts) for folder in sys.argv[3:]],
}, sys.stdout)
