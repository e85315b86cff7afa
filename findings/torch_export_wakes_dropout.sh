#!/usr/bin/env bash
# What: exporting a wrapper around a model with torch.onnx.export(..., dynamo=False) puts the model into training mode. It
# was in evaluation mode before, but a new module is in training mode, whatever is inside of it. The export switches the
# whole to evaluation, and afterwards all modules to the mode that the outermost one had.
# Versions: torch 2.15.0, onnx 1.23.2, numpy 2.4.6. The installation takes some gigabytes.
# A user meets it when comparing the exported file with the model, or when the process goes on to serve it: dropout is on, and
# each call gives other numbers. The exported file is right. With dynamo=True the modes stay.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check torch==2.15.0 onnx==1.23.2 numpy==2.4.6
"$folder/bin/pip" freeze | grep -iE '^(torch|onnx|numpy)=='
cd "$folder"
bin/python -W ignore - <<'PY'
import torch


class Wrapper(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return self.model(x) * 2


def modes(wrapper, model):
    torch.onnx.export(wrapper, (torch.ones(1, 4),), "model.onnx", dynamo=False)
    x = torch.ones(1, 4)
    return [model[1].training, torch.equal(model(x), model(x))]


def dropping():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(4, 100), torch.nn.Dropout(0.5)).eval()


model = dropping()
before = model[1].training
seen = {"wrapper": modes(Wrapper(model), model)}
model = dropping()
seen["wrapper.eval()"] = modes(Wrapper(model).eval(), model)
for name, (training, equal) in seen.items():
    print(f"{name}: dropout was in training {before}, is {training}; two calls are equal: {equal}")
same = not before and seen == {"wrapper": [True, False], "wrapper.eval()": [False, True]}
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
