#!/usr/bin/env bash
# What: inside of one torch.autocast block a layer goes on with the weights of its first call. Autocast keeps the lowered
# copy of each weight until the outermost block ends, and a step of an optimizer in the block does not renew the copy.
# Versions: torch 2.15.0, numpy 2.4.6. The installation takes some gigabytes.
# A user meets it when the block is put around the whole loop of a training instead of around the forward pass: the weights
# change at each step and the loss stays that of the first one, to the bit, without an error or a warning.
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

torch.manual_seed(0)
x = torch.randn(8, 4)


def losses(around_the_loop):
    torch.manual_seed(1)
    layer = torch.nn.Linear(4, 4)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    found = []

    def step():
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = layer(x).float().square().mean()
        loss.backward()
        optimizer.step()
        found.append(round(loss.item(), 4))

    if around_the_loop:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            for _ in range(4):
                step()
    else:
        for _ in range(4):
            step()
    return found


inside, outside = losses(False), losses(True)
print("a block for each step:", inside)
print("one block around the loop:", outside)
same = len(set(outside)) == 1 and inside == sorted(inside, reverse=True) and len(set(inside)) == 4
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
