#!/usr/bin/env bash
# What: a number above the range of an 8-bit float becomes one of three values. ml_dtypes, whose types JAX and NumPy use,
# gives NaN in float8_e4m3fn and an infinity in float8_e5m2. ONNX's Cast, both in the reference of the onnx package and in
# onnxruntime, gives the largest finite number in both types, also for an infinity.
# Versions: ml_dtypes 0.6.0, onnx 1.23.2, onnxruntime 1.32.0, numpy 2.4.6.
# A user meets it when a model is quantised in one library and served by another: an overflow that shows as NaN in
# training is a plausible 448 in the exported model.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check ml_dtypes==0.6.0 onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/bin/pip" freeze
cd "$folder"
bin/python - <<'PY'
import numpy, ml_dtypes, onnxruntime
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

values = numpy.array([100, 448, 500, 61440, numpy.inf], numpy.float32)
kinds = {"float8_e4m3fn": (ml_dtypes.float8_e4m3fn, TensorProto.FLOAT8E4M3FN),
         "float8_e5m2": (ml_dtypes.float8_e5m2, TensorProto.FLOAT8E5M2)}
seen = {}
for name, (numpy_type, onnx_type) in kinds.items():
    nodes = [helper.make_node("Cast", ["x"], ["small"], to=onnx_type),
             helper.make_node("Cast", ["small"], ["y"], to=TensorProto.FLOAT)]
    graph = helper.make_graph(nodes, "cast", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [5])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, [5])])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    seen[name, "ml_dtypes"] = values.astype(numpy_type).astype(numpy.float32).tolist()
    seen[name, "onnx"] = ReferenceEvaluator(model).run(None, {"x": values})[0].tolist()
    seen[name, "onnxruntime"] = session.run(None, {"x": values})[0].tolist()
print("given", values.tolist())
for (name, library), got in seen.items():
    print(f"{name:14} {library:12}", got)
inf, nan = float("inf"), float("nan")
expected = {("float8_e4m3fn", "ml_dtypes"): [96, 448, nan, nan, nan],
            ("float8_e4m3fn", "onnx"): [96, 448, 448, 448, 448],
            ("float8_e4m3fn", "onnxruntime"): [96, 448, 448, 448, 448],
            ("float8_e5m2", "ml_dtypes"): [96, 448, 512, inf, inf],
            ("float8_e5m2", "onnx"): [96, 448, 512, 57344, 57344],
            ("float8_e5m2", "onnxruntime"): [96, 448, 512, 57344, 57344]}
same = all(numpy.array_equal(seen[key], expected[key], equal_nan=True) for key in expected)
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
