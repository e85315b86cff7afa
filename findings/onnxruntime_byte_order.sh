#!/usr/bin/env bash
# What: onnxruntime and OpenVINO take the bytes of a NumPy array whose numbers are big-endian for those of a little-endian one. The
# input 1.0 is computed as 4.6e-41. For NumPy the array is equal to an ordinary one, and its dtype is float32 by name.
# Versions: onnxruntime 1.32.0, openvino 2026.4.0, onnx 1.23.2, numpy 2.4.6; a little-endian machine.
# A user meets it with data of FITS, netCDF, HDF5 or the MNIST files, which NumPy reads as they are: the scores are those of an empty
# input, for every picture. PyTorch, tritonclient and gguf refuse such arrays, and array.astype("float32") makes them ordinary ones.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check onnxruntime==1.32.0 openvino==2026.4.0 onnx==1.23.2 numpy==2.4.6
"$folder/bin/pip" freeze | grep -iE '^(onnxruntime|openvino|onnx|numpy)=='
cd "$folder"
bin/python - <<'PY'
import numpy
import onnxruntime
import openvino
from onnx import TensorProto, helper

graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [3])],
                          [helper.make_tensor_value_info("y", TensorProto.FLOAT, [3])])  # fmt: skip
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8).SerializeToString()
session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
core = openvino.Core()
compiled = core.compile_model(core.read_model(model), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
ordinary = numpy.array([1, 2, 3], numpy.float32)
big = ordinary.astype(">f4")
print("NumPy:", big.dtype.name, big, "equal:", (big == ordinary).all())
same = bool((big == ordinary).all())
runs = {"onnxruntime": lambda x: session.run(None, {"x": x})[0], "OpenVINO": lambda x: compiled({"x": openvino.Tensor(x)})[0]}
for name, run in runs.items():
    print(f"{name}: {run(ordinary)} and, big-endian, {run(big)}")
    same &= bool((run(ordinary) == ordinary).all()) and bool((abs(run(big)) < 1e-30).all())
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
