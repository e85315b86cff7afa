#!/usr/bin/env bash
# What: the gradient of torch's CTC loss is not the derivative of its value. With regard to the log-probabilities that the loss
# gets, backward() answers what is right only after a log_softmax has been differentiated as well. For other scores the value of
# the loss is computed, but differences of that value disagree with the gradient, up to the sign. One expects the two to agree,
# as for nll_loss, which also takes log-probabilities and accepts any scores.
# Versions: torch 2.15.0. The installation takes some gigabytes.
# A user meets it by changing log-probabilities between log_softmax and the loss, such as by a penalty on the blank, a
# temperature or a mixture of two models: the training follows another direction than the reported loss. Normalising once more
# before the loss gives the right gradient of the normalised scores.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check torch==2.15.0 numpy==2.4.6
"$folder/bin/pip" freeze | grep -iE '^(torch|numpy)=='
cd "$folder"
bin/python -W ignore - <<'PY'
import torch
import torch.nn.functional as F

torch.manual_seed(0)
scores = torch.randn(5, 1, 3, dtype=torch.float64)  # five steps, one text, two letters and the blank
letters = torch.tensor([[1, 2]])


def ctc(x):
    return F.ctc_loss(x, letters, (5,), (2,), reduction="sum")


def nll(x):
    return F.nll_loss(x[:, 0], torch.tensor([0, 1, 2, 1, 0]), reduction="sum")


def disagreement(loss):
    """The greatest difference between the gradient and central differences of the loss, and the gradient's own size."""
    x = scores.clone().requires_grad_()
    gradient, = torch.autograd.grad(loss(x), x)
    worst, turned = 0.0, 0
    for place in range(scores.numel()):
        step = torch.zeros(scores.numel(), dtype=torch.float64)
        step[place] = 1e-5
        step = step.view_as(scores)
        slope = ((loss(scores + step) - loss(scores - step)) / 2e-5).item()
        here = gradient.flatten()[place].item()
        worst, turned = max(worst, abs(slope - here)), turned + (slope * here < -1e-9)
    return worst, turned


cases = {
    "nll_loss of any scores": nll,
    "ctc_loss of any scores": ctc,
    "ctc_loss of log_softmax": lambda x: ctc(x.log_softmax(-1)),
    "ctc_loss of log_softmax less 1 for blanks": lambda x: ctc(x.log_softmax(-1) - torch.tensor([1.0, 0, 0])),
}
seen = {name: disagreement(loss) for name, loss in cases.items()}
for name, (worst, turned) in seen.items():
    print(f"{name:41}: gradient and differences disagree by up to {worst:.2g}, {turned} of {scores.numel()} signs are opposite")
same = [worst > 0.01 for worst, _ in seen.values()] == [False, True, False, True] and seen["ctc_loss of any scores"][1] > 0

print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
