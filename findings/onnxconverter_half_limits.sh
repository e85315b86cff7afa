#!/usr/bin/env bash
# What: convert_float_to_float16 of onnxconverter-common bends weights to the magnitudes 1e-7 to 10,000. 16-bit floats reach from
# 6e-8 to 65,504: a constant of 30,000 becomes 10,000, and 1e-8 becomes 1e-7, where rounding gives 0. One expects each weight to
# be rounded to the nearest half, as numpy's astype does, and warnings only where that overflows. It does warn.
# Versions: onnxconverter-common 1.16.0, onnx 1.23.2, onnxruntime 1.32.0.
# A user meets it with constants that are exact in halves: 32,768 as the scale of 16-bit samples, the biggest position or time of
# a table, a penalty of -65,504, or features that are divided by a mean of 20,000. The results differ by factors, not by
# roundings.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check onnxconverter-common==1.16.0 onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/bin/pip" freeze | grep -iE '^(onnxconverter-common|onnx|onnxruntime|numpy)=='
cd "$folder"
bin/python -W ignore - <<'PY'
import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxconverter_common import float16

scale = np.array([0.5, 9000, 32768, -60000, 1e-8], np.float32)
x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [5]) for name in "xy")
graph = helper.make_graph([helper.make_node("Mul", ["x", "scale"], ["y"])], "g", [x], [y], [numpy_helper.from_array(scale, "scale")])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
half = float16.convert_float_to_float16(model, keep_io_types=True)
session = onnxruntime.InferenceSession(half.SerializeToString(), providers=["CPUExecutionProvider"])
results = session.run(None, {"x": np.ones(5, np.float32)})[0]
for weight, rounded, result in zip(scale, scale.astype(np.float16), results):
    print(f"weight {weight:10.4g}: the nearest half is {rounded:10.4g}, the converted model computes {result:10.4g}")
kept = np.allclose(results[:2], scale[:2], rtol=1e-3)
same = kept and np.allclose(results[2:], [10000, -10000, 1e-7], rtol=0.25) and scale.astype(np.float16)[2] == 32768

print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
