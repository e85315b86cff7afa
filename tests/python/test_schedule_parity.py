"""A hundred steps of every schedule equal those of torch.optim.lr_scheduler and of transformers."""

import math
import subprocess
import warnings

import pytest
from conftest import BUILD

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

LR = torch.optim.lr_scheduler
STEPS, BASE = 100, 0.2


def qing_rates(*words, text=""):
    tool = BUILD / "schedule_rates"
    command = [tool, words[0], str(STEPS), repr(BASE), *(repr(float(word)) for word in words[1:])]
    result = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=True)
    return [[float(v) for v in line.split()] for line in result.stdout.splitlines()]


def optimizer():
    return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=BASE, momentum=0.9)


def torch_rates(make):
    sgd = optimizer()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scheduler = make(sgd)
        for _ in range(STEPS):
            yield [sgd.param_groups[0]["lr"], sgd.param_groups[0]["momentum"]]
            sgd.step()
            scheduler.step()


def sequential(o):
    parts = [LR.ConstantLR(o, 0.1, 20), LR.ExponentialLR(o, 0.9), LR.StepLR(o, 5, 0.5)]
    return LR.SequentialLR(o, parts, milestones=[20, 60])


def chained(o):
    return LR.ChainedScheduler([LR.ConstantLR(o, 0.1, 20), LR.ExponentialLR(o, 0.9), LR.StepLR(o, 30, 0.5)])


CASES = {
    "constant": (("constant", 0.3, 7), lambda o: LR.ConstantLR(o, 0.3, 7)),
    "linear": (("linear", 0.25, 0.75, 40), lambda o: LR.LinearLR(o, 0.25, 0.75, 40)),
    "step": (("step", 13, 0.7), lambda o: LR.StepLR(o, 13, 0.7)),
    "multi-step": (("multi_step", 5, 50, 50, 0.5), lambda o: LR.MultiStepLR(o, [5, 50, 50], 0.5)),
    "exponential": (("exponential", 0.97), lambda o: LR.ExponentialLR(o, 0.97)),
    "polynomial": (("polynomial", 80, 2), lambda o: LR.PolynomialLR(o, 80, 2)),
    "cosine": (("cosine", 100, 0.01), lambda o: LR.CosineAnnealingLR(o, 100, 0.01)),
    "cosine, beyond its end": (("cosine", 30, 0), lambda o: LR.CosineAnnealingLR(o, 30)),
    "warm restarts": (("warm_restarts", 7, 2, 0.01), lambda o: LR.CosineAnnealingWarmRestarts(o, 7, 2, 0.01)),
    "equal restarts": (("warm_restarts", 9, 1, 0), lambda o: LR.CosineAnnealingWarmRestarts(o, 9)),
    "sequential": (("sequential",), sequential),
    "chained": (("chained",), chained),
    "constant with warm-up": (
        ("constant_with_warmup", 10),
        lambda o: transformers.get_constant_schedule_with_warmup(o, 10),
    ),
    "linear with warm-up": (
        ("linear_with_warmup", 10, 90),
        lambda o: transformers.get_linear_schedule_with_warmup(o, 10, 90),
    ),
    "linear without warm-up": (
        ("linear_with_warmup", 0, 100),
        lambda o: transformers.get_linear_schedule_with_warmup(o, 0, 100),
    ),
    "cosine with warm-up": (
        ("cosine_with_warmup", 10, 90, 0.5),
        lambda o: transformers.get_cosine_schedule_with_warmup(o, 10, 90),
    ),
    "hard restarts": (
        ("hard_restarts", 10, 90, 3),
        lambda o: transformers.get_cosine_with_hard_restarts_schedule_with_warmup(o, 10, 90, 3),
    ),
    "polynomial with warm-up": (
        ("polynomial_with_warmup", 10, 90, 1e-3, 2),
        lambda o: transformers.get_polynomial_decay_schedule_with_warmup(o, 10, 90, 1e-3, 2),
    ),
}

