#!/usr/bin/env bash
# What: torch.optim.ASGD, averaged stochastic gradient descent, never puts the average into the model. The parameters are those of
# plain gradient descent. The average lies in the optimizer's state as "ax", and begins after a million steps unless t0 is set.
# One expects the model to hold the average at the end, or a method that puts it there, because the average is the method's result
# (Polyak & Juditsky 1992).
# Versions: torch 2.15.0. The installation takes some gigabytes.
# A user meets it by evaluating and saving the model after training with ASGD: all of it is of the last, noisy weights.
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


def train(make):
    """Descends on noisy gradients of x²/2 for 500 steps, and gives the optimizer, x and the mean of all x."""
    torch.manual_seed(0)
    x = torch.full((1000,), 1.0, requires_grad=True)
    optimizer, mean = make([x]), torch.zeros(1000)
    for step in range(500):
        x.grad = x.detach() + torch.randn(1000)
        optimizer.step()
        mean += (x.detach() - mean) / (step + 1)
    return optimizer, x.detach(), mean


plain = {"lambd": 0, "alpha": 0}
_, descent, _ = train(lambda p: torch.optim.SGD(p, lr=0.3))
averaged, asgd, mean = train(lambda p: torch.optim.ASGD(p, lr=0.3, t0=0, **plain))
(state,) = averaged.state.values()
late, _, _ = train(lambda p: torch.optim.ASGD(p, lr=0.3, **plain))
(late_state,) = late.state.values()
print(f"deviation of the parameters from the minimum: SGD {descent.std():.3f}, ASGD {asgd.std():.3f}")
print(f"of the mean of all steps {mean.std():.3f}, of ASGD's ax {state['ax'].std():.3f}, without t0 {late_state['ax'].std():.3f}")
plainly = torch.allclose(asgd, descent, atol=1e-4)
same = plainly and state["ax"].std() < 0.3 * asgd.std() and torch.allclose(late_state["ax"], asgd, atol=1e-4)

print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
