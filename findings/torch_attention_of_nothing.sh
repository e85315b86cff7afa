#!/usr/bin/env bash
# What: for a sequence whose keys are all padding torch's MultiheadAttention gives NaN or finite numbers, by the argument
# need_weights alone. With need_weights=True, and in evaluation without gradients, it is NaN. In training, or where gradients
# are on, need_weights=False gives the bias of the last projection.
# Versions: torch 2.15.0, numpy 2.4.6. The installation takes some gigabytes.
# A user meets it with an empty text in a batch: training goes on, and evaluation of the same module under no_grad(), or
# asking it for the attention weights to look at them, gives NaN.
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
attention = torch.nn.MultiheadAttention(8, 2, batch_first=True)
x = torch.randn(1, 3, 8)
padding = torch.tensor([[True, True, True]])
seen = {}
for training in (True, False):
    attention.train(training)
    for gradients in (True, False):
        for weights in (True, False):
            with torch.set_grad_enabled(gradients):
                y, _ = attention(x, x, x, key_padding_mask=padding, need_weights=weights)
            seen[training, gradients, weights] = bool(torch.isnan(y).any())
            print(f"training {training}, gradients {gradients}, need_weights {weights}: NaN", bool(torch.isnan(y).any()))
finite = [key for key, is_nan in seen.items() if not is_nan]
same = finite == [(True, True, False), (True, False, False), (False, True, False)]
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