# Schedules with only one step, or with a warm-up of all steps or more.
CASES |= {
    f"linear, warm-up {warmup} of {total}": (
        ("linear_with_warmup", warmup, total),
        lambda o, w=warmup, t=total: transformers.get_linear_schedule_with_warmup(o, w, t),
    )
    for warmup, total in [(0, 0), (0, 1), (1, 1), (10, 10), (9, 10), (20, 10), (99, 99), (100, 100), (120, 100)]
}
CASES |= {
    f"cosine, warm-up {warmup} of {total}": (
        ("cosine_with_warmup", warmup, total, 0.5),
        lambda o, w=warmup, t=total: transformers.get_cosine_schedule_with_warmup(o, w, t),
    )
    for warmup, total in [(0, 1), (10, 10), (20, 10), (0, 99)]
}
CASES |= {
    f"hard restarts, warm-up {warmup} of {total}": (
        ("hard_restarts", warmup, total, 2),
        lambda o, w=warmup, t=total: transformers.get_cosine_with_hard_restarts_schedule_with_warmup(o, w, t, 2),
    )
    for warmup, total in [(0, 1), (10, 10), (20, 10), (0, 99)]
}
# transformers divides by zero if the warm-up takes all steps.
CASES |= {
    f"polynomial, warm-up {warmup} of {total}": (
        ("polynomial_with_warmup", warmup, total, 1e-3, 2),
        lambda o, w=warmup, t=total: transformers.get_polynomial_decay_schedule_with_warmup(o, w, t, 1e-3, 2),
    )
    for warmup, total in [(0, 1), (9, 10), (20, 10), (0, 99)]
}
CASES |= {
    "constant for a step": (("constant", 0.3, 1), lambda o: LR.ConstantLR(o, 0.3, 1)),
    "linear over a step": (("linear", 0.25, 0.75, 1), lambda o: LR.LinearLR(o, 0.25, 0.75, 1)),
    "linear to the end": (("linear", 0.25, 0, 99), lambda o: LR.LinearLR(o, 0.25, 0, 99)),
    "polynomial over a step": (("polynomial", 1, 2), lambda o: LR.PolynomialLR(o, 1, 2)),
    "polynomial to the end": (("polynomial", 99, 0.5), lambda o: LR.PolynomialLR(o, 99, 0.5)),
    "a step of one": (("step", 1, 0.9), lambda o: LR.StepLR(o, 1, 0.9)),
    "a milestone at the start": (("multi_step", 0, 1, 99, 0.5), lambda o: LR.MultiStepLR(o, [0, 1, 99], 0.5)),
    "cosine over a step": (("cosine", 1, 0.01), lambda o: LR.CosineAnnealingLR(o, 1, 0.01)),
    "cosine to the end": (("cosine", 99, 0), lambda o: LR.CosineAnnealingLR(o, 99)),
    "restarts at every step": (("warm_restarts", 1, 1, 0.01), lambda o: LR.CosineAnnealingWarmRestarts(o, 1, 1, 0.01)),
    "no warm-up": (("constant_with_warmup", 0), lambda o: transformers.get_constant_schedule_with_warmup(o, 0)),
}


@pytest.mark.parametrize("case", CASES)
def test_rates_equal(case):
    words, make = CASES[case]
    mine = qing_rates(*words)
    assert len(mine) == STEPS
    for step, ((rate,), (expected, _)) in enumerate(zip(mine, torch_rates(make))):
        assert rate == pytest.approx(expected, rel=1e-12, abs=1e-12), step


@pytest.mark.parametrize("three_phase", [False, True])
@pytest.mark.parametrize("anneal", ["cos", "linear"])
@pytest.mark.parametrize("pct_start", [0.3, 0.25])
def test_one_cycle(anneal, three_phase, pct_start):
    mine = qing_rates("one_cycle", 0.5, STEPS, pct_start, anneal == "linear", 20, 1e3, three_phase)
    make = lambda o: LR.OneCycleLR(  # noqa: E731
        o, 0.5, STEPS, pct_start=pct_start, anneal_strategy=anneal, div_factor=20, final_div_factor=1e3,
        three_phase=three_phase)  # fmt: skip
    theirs = list(torch_rates(make))
    assert len(mine) == len(theirs) == STEPS
    for step, (a, b) in enumerate(zip(mine, theirs)):
        assert a == pytest.approx(b, rel=1e-12, abs=1e-12), step
    assert max(rate for rate, _ in mine) > 0.45


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("threshold_mode", ["rel", "abs"])
@pytest.mark.parametrize("cooldown", [0, 3])
def test_plateau(mode, threshold_mode, cooldown):
    metrics = [(2 + math.sin(i * 0.7) + 0.02 * i) * (1 if mode == "min" else -1) + 5 for i in range(STEPS)]
    sgd = optimizer()
    scheduler = LR.ReduceLROnPlateau(
        sgd, mode, 0.5, 2, threshold=1e-2, threshold_mode=threshold_mode, cooldown=cooldown, min_lr=1e-3
    )
    expected = []
    for metric in metrics:
        scheduler.step(metric)
        expected.append(sgd.param_groups[0]["lr"])
    words = ("plateau", mode == "max", 0.5, 2, 1e-2, threshold_mode == "rel", cooldown, 1e-3)
    mine = [rate for (rate,) in qing_rates(*words, text=" ".join(map(repr, metrics)))]
    assert mine == pytest.approx(expected, rel=1e-12)
    assert len(set(mine)) > 3
