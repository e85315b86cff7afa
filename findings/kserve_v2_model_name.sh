#!/usr/bin/env bash
# What: the V2 request of kserve's own client class has a top-level member `model_name`. The Open Inference Protocol does
# not have this member: only the path names the model.
# Versions: kserve 0.21.0.
# A user meets it when a server that refuses unknown members, as a strict server may, refuses KServe's client.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check kserve==0.21.0
"$folder/bin/pip" freeze | grep -iE '^(kserve|numpy|pydantic)=='
cd "$folder"
bin/python - <<'PY'
from kserve import InferInput, InferRequest

request = InferRequest(model_name="example", infer_inputs=[InferInput("text", [1], "BYTES", ["a text"])])
body = request.to_rest()
body = body[0] if isinstance(body, tuple) else body
print("members of the request:", sorted(body))
allowed = {"id", "parameters", "inputs", "outputs"}  # of the protocol's inference request object
same = set(body) - allowed == {"model_name"} and body["model_name"] == "example"
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
