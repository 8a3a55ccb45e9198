"""Writes pictures/: small pictures in many formats and modes, and expected.json: size and SHA-256 of what Pillow makes of each as RGB.

Usage: python pictures.py pictures. Last run with Pillow 13.0.0 (libjpeg-turbo 3.1, libwebp 1.6), NumPy 2.
"""
import hashlib
import io
import json
import pathlib
import re
import struct
import sys
import zlib

import numpy as np
from PIL import Image

out = pathlib.Path(sys.argv[1])
out.mkdir(parents=True, exist_ok=True)
rng = np.random.default_rng(7)
expected = {}


def picture(w, h, channels=3):
    y, x = np.mgrid[0:h, 0:w].astype(np.float64)
    a = np.stack([127 + 90 * np.sin(x / 5.0 + c) * np.cos(y / 7.0 - c) for c in range(channels)], -1)
    a[(x - w / 2) ** 2 + (y - h / 3) ** 2 < h * w / 20] = rng.uniform(0, 255, channels)
    return (a + rng.normal(0, 8, a.shape)).clip(0, 255).astype(np.uint8)


def note(name, data):
    (out / name).write_bytes(data)
    im = Image.open(io.BytesIO(data)).convert("RGB")
    expected[name] = {"width": im.width, "height": im.height, "sha256": hashlib.sha256(im.tobytes()).hexdigest()}


def save(name, im, **options):
    buffer = io.BytesIO()
    im.save(buffer, name.rsplit(".", 1)[1].upper().replace("JPG", "JPEG").replace("TIF", "TIFF").replace("TIFFF", "TIFF").replace("PGM", "PPM").replace("PBM", "PPM"), **options)
    note(name, buffer.getvalue())


