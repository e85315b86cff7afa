#!/usr/bin/env bash
# What: onnx2torch converts three nodes without complaint into other functions. A CumSum that does not name its attribute
# reverse, whose default is 0, runs from the end, a linear Resize samples at the middles of pixels although its places are
# asymmetric, and IsInf for positive infinities finds the negative ones too. onnx2pytorch moves the samples of the Resize as
# well and has the other two right. One expects a refusal of what a converter does not know, as both refuse unknown operators.
# Versions: onnx2torch 1.5.15, onnx2pytorch 0.6.0, onnx 1.23.2, onnxruntime 1.32.0, torch 2.15.0, torchvision 0.29.2. The
# installation takes some gigabytes.
# A user meets it by bringing an exported model back to PyTorch for fine-tuning: positions that a text model counts by CumSum
# run backwards, and feature maps shift by a part of a pixel.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check onnx2torch==1.5.15 onnx2pytorch==0.6.0 onnx==1.23.2 \
  onnxruntime==1.32.0 torchvision==0.29.2 torch==2.15.0 numpy==2.4.6
"$folder/bin/pip" freeze | grep -iE '^(onnx2torch|onnx2pytorch|onnx|onnxruntime|torchvision|torch|numpy)=='
cd "$folder"
bin/python -W ignore - <<'PY'
import numpy as np
import onnx
import onnx2pytorch
import onnx2torch
import onnxruntime
import torch
from onnx import TensorProto, checker, helper, numpy_helper


def results(operator, x, constants=(), kind=TensorProto.FLOAT, **attributes):
    """What onnxruntime, onnx2torch and onnx2pytorch make of one node."""
    fixed = [numpy_helper.from_array(value, f"constant{place}") for place, value in enumerate(constants)]
    graph = helper.make_graph(
        [helper.make_node(operator, ["x", *(value.name for value in fixed)], ["y"], **attributes)], "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)],
        [helper.make_tensor_value_info("y", kind, [None] * x.ndim)], fixed)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    checker.check_model(model)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    made = {"onnxruntime": session.run(None, {"x": x})[0]}
    for name, convert in (("onnx2torch", onnx2torch.convert), ("onnx2pytorch", onnx2pytorch.ConvertModel)):
        with torch.no_grad():
            made[name] = convert(onnx.ModelProto.FromString(model.SerializeToString())).eval()(torch.tensor(x)).numpy()
    return made


none = np.array([], np.float32)
row = np.array([0, 4], np.float32).reshape(1, 1, 1, 2)
cases = {
    "CumSum of 1, 2, 3": results("CumSum", np.array([1, 2, 3], np.float32), [np.array(0)]),
    "CumSum of 1, 2, 3, reverse": results("CumSum", np.array([1, 2, 3], np.float32), [np.array(0)], reverse=1),
    "Resize of 0, 4, half_pixel": results("Resize", row, [none, np.array([1, 1, 1, 2], np.float32)], mode="linear",
                                          coordinate_transformation_mode="half_pixel"),
    "Resize of 0, 4, asymmetric": results("Resize", row, [none, np.array([1, 1, 1, 2], np.float32)], mode="linear",
                                          coordinate_transformation_mode="asymmetric"),
    "IsInf of inf, -inf, 1, positive": results("IsInf", np.array([np.inf, -np.inf, 1], np.float32), kind=TensorProto.BOOL,
                                               detect_negative=0),
}
right = {}
for name, made in cases.items():
    right[name] = [bool(np.allclose(made[tool], made["onnxruntime"], atol=1e-5)) for tool in ("onnx2torch", "onnx2pytorch")]
    print(f"{name:32}", *(f"{tool} {np.ravel(value).tolist()}" for tool, value in made.items()))
same = list(right.values()) == [[False, True], [True, True], [True, True], [False, False], [False, True]]

print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
