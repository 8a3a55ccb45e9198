"""Loads exported classifiers in open_clip, and encodes pictures and tokens with them and with transformers.

    python load_openclip.py PICTURES EXPORTED=PUBLISHED...

PICTURES is a published set of pictures; EXPORTED a folder of export's open_clip, PUBLISHED the same classifier as
transformers loads it. The result is JSON on standard output, an entry for each classifier.
"""

import json
import sys
from pathlib import Path

import open_clip
import torch
import transformers
from PIL import Image
from safetensors.torch import load_file


@torch.no_grad()
def load(exported, published, pictures):
    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{exported}")
    model.eval()
    tensors = load_file(f"{exported}/open_clip_model.safetensors")
    wrong = set(model.state_dict()) ^ set(tensors) | {n for n, p in model.state_dict().items() if n in tensors and not torch.equal(p, tensors[n])}
    theirs = transformers.CLIPModel.from_pretrained(published).eval()
    config = theirs.config.text_config
    eos = config.eos_token_id if config.eos_token_id != 2 else config.vocab_size - 1
    tokens = torch.randint(3, min(config.vocab_size - 2, eos), (3, config.max_position_embeddings), generator=torch.Generator().manual_seed(0))
    for row, end in enumerate((2, 5, config.max_position_embeddings - 1)):
        tokens[row, end:] = eos if end == config.max_position_embeddings - 1 else 0
        tokens[row, end] = eos
    text = theirs.get_text_features(input_ids=tokens)
    text = text if torch.is_tensor(text) else text.pooler_output
    return {
        "wrong": sorted(wrong),
        "features": model.encode_image(torch.stack([preprocess(p) for p in pictures])).flatten().tolist(),
        "text": model.encode_text(tokens).flatten().tolist(),
        "transformers_text": text.flatten().tolist(),
    }


folder = Path(sys.argv[1])
rows = [json.loads(line) for line in (folder / "metadata.jsonl").read_text().splitlines()]
images = [Image.open(folder / row["file_name"]).convert("RGB") for row in rows]
json.dump({
    "versions": {"python": sys.version.split()[0], "open_clip": open_clip.__version__, "torch": torch.__version__},
    "loaded": [load(*pair.split("="), images) for pair in sys.argv[2:]],
}, sys.stdout)
