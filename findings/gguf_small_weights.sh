#!/usr/bin/env bash
# What: small weights survive 4 bits and not 8. GGUF's Q8_0 stores the scale of 32 numbers, the greatest divided by 127, as a
# 16-bit float. Where the greatest is below some 4e-6, the scale becomes 0 and with it the whole block. Q4_0 divides by 8
# only, so that its scale is still there.
# Versions: gguf 0.19.0, numpy 2.4.6.
# A user meets it in layers with tiny weights, such as those of an adapter or behind a large scale that was not folded in: in
# 8 bits the layer gives zeros, and the 4-bit file of the same model is the better one.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check gguf==0.19.0 numpy==2.4.6
"$folder/bin/pip" freeze
cd "$folder"
bin/python - <<'PY'
import gguf, numpy

row = numpy.random.default_rng(0).uniform(-1, 1, (1, 32)).astype(numpy.float32)
lost = {}
for size in (1.0, 1e-3, 1e-6):
    for name in ("Q8_0", "Q4_0"):
        kind = gguf.GGMLQuantizationType[name]
        small = row * numpy.float32(size)
        read = gguf.quants.dequantize(gguf.quants.quantize(small, kind), kind)
        lost[name, size] = float(abs(read - small).max() / abs(small).max())
        print(f"weights up to {size:g}: the greatest error of {name} is {100 * lost[name, size]:.1f}% of the greatest weight")
same = (lost["Q8_0", 1.0] < 0.01 and lost["Q8_0", 1e-3] < 0.01 and lost["Q8_0", 1e-6] == 1
        and all(lost["Q4_0", size] < 0.25 for size in (1.0, 1e-3, 1e-6)))
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
