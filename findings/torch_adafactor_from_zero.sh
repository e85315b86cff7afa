#!/usr/bin/env bash
# What: a parameter that begins at zero hardly moves with torch.optim.Adafactor. A step is a share of the root mean square of
# the parameter itself, with 0.001 as the least value of it. By the same hundred gradients and with the same rate, ones move
# by 0.63 and zeros by 0.001. Adam moves both by 1.
# Versions: torch 2.15.0, numpy 2.4.6. The installation takes some gigabytes.
# A user meets it with LoRA, whose second matrix is zero at first, or with a new head of zeros: with a rate that suits the
# rest of the model, exactly the weights that are to be learned stay almost as they are.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check torch==2.15.0 numpy==2.4.6
"$folder/bin/pip" freeze | grep -iE '^(torch|numpy)=='
cd "$folder"
bin/python - <<'PY'
import torch


def distance(make, start):
    """How far a hundred equal gradients move a parameter."""
    parameter = torch.full((4,), start, requires_grad=True)
    optimizer = make([parameter])
    for _ in range(100):
        parameter.grad = torch.ones(4)
        optimizer.step()
    return abs(parameter[0].item() - start)


makers = {"Adafactor": lambda p: torch.optim.Adafactor(p, lr=0.01, weight_decay=0.0),
          "Adam": lambda p: torch.optim.Adam(p, lr=0.01)}
seen = {name: [distance(make, start) for start in (0.0, 1.0)] for name, make in makers.items()}
for name, (from_zero, from_one) in seen.items():
    print(f"{name}: from 0 by {from_zero:.4f}, from 1 by {from_one:.4f}")
same = seen["Adafactor"][1] > 300 * seen["Adafactor"][0] and abs(seen["Adam"][0] - seen["Adam"][1]) < 1e-3
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
