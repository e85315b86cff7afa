#!/usr/bin/env bash
# What: as_numpy() of tritonclient gives the texts of an output as bytes or as str by the form of the answer. If the server
# sends the tensor in binary form, they are bytes. If it sends JSON, which a server may choose for any output, they are str.
# Both arrays have the dtype object.
# Versions: tritonclient 2.73.0, numpy 2.4.6.
# A user meets it when comparing labels: the same code with == "positive" works with one server or setting of binary_data, and
# finds no positive text with the other, without an error.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check 'tritonclient[http]==2.73.0' numpy==2.4.6
"$folder/bin/pip" freeze | grep -iE '^(tritonclient|numpy)=='
cd "$folder"
bin/python - <<'PY'
import json

import numpy
from tritonclient.http import InferResult
from tritonclient.utils import serialize_byte_tensor

output = {"name": "label", "datatype": "BYTES", "shape": [1]}
text = json.dumps({"model_name": "example", "outputs": [{**output, "data": ["positive"]}]}).encode()
part = serialize_byte_tensor(numpy.array([b"positive"], object)).item()
header = json.dumps({"model_name": "example",
                     "outputs": [{**output, "parameters": {"binary_data_size": len(part)}}]}).encode()
seen = {"JSON": InferResult.from_response_body(text).as_numpy("label"),
        "binary": InferResult.from_response_body(header + part, header_length=len(header)).as_numpy("label")}
for form, labels in seen.items():
    print(form, repr(labels), "== 'positive':", (labels == "positive").tolist())
same = [(labels == "positive").tolist() for labels in seen.values()] == [[True], [False]]
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
