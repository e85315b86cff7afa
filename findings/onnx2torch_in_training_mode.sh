#!/usr/bin/env bash
# What: a model that onnx2torch has just converted is in training mode. A BatchNormalization with fixed statistics takes those
# of the batch instead and changes the fixed ones, and a Dropout, which lets all through in an ONNX model without training_mode,
# drops elements. One expects the module to compute what the file does, since nodes that are meant for training say so.
# onnx2pytorch does so.
# Versions: onnx2torch 1.5.15, onnx2pytorch 0.6.0, onnx 1.23.2, torch 2.15.0, torchvision 0.29.2. The installation takes some
# gigabytes.
# A user meets it by calling the converted model at once: results depend on the other pictures of the batch, and each call
# spoils the statistics, so that a later eval() does not bring the model back.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check onnx2torch==1.5.15 onnx2pytorch==0.6.0 onnx==1.23.2 \
  torchvision==0.29.2 torch==2.15.0 numpy==2.4.6
"$folder/bin/pip" freeze | grep -iE '^(onnx2torch|onnx2pytorch|onnx|torchvision|torch|numpy)=='
cd "$folder"
bin/python -W ignore - <<'PY'
import numpy as np
import onnx2pytorch
import onnx2torch
import torch
from onnx import TensorProto, checker, helper, numpy_helper

values = {"scale": 1, "bias": 0, "mean": 10, "variance": 4}
fixed = [numpy_helper.from_array(np.array([value], np.float32), name) for name, value in values.items()]
nodes = [helper.make_node("BatchNormalization", ["x", *values], ["h"]), helper.make_node("Dropout", ["h"], ["y"])]
shape = [None, 1, 1, 1]
graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
                          [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)], fixed)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
checker.check_model(model)
batch = torch.tensor([10.0, 12.0, 14.0, 16.0]).reshape(4, 1, 1, 1)  # (x - 10) / 2 is 0, 1, 2, 3
torch.manual_seed(0)
seen = {}
for name, convert in (("onnx2torch", onnx2torch.convert), ("onnx2pytorch", onnx2pytorch.ConvertModel)):
    first = convert(model).eval()
    used = convert(model)
    with torch.no_grad():
        seen[name] = [[round(number, 2) for number in result.flatten().tolist()]
                      for result in (first(batch), used(batch), used.eval()(batch))]
    for way, result in zip(("with eval() first", "at once", "with eval() after a call"), seen[name], strict=True):
        print(f"{name:12} {way:24} {result}")
same = seen["onnx2pytorch"] == [[0, 1, 2, 3]] * 3 and seen["onnx2torch"][0] == [0, 1, 2, 3]
same = same and seen["onnx2torch"][1] != [0, 1, 2, 3] and seen["onnx2torch"][2] != [0, 1, 2, 3]

print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
