#!/usr/bin/env bash
# What: in OpenVINO the operator Range whose limit lies before its start gives elements. Range(5, 1, 1) is 5, 6, 7, 8, and
# Range(1, 5, -1) is 1, 0, -1, -2. The ONNX standard says max(ceil((limit - start) / delta), 0), which is none, and
# onnxruntime and the reference of ONNX give none.
# Versions: openvino 2026.4.0, onnx 1.23.2, onnxruntime 1.32.0, numpy 2.4.6.
# A user meets it when a graph makes what is left up to a limit, such as the positions behind a text: a text that is longer
# than the limit by four gets four positions instead of none, and nothing says so.
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


names = ["start", "limit", "delta"]
graph = helper.make_graph([helper.make_node("Range", names, ["y"])], "range",
                          [helper.make_tensor_value_info(name, TensorProto.INT64, []) for name in names],
                          [helper.make_tensor_value_info("y", TensorProto.INT64, [None])])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
seen = {}
for arguments in [(1, 5, 1), (5, 1, 1), (1, 5, -1), (3, 3, 1)]:
    feed = {name: numpy.array(value) for name, value in zip(names, arguments)}
    seen[arguments] = [result.tolist() for result in results(model, feed)]
    print("Range", arguments, "reference, onnxruntime, OpenVINO:", *seen[arguments])
same = seen == {(1, 5, 1): [[1, 2, 3, 4]] * 3, (5, 1, 1): [[], [], [5, 6, 7, 8]],
                (1, 5, -1): [[], [], [1, 0, -1, -2]], (3, 3, 1): [[], [], []]}
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
