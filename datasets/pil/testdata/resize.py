"""Writes resize.json: SHA-256 of what Pillow makes of pictures that are a formula. Last run with Pillow 13.0.0, NumPy 2.x.

Usage: python resize.py > resize.json
"""
import hashlib
import json

import numpy as np
from PIL import Image

SIZES = [  # width, height -> width, height: down, up, one direction alone, not at all, one pixel, odd ratios
    (512, 512, 224, 224), (333, 500, 224, 336), (100, 80, 280, 224), (64, 64, 224, 224), (500, 375, 298, 224), (97, 61, 50, 32),
    (31, 31, 32, 32), (40, 30, 40, 17), (40, 30, 17, 30), (40, 30, 40, 30), (1, 1, 7, 5), (7, 5, 1, 1), (3, 200, 5, 2), (1000, 2, 3, 2), (17, 19, 23, 29),
    (111, 400, 75, 269), (200, 300, 150, 199), (200, 300, 150, 200)]  # around the rule for which direction goes first
FILTERS = {"nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3, "box": 4, "hamming": 5}


def picture(w, h):
    """Value i of the picture: bits 16 to 23 of (i + 1)² · 2654435761, or extremes, which make the filters overshoot."""
    i = np.arange(1, w * h * 3 + 1, dtype=np.uint64)
    v = (i * i * np.uint64(2654435761)) >> np.uint64(16) & np.uint64(255)
    v = np.where(v < 60, 0, np.where(v > 200, 255, v))
    return v.astype(np.uint8).reshape(h, w, 3)


cases = []
for w, h, ow, oh in SIZES:
    for name, number in FILTERS.items():
        out = Image.fromarray(picture(w, h)).resize((ow, oh), number)
        cases.append({"from": [w, h], "to": [ow, oh], "filter": name, "sha256": hashlib.sha256(np.asarray(out).tobytes()).hexdigest()})
print("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]")
