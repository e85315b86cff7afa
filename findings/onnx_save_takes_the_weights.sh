#!/usr/bin/env bash
# What: onnx.save(model, path, save_as_external_data=True) takes the large weights out of the model that it was given. The
# object in memory afterwards only names the file. Saved again to another folder, without external data, it is a model
# without weights, and saving reports no error.
# Versions: onnx 1.23.2, onnxruntime 1.32.0, numpy 2.4.6.
# A user meets it in a script that writes a model in two forms or to two places: the second model cannot be loaded where it
# is, and the script ran without an error.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$folder/bin/pip" freeze
cd "$folder"
bin/python - <<'PY'
import os

import numpy, onnx, onnxruntime
from onnx import TensorProto, helper, numpy_helper

weight = numpy_helper.from_array(numpy.arange(1000, dtype=numpy.float32), "weight")
graph = helper.make_graph([helper.make_node("Add", ["x", "weight"], ["y"])], "add",
                          [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1000])],
                          [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1000])], [weight])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
sizes = [model.ByteSize()]
os.makedirs("one")
os.makedirs("two")
onnx.save(model, "one/model.onnx", save_as_external_data=True, location="weights")
sizes.append(model.ByteSize())
onnx.save(model, "two/model.onnx")
sizes.append(os.path.getsize("two/model.onnx"))
print("bytes of the model before, in memory after, of the second file:", sizes, "in two:", os.listdir("two"))


def loads(path):
    try:
        return bool(onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]))
    except Exception as error:
        print(path, "is refused:", str(error)[:100])
        return False


loaded = [loads("one/model.onnx"), loads("two/model.onnx")]
same = sizes[0] > 4000 and sizes[1] < 500 and sizes[2] < 500 and loaded == [True, False]
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
