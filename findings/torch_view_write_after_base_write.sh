#!/usr/bin/env bash
# What: a view of a tensor is made, the tensor is changed in place by a factor that requires a gradient, and then the view is
# changed in place. PyTorch refuses the last write and calls the view a leaf. The same write works if grad_fn or is_leaf of
# the view was read in between. Reading requires_grad does not help.
# Versions: torch 2.15.0, numpy 2.4.6. The installation takes some gigabytes.
# A user meets an error that disappears when the tensor is viewed in a debugger or printed.
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
def attempt(look):
    x = torch.tensor(3.0, requires_grad=True)
    base = torch.zeros(3)
    view = base[:1]
    base.mul_(x)
    look(view)
    try:
        view.mul_(2)
        return "written"
    except RuntimeError as error:
        return f"RuntimeError: {error}"
outcomes = {
    "not looked at": attempt(lambda v: None),
    "requires_grad read": attempt(lambda v: v.requires_grad),
    "grad_fn read": attempt(lambda v: v.grad_fn),
    "is_leaf read": attempt(lambda v: v.is_leaf),
}
for name, outcome in outcomes.items():
    print(f"{name}: {outcome}")
refused = [name for name, outcome in outcomes.items() if "leaf" in outcome]
same = refused == ["not looked at", "requires_grad read"] and outcomes["grad_fn read"] == outcomes["is_leaf read"] == "written"
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
