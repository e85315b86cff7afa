#!/usr/bin/env bash
# What: torch.save takes the argument pickle_protocol, and with 4 or 5 it writes a file that torch.load refuses by its
# default, weights_only=True, although nothing but a tensor is in it. Protocols 2 and 3 load. The restricted unpickler
# does not know the opcodes that protocol 4 brought, such as MEMOIZE and STACK_GLOBAL.
# Versions: torch 2.15.0, numpy 2.4.6. The installation takes some gigabytes.
# A user meets it after saving with pickle.HIGHEST_PROTOCOL or 4, as Python's own default has been since 3.8: saving
# succeeds, and another program cannot load the weights without allowing the file to execute anything.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check torch==2.15.0 numpy==2.4.6
"$folder/bin/pip" freeze | grep -iE '^(torch|numpy)=='
cd "$folder"
bin/python -W ignore - <<'PY'
import io
import pickle

import torch


def loads(protocol):
    file = io.BytesIO()
    torch.save({"weight": torch.arange(3.0)}, file, pickle_protocol=protocol)
    file.seek(0)
    try:
        return torch.load(file)["weight"].tolist() == [0, 1, 2]
    except pickle.UnpicklingError as error:
        print("protocol", protocol, "refused:", str(error).splitlines()[0][:70])
        return False


found = {protocol: loads(protocol) for protocol in (2, 3, 4, 5)}
print("loads by default:", found)
same = found == {2: True, 3: True, 4: False, 5: False}
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
