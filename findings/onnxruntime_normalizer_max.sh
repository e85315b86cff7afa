#!/usr/bin/env bash
# What: the operator Normalizer of ai.onnx.ml with the norm "MAX" divides a row by its greatest element in onnxruntime, and
# by the greatest absolute value in the reference of ONNX and in OpenVINO. A row of negative numbers changes its signs in
# onnxruntime: [-1, -2] becomes [1, 2].
# Versions: onnxruntime 1.32.0, onnx 1.23.2, openvino 2026.4.0, numpy 2.4.6.
# A user meets it with a scikit-learn pipeline that has Normalizer(norm="max"), which takes absolute values too: exported to
# ONNX it classifies rows with negative features differently.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check openvino==2026.4.0 onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/bin/pip" freeze
cd "$folder"
bin/python - <<'PY'
import numpy, onnxruntime, openvino
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator


def results(model, feed):
    """What the reference of ONNX, onnxruntime and OpenVINO compute."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(model.SerializeToString()), "CPU",
                                  {"INFERENCE_PRECISION_HINT": "f32"})
    return [ReferenceEvaluator(model).run(None, feed)[0], session.run(None, feed)[0], compiled(feed)[0]]


rows = numpy.array([[3, -4], [-1, -2], [3, 2]], numpy.float32)
node = helper.make_node("Normalizer", ["x"], ["y"], domain="ai.onnx.ml", norm="MAX")
graph = helper.make_graph([node], "normalizer", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [3, 2])],
                          [helper.make_tensor_value_info("y", TensorProto.FLOAT, [3, 2])])
domains = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
model = helper.make_model(graph, opset_imports=domains, ir_version=8)
reference, runtime, vino = results(model, {"x": rows})
print("given", rows.tolist(), "reference", reference.tolist())
print("onnxruntime", runtime.tolist(), "OpenVINO", vino.tolist())
absolute = rows / abs(rows).max(axis=1, keepdims=True)
signed = rows / rows.max(axis=1, keepdims=True)
same = (numpy.allclose(reference, absolute) and numpy.allclose(vino, absolute) and numpy.allclose(runtime, signed)
        and not numpy.allclose(absolute, signed))
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
