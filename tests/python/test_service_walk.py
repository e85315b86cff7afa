"""A walk through the service under steady load: upload, training, canary, promotion, rollback. Every answer is checked.

The walk takes about half a minute, or QING_WALK_MINUTES. From five minutes on it fine-tunes the model that comes with qing
with the automatic options."""

import json
import math
import os
import random
import shutil
import time

import pytest
from conftest import ROOT
from job_tools import client_of, finished, supervised, upload, wait_for
from walk_tools import ADMIN, MODEL, EventStream, SteadyLoad, StepClock, active, alone, change, delays

MINUTES = float(os.environ.get("QING_WALK_MINUTES", "0.5"))
FULL = MINUTES >= 5
ROWS, HELD, TEXTS = 4500, 500, 150
SHARES = (0.01, 0.1, 0.5)


def sampled(data_dir, kind, count, rng):
    """Rows of both languages as bytes of a TSV file, and their texts."""
    lines, header = [], None
    for language in ("en", "zh"):
        header, *rows = (data_dir / f"{language}.{kind}.tsv").read_text(encoding="utf-8").splitlines()
        lines += rng.sample(rows, count // 2)
    rng.shuffle(lines)
    return "\n".join([header, *lines, ""]).encode(), [line.split("\t")[2] for line in lines]


def batches_by_version(answers):
    found = {}
    for one in answers:
        found.setdefault(one.version, set()).add(one.texts)
    return found


def check_share(answers, share, old, new):
    """Each batch of texts has one version, and as many as plausible (five standard deviations) have the new one."""
    found = batches_by_version(answers)
    assert found.keys() <= {old, new}
    canary, rest = found.get(new, set()), found.get(old, set())
    assert not canary & rest, "the same caller got two versions"
    number = len(canary) + len(rest)
    deviation = math.sqrt(number * share * (1 - share))
    assert abs(len(canary) - number * share) <= 5 * deviation + 1, (len(canary), number, share)
    return canary


@pytest.fixture
def base(models_root, tmp_path):
    """The models' folder: a small model, or the one that comes with qing for the full length."""
    return shutil.copytree(ROOT / "serve/models" if FULL else models_root, tmp_path / "models")


def test_from_files_to_promotion_and_back_under_load(serve, base, data_dir, tmp_path):
    rng = random.Random(20261129)
    state = tmp_path / "state"
    server = serve("--models", base, "--state", state, "--log-requests", "false")
    client = client_of(server)
    rows, _ = sampled(data_dir, "train", ROWS, rng)
    held, texts = sampled(data_dir, "dev", HELD, rng)
    texts = sorted(set(texts))[:TEXTS]
    old = active(server)
    expected = {old: alone(server, MODEL, texts)}
    seconds = 60 * MINUTES / 8
    shares = {}
    with SteadyLoad(server, texts) as load:
        training, validation = upload(client, rows, "train.tsv"), upload(client, held, "held.tsv")
        assert client.files.retrieve(training).model_dump()["rows"] == ROWS
        options = {} if FULL else {"method": supervised({"n_epochs": 1, "batch_size": 32})}
        job = client.fine_tuning.jobs.create(model=MODEL, training_file=training, validation_file=validation, seed=3, **options)
        with StepClock(state, job.id) as clock, EventStream(server, job.id) as stream:
            done = finished(client, job, 60 + 600 * MINUTES)
        assert done.status == "succeeded", done.error
        assert stream.last == "[DONE]" and stream.events[-1]["message"] == "The job has successfully completed"
        late = delays(clock, stream.steps)
        assert len(late) >= 50 and clock.seen.keys() >= stream.steps.keys()
        assert {one.version for one in load.answers} == {old}, "a finished job replaces nothing"
        model = done.fine_tuned_model
        new_answers = alone(server, model, texts)
        assert all(new_answers[text] != expected[old][text] for text in texts)

        # The shares grow, and each share keeps its callers.
        body = {"from": model, "trial": {"share": SHARES[0]}}
        new = change(server, "POST", ADMIN + "/promote", body)["version"]
        expected[new] = new_answers
        callers = set()
        for share in SHARES:
            change(server, "PUT", ADMIN + "/trial", {"version": int(new), "share": share})
            begun = time.monotonic()
            time.sleep(seconds)
            given = load.during(begun, time.monotonic())
            canary = check_share(given, share, old, new)
            assert not callers & batches_by_version(given).get(old, set()), "a growing share lost a caller"
            callers |= canary
            shares[share] = len(canary), len({one.texts for one in given})
            assert active(server) == old
        assert callers, "no caller was in the canary"

        def only(version):
            begun = time.monotonic()
            time.sleep(seconds)
            given = load.during(begun)
            assert given and {one.version for one in given} == {version}
            return len(given)

        change(server, "POST", ADMIN + "/load", {"version": int(new)})
        promoted = only(new)
        assert change(server, "POST", ADMIN + "/rollback", {})["version"] == old
        returned = only(old)
        # A plan grows the same trial from step to step by itself.
        plan = {"version": int(new), "steps": [0.2, 1], "minutes_each": 0, "requests_each": 20, "rollback": {"error_rate": 0.01}}
        change(server, "PUT", ADMIN + "/trial", plan)
        wait_for(lambda: active(server) == new, 60)
        only(new)
        assert change(server, "POST", ADMIN + "/rollback", {})["version"] == old
        only(old)
    load.check(expected)
    actions = [entry["action"] for entry in change(server, "GET", "/v1/admin/audit?limit=1000")["data"]]
    wanted = ["model.rollback", "trial.promote", "trial.step", "trial.set", "model.rollback", "model.load"]
    assert [action for action in actions if action in wanted][: len(wanted)] == wanted, actions
    assert server.stop()[0] == 0
    figures = {"answers": len(load.answers), "by version": {v: sum(a.version == v for a in load.answers) for v in (old, new)},
               "canary batches": shares, "after promotion": promoted, "after rollback": returned, "events": len(late),
               "event delay": [round(late[int(share * (len(late) - 1))], 3) for share in (0.5, 0.95, 1)]}  # fmt: skip
    print(json.dumps(figures))
    # The server reads the metrics twice a second and feeds streams five times a second. One step of a hundred may meet a
    # machine that is busy.
    assert late[int(0.95 * (len(late) - 1))] < 1, figures
