#!/usr/bin/env bash
# What: Pillow makes 8 bits of a gray picture of 16 bits by cutting off what is above 255, not by dividing. All but the darkest 0.4%
# of the shades become white, with convert("L") and with convert("RGB"). A coloured PNG of 16 bits is divided when it is read.
# Versions: Pillow 13.0.0, numpy 2.4.6.
# A user meets it with X-rays, depth maps and microscopy: the preprocessing that every data set has, convert("RGB"), makes one
# white picture of each, training runs without an error, and the model learns next to nothing.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check pillow==13.0.0 numpy==2.4.6
"$folder/bin/pip" freeze | grep -iE '^(pillow|numpy)=='
cd "$folder"
bin/python - <<'PY'
import io
import struct
import zlib

import numpy
from PIL import Image


def png(samples, colour_type):
    """A PNG of 16 bits; samples is [height, width, channels]."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", samples.shape[1], samples.shape[0], 16, colour_type, 0, 0, 0)),
              (b"IDAT", zlib.compress(rows)), (b"IEND", b""))  # fmt: skip
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks)


shades = numpy.array([0, 128, 4096, 32768, 65535], numpy.uint16).reshape(1, 5, 1)
gray = Image.open(io.BytesIO(png(shades, 0)))
colour = Image.open(io.BytesIO(png(shades.repeat(3, axis=2), 2)))
seen = {"gray to L": gray.convert("L"), "gray to RGB": gray.convert("RGB").getchannel(0), "colour": colour.getchannel(0)}
values = {name: numpy.asarray(picture).ravel().tolist() for name, picture in seen.items()}
print("shades", shades.ravel().tolist(), values)
same = values == {"gray to L": [0, 128, 255, 255, 255], "gray to RGB": [0, 128, 255, 255, 255], "colour": [0, 0, 16, 128, 255]}
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
