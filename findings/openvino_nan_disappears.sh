#!/usr/bin/env bash
# What: in OpenVINO a NaN becomes an ordinary number in several activations: Relu(NaN) is 0, Clip(NaN, -1, 1) is -1 and
# HardSigmoid(NaN) is 1. Elu(NaN) is NaN. onnxruntime and the reference of ONNX give NaN for all of them.
# Versions: openvino 2026.4.0 on an x86-64 CPU, onnx 1.23.2, onnxruntime 1.32.0, numpy 2.4.6.
# A user meets it when a weight is damaged or a sum overflows: onnxruntime answers NaN, which a check of the output finds.
# OpenVINO computes the rest of the layers from zeros and answers with an ordinary label.
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


seen = {}
limits = [helper.make_tensor(name, TensorProto.FLOAT, [], [value]) for name, value in (("low", -1), ("high", 1))]
for operator in ["Relu", "Clip", "HardSigmoid", "Elu"]:
    inputs = ["x", "low", "high"] if operator == "Clip" else ["x"]
    graph = helper.make_graph([helper.make_node(operator, inputs, ["y"])], "activation",
                              [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])],
                              limits if operator == "Clip" else [])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    found = results(model, {"x": numpy.array([numpy.nan, 0.5], numpy.float32)})
    seen[operator] = [str(float(result[0])) for result in found]
    print(f"{operator}(NaN) in the reference, onnxruntime, OpenVINO:", *seen[operator])
same = seen == {"Relu": ["nan", "nan", "0.0"], "Clip": ["nan", "nan", "-1.0"],
                "HardSigmoid": ["nan", "nan", "1.0"], "Elu": ["nan"] * 3}
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