def png(name, w, h, depth, colour, rows, chunks=(), interlace=0):
    """A PNG written by hand, for what Pillow does not write: rows are bytes."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, depth, colour, 0, 0, interlace))
    data += b"".join(chunk(k, v) for k, v in chunks) + chunk(b"IDAT", zlib.compress(b"".join(b"\0" + r for r in rows))) + chunk(b"IEND", b"")
    note(name, data)


w, h = 37, 29
rgb = Image.fromarray(picture(w, h))
rgba = Image.fromarray(picture(w, h, 4))
rgba.putalpha(Image.fromarray(rng.choice([0, 1, 100, 255], (h, w)).astype(np.uint8)))
grey, palette = rgb.convert("L"), rgb.quantize(50)

# PNG
save("rgb.png", rgb)
save("rgba.png", rgba)
save("grey.png", grey)
save("grey_alpha.png", rgba.convert("LA"))
save("one_bit.png", grey.convert("1"))
save("palette.png", palette)
save("palette_alpha.png", palette, transparency=bytes(rng.integers(0, 256, 50).tolist()))
save("palette_4_bit.png", rgb.quantize(11), bits=4)
save("palette_2_bit.png", rgb.quantize(4), bits=2)
save("rgb_transparent_colour.png", rgb, transparency=rgb.getpixel((3, 3)))
save("grey_transparent_colour.png", grey, transparency=grey.getpixel((3, 3)))
save("one_pixel.png", Image.fromarray(picture(1, 1)))
bits = lambda n, count: [rng.bytes(n) for _ in range(count)]
png("grey_16.png", 20, 11, 16, 0, [rng.choice([0, 1, 255, 256, 300, 65535, 77, 200], 20).astype(">u2").tobytes() for _ in range(11)])
png("grey_16_transparent.png", 20, 11, 16, 0, [rng.choice([0, 255, 300, 77], 20).astype(">u2").tobytes() for _ in range(11)], [(b"tRNS", b"\0\x4d")])
png("rgb_16.png", 20, 11, 16, 2, bits(120, 11))
png("rgb_16_transparent.png", 2, 1, 16, 2, [b"\1\2\3\4\5\6\7\x80\x99\xff\xee\0"], [(b"tRNS", b"\1\2\3\4\5\6")])
png("grey_alpha_16.png", 20, 11, 16, 4, bits(80, 11))
png("rgba_16.png", 20, 11, 16, 6, bits(160, 11))
png("grey_2_bit.png", 21, 11, 2, 0, bits(6, 11))
png("grey_4_bit.png", 21, 11, 4, 0, bits(11, 11))
png("palette_short.png", 4, 1, 8, 3, [b"\0\1\2\7"], [(b"PLTE", bytes(range(10, 19)))])


def interlaced(a):
    for x0, y0, dx, dy in ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)):
        part = a[y0::dy, x0::dx]
        if part.size:
            yield from (row.tobytes() for row in part)


png("interlaced.png", w, h, 8, 2, list(interlaced(picture(w, h))), interlace=1)
png("interlaced_alpha.png", 5, 3, 8, 6, list(interlaced(picture(5, 3, 4))), interlace=1)

# JPEG
sizes = {"": (w, h), "_even": (48, 32), "_wide": (90, 3), "_narrow": (3, 40), "_tiny": (1, 1)}
for chroma, number in (("444", 0), ("422", 1), ("420", 2)):
    for kind, (a, b) in sizes.items():
        save(f"{chroma}{kind}.jpg", Image.fromarray(picture(a, b)), quality=90, subsampling=number)
noise = Image.fromarray(rng.integers(0, 256, (61, 83, 3)).astype(np.uint8))
save("420_noise.jpg", noise, quality=95, subsampling=2)
save("444_noise.jpg", noise, quality=95, subsampling=0)
save("420_coarse.jpg", rgb, quality=20, subsampling=2)
save("420_progressive.jpg", rgb, quality=90, subsampling=2, progressive=True)
save("422_progressive.jpg", rgb, quality=90, subsampling=1, progressive=True)
save("420_restarts.jpg", rgb, quality=90, subsampling=2, restart_marker_blocks=2)
save("grey.jpg", grey, quality=90)
save("grey_progressive.jpg", grey, quality=90, progressive=True)
save("cmyk.jpg", rgb.convert("CMYK"), quality=90)
save("rgb.jpg", rgb, quality=90, keep_rgb=True)
exif = Image.Exif()
exif[0x0112] = 6
save("orientation.jpg", rgb, quality=90, exif=exif)

# WebP
save("lossy.webp", rgb, quality=80)
save("lossy_even.webp", Image.fromarray(picture(48, 32)), quality=60)
save("lossy_tiny.webp", Image.fromarray(picture(1, 1)), quality=80)
save("lossy_narrow.webp", Image.fromarray(picture(2, 9)), quality=80)
save("lossy_alpha.webp", rgba, quality=80)
save("lossless.webp", rgb, lossless=True)
save("lossless_alpha.webp", rgba, lossless=True, exact=True)

# the rest
save("rgb.bmp", rgb)
save("rgba.bmp", rgba)
save("grey.bmp", grey)
save("palette.bmp", palette)
save("rgb.gif", rgb)
save("transparent.gif", palette, transparency=3)
save("animated.gif", rgb, save_all=True, append_images=[Image.fromarray(picture(w, h))])


def lzw(values):
    """GIF's codes of two-bit values, the table cleared before each."""
    codes = [c for v in values for c in (4, v)] + [5]
    packed = sum(c << 3 * i for i, c in enumerate(codes)).to_bytes(-(-3 * len(codes) // 8), "little")
    return bytes([2, len(packed)]) + packed + b"\0"


# A frame smaller than its canvas: 3 x 2 pixels at (2, 1) on 6 x 5, with and without a transparent colour.
for name, control in (("small_frame.gif", b""), ("small_frame_transparent.gif", b"!\xf9\4\1\0\0\2\0")):
    note(name, b"GIF89a\6\0\5\0\x91\1\0" + bytes(range(100, 112)) + control + b",\2\0\1\0\3\0\2\0\0" + lzw([0, 1, 2, 3, 2, 1]) + b";")
note("rgb.ppm", b"P6\n# a comment\n37 29\n255\n" + rgb.tobytes())
note("rgb_31.ppm", b"P6 3 2 31\n" + bytes(range(18)))
note("rgb_16.ppm", b"P6 3 1 1000\n" + rng.integers(0, 1001, 9).astype(">u2").tobytes())
note("plain.ppm", b"P3\n2 2 # size\n15\n0 1 2 3 4 5 6 7 8\n9 10 15\n")
save("grey.pgm", grey)
note("grey_16.pgm", b"P5 4 1 65535\n" + np.array([0, 200, 255, 40000], ">u2").tobytes())
note("grey_12.pgm", b"P5 4 1 4095\n" + np.array([0, 2, 15, 4000], ">u2").tobytes())
note("plain.pgm", b"P2 3 1 255\n0 100 255\n")
save("one_bit.pbm", grey.convert("1"))
note("plain.pbm", b"P1\n5 2\n10110\n0 1 0 0 1\n")
for compression in (None, "tiff_lzw", "tiff_deflate", "packbits"):
    save(f"rgb_{compression}.tif", rgb, compression=compression)
save("rgba.tif", rgba)
save("grey.tif", grey)
save("palette.tif", palette)
save("grey_16.tif", Image.fromarray(rng.integers(0, 600, (h, w)).astype(np.uint16)))


# JPEG that Pillow does not write: others' bytes with another header. Blocks in an MCU keep their number, so that the files are whole.
def jpeg(im, **options):
    buffer = io.BytesIO()
    im.save(buffer, "JPEG", quality=90, **options)
    return buffer.getvalue()


def patched(data, factors, size=None):
    """The same data with other sampling factors of the components, and another (width, height)."""
    at = next(data.index(m) for m in (b"\xff\xc0\0", b"\xff\xc2\0") if m in data)
    data = bytearray(data)
    if size:
        data[at + 5:at + 9] = struct.pack(">HH", size[1], size[0])
    for i, f in enumerate(factors):
        data[at + 11 + 3 * i] = f
    return bytes(data)


big = rgb.resize((64, 48))
note("progressive_restarts.jpg", jpeg(big, progressive=True, restart_marker_rows=1))
note("progressive_restarts_422.jpg", jpeg(big.crop((0, 0, 53, 41)), subsampling=1, progressive=True, restart_marker_blocks=3))
note("progressive_noise.jpg", jpeg(noise, progressive=True, subsampling=2))
note("440.jpg", patched(jpeg(big, subsampling=1), [0x12, 0x11, 0x11], (45, 61)))  # 4 x 6 MCUs of 16 x 8, then 6 x 4 of 8 x 16
note("411.jpg", patched(jpeg(big, subsampling=2), [0x41, 0x11, 0x11], (70, 29)))  # 4 x 3 of 16 x 16, then 3 x 4 of 32 x 8
note("410.jpg", patched(jpeg(big, subsampling=2), [0x14, 0x11, 0x11], (29, 70)))
note("luma_subsampled.jpg", patched(jpeg(big, subsampling=1), [0x11, 0x21, 0x11]))
note("grey_factors.jpg", patched(jpeg(grey), [0x22]))
note("ycck.jpg", jpeg(rgb.convert("CMYK")).replace(b"Adobe\0d\0\0\0\0\0", b"Adobe\0d\0\0\0\0\2"))
note("ycck_subsampled.jpg", jpeg(big.convert("CMYK"), subsampling=2).replace(b"Adobe\0d\0\0\0\0\0", b"Adobe\0d\0\0\0\0\2"))
note("cmyk_unmarked.jpg", (lambda d, at: d[:at] + d[at + 16:])(jpeg(rgb.convert("CMYK")), jpeg(rgb.convert("CMYK")).index(b"\xff\xee\0\x0eAdobe")))
planes = [jpeg(plane) for plane in rgb.convert("YCbCr").split()]
start, scan = planes[0].index(b"\xff\xc0\0"), planes[0].index(b"\xff\xda\0")
frame = b"\xff\xc0\0\x11\x08" + struct.pack(">HH", h, w) + b"\3\1\x11\0\2\x11\0\3\x11\0"
scans = [p[p.index(b"\xff\xda\0"):-2] for p in planes]
scans = [s[:5] + bytes([i + 1]) + s[6:] for i, s in enumerate(scans)]
note("one_scan_a_plane.jpg", planes[0][:start] + frame + planes[0][start + 13:scan] + b"".join(scans) + b"\xff\xd9")

# Damage that libjpeg warns of and reads: a segment that a marker ends too early, fill bytes.
whole = jpeg(big, subsampling=2)
note("cut.jpg", whole[:len(whole) * 2 // 3] + b"\xff\xd9")
parts = jpeg(big, subsampling=2, restart_marker_blocks=5)
at = parts.index(b"\xff\xd0")
note("cut_restart.jpg", parts[:at - 60] + parts[at:])
note("fill_bytes.jpg", parts[:at] + b"\xff\xff" + parts[at:])
note("no_restarts.jpg", parts[:at] + re.sub(b"\xff[\xd0-\xd7]", b"", parts[at:]))


def coarse(data):
    """The same data with all factors of quantisation 255: coefficients beyond what 16 bits hold."""
    return re.sub(b"\xff\xdb\0\x43(.).{64}", lambda m: b"\xff\xdb\0\x43" + m[1] + b"\xff" * 64, data, flags=re.DOTALL)


note("overflow.jpg", coarse(jpeg(noise)))
note("overflow_flat.jpg", coarse(jpeg(Image.fromarray(np.kron(rng.integers(0, 256, (4, 5)), np.ones((8, 8))).astype(np.uint8)))))

# TIFF that Pillow turns, and fax codes of both meanings
for orientation in range(2, 9):
    exif[0x0112] = orientation
    save(f"orientation_{orientation}.tif", rgb.crop((0, 0, 5, 3)), exif=exif)
for group in ("group3", "group4"):
    save(f"{group}.tif", grey.convert("1"), compression=group)
    data = bytearray((out / f"{group}.tif").read_bytes())
    data[data.index(b"\6\1\3\0\1\0\0\0\1\0") + 8] = 0
    note(f"{group}_white.tif", bytes(data))
(out / "expected.json").write_text("{\n" + ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in expected.items()) + "\n}\n")
