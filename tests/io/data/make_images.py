"""Makes the sample images of image_test.cpp and what Pillow reads from them or resizes them to.

Needs numpy and Pillow 12 (Pillow 13 may resize columns before rows, which rounds differently).
Run in this folder: python3 make_images.py
"""

import struct
import zlib

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 23, 17  # odd: edges of the chroma planes show


def picture(channels):
    rng = np.random.default_rng(7)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    planes = [127 + 100 * np.sin(x / 5 + k) + 27 * np.cos(y / 4 - k) for k in range(channels)]
    noisy = np.stack(planes, -1) + rng.normal(0, 6, (HEIGHT, WIDTH, channels))
    return np.clip(noisy, 0, 255).astype(np.uint8)


def noise(width, height):
    """The generator of resize tests, equal to noise() in image_test.cpp."""
    state, out = 1, np.empty(width * height * 3, np.uint8)
    for i in range(out.size):
        state = (state * 1664525 + 1013904223) % 2**32
        out[i] = state >> 24
    return Image.fromarray(out.reshape(height, width, 3))


def fnv1a(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


def write_png_16_bit(name):
    """Pillow writes no 16-bit RGB; it reads the high bytes."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    values = picture(3).astype(np.uint16) * 256 + picture(3)[::-1]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    with open(name, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        file.write(chunk(b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, 16, 2, 0, 0, 0)))
        file.write(chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


rgb = Image.fromarray(picture(3))
rgba = Image.fromarray(picture(4))
samples = {
    "rgb.bmp": (rgb, {}),
    "rgba.png": (rgba, {}),
    "grey_alpha.png": (Image.fromarray(picture(2), "LA"), {}),
    "palette.png": (rgb.quantize(16), {"transparency": 3}),
    "bits.png": (rgb.convert("1"), {}),
    "palette.gif": (rgb.quantize(16), {}),
    "444.jpg": (rgb, {"quality": 92, "subsampling": 0}),
    "422.jpg": (rgb, {"quality": 92, "subsampling": 1}),
    "420.jpg": (rgb, {"quality": 92, "subsampling": 2}),
    "progressive.jpg": (rgb, {"quality": 92, "progressive": True}),
    "cmyk.jpg": (rgb.convert("CMYK"), {"quality": 92}),
    "lossless.webp": (rgba, {"lossless": True, "exact": True}),
    "lossy.webp": (rgb, {"quality": 90}),
}
for name, (image, options) in samples.items():
    image.save(name, **options)
write_png_16_bit("rgb16.png")
for name in [*samples, "rgb16.png"]:
    read = np.asarray(Image.open(name).convert("RGB"))
    with open(name + ".rgb", "wb") as file:
        file.write(read.tobytes())

for width, height in [(1, 1), (7, 5), (31, 5), (5, 23), (62, 46), (40, 9), (8, 60)]:
    resized = noise(31, 23).resize((width, height), Image.LANCZOS)
    with open(f"lanczos_{width}x{height}.rgb", "wb") as file:
        file.write(resized.tobytes())
for width, height in [(832, 480), (64, 36), (1, 500)]:
    print(width, height, hex(fnv1a(noise(333, 217).resize((width, height), Image.LANCZOS).tobytes())))
