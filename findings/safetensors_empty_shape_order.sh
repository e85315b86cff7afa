#!/usr/bin/env bash
# What: whether safetensors reads a tensor without elements depends on the order of its sizes. With the 0 first the
# product of the sizes is 0 at once; with the 0 last it overflows before the 0 is reached, and the file is refused.
# Versions: safetensors 0.8.0, numpy 2.4.6.
# A user meets it in a writer or a test that transposes an empty tensor with large sizes: the file of the tensor is read,
# but the file of its transpose is not.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check safetensors==0.8.0 numpy==2.4.6
"$folder/bin/pip" freeze
cd "$folder"
bin/python - <<'PY'
import json

from safetensors import SafetensorError, deserialize


def outcome(shape):
    header = json.dumps({"empty": {"dtype": "U8", "shape": shape, "data_offsets": [0, 0]}}).encode()
    try:
        return deserialize(len(header).to_bytes(8, "little") + header)[0][1]["shape"]
    except SafetensorError as error:
        return f"SafetensorError: {error}"


first, last = outcome([0, 2**62, 2**62]), outcome([2**62, 2**62, 0])
print("0 first:", first)
print("0 last: ", last)
same = first == [0, 2**62, 2**62] and str(last).startswith("SafetensorError")
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
