#!/usr/bin/env bash
# What: save_file() of safetensors.numpy writes the numbers of an array in the order in which they lie in memory, under the shape that
# the array shows. A transposed array, or one in Fortran's order, is therefore another array when it is loaded. Nothing warns.
# save_file() of safetensors.torch refuses such tensors by name.
# Versions: safetensors 0.8.0, numpy 2.4.6.
# A user meets it when weights of Keras or JAX, which are [in, out], are transposed to PyTorch's [out, in] and saved: names, shapes
# and the statistics of the weights are right, and the model computes nonsense. numpy.ascontiguousarray() avoids it.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check safetensors==0.8.0 numpy==2.4.6
"$folder/bin/pip" freeze | grep -iE '^(safetensors|numpy)=='
cd "$folder"
bin/python - <<'PY'
import numpy
from safetensors.numpy import load, save

weights = numpy.arange(6, dtype=numpy.float32).reshape(2, 3)
arrays = {"as it is": weights, "transposed": weights.T, "Fortran's order": numpy.asfortranarray(weights),
          "a transposed copy": numpy.ascontiguousarray(weights.T)}  # fmt: skip
equal = {}
for name, array in arrays.items():
    loaded = load(save({"weights": array}))["weights"]
    equal[name] = loaded.shape == array.shape and (loaded == array).all()
    print(f"{name}: saved {array.tolist()}, loaded {loaded.tolist()}")
same = [name for name, right in equal.items() if not right] == ["transposed", "Fortran's order"]
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
