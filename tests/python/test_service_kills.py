"""The server is killed at random moments while files are uploaded and versions are tried, promoted and rolled back.

What was acknowledged stays, what was not is there as a whole or not at all, and no answer is wrong. The number of kills is
QING_JOB_KILLS, 12 by default. Kills while a job is prepared, trained and registered: test_jobs.py."""

import hashlib
import json
import os
import random
import shutil
import threading
import time
from typing import NamedTuple

import pytest
from conftest import RunningServer, ask, small_training, synthetic_rows
from job_tools import client_of, jsonl, wait_for
from walk_tools import ADMIN, LOST, MODEL, SteadyLoad, alone, change

KILLS = int(os.environ.get("QING_JOB_KILLS", 12))
NEW = "ft-new"


@pytest.fixture
def root(qing, models_root, tiny_data, tmp_path):
    """emotion_analysis, and a model of the same labels with other weights."""
    folder = shutil.copytree(models_root, tmp_path / "models")
    qing(*small_training(tiny_data, folder / NEW / "1", "--max-steps", 20))
    return folder


def file_digests(folder):
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in folder.rglob("*") if path.is_file()}  # fmt: skip


class Step(NamedTuple):
    """A change, and what is right after it: what the server says, or None when nobody knows."""

    kind: str
    answer: object


class Walk:
    """The changes of one client, and what it knows of the state."""

    def __init__(self, qing, root, state):
        self.qing, self.root, self.state = qing, root, state
        self.port = 0
        self.rng = random.Random(20261130)
        self.lines = jsonl(synthetic_rows(30_000, seed=13)).splitlines(keepends=True)
        self.files = {}  # id -> digest of the content, of acknowledged uploads
        self.gone = set()  # ids whose deletion was acknowledged
        self.unsure = []  # digests of uploads that were not acknowledged
        self.versions = {"1"}  # acknowledged ones
        self.lost_promotions = 0
        self.told = {}  # kind of change -> acknowledged, lost
        self.may_answer, self.any_answers = set(), True  # the versions that may be active after the change
        self.start()

    def start(self):
        self.server = RunningServer(self.qing.binary, "--port", self.port, "--models", self.root, "--state", self.state,
                                    "--log-requests", "false")  # fmt: skip
        self.port = int(self.server.endpoint.rpartition(":")[2])
        self.client = client_of(self.server)

    def kill(self):
        self.server.process.kill()
        self.server.process.wait()

    # Each change: its request, and what is known once it is acknowledged.

    def upload(self):
        content = b"".join(self.lines[: self.rng.randrange(len(self.lines) // 2, len(self.lines))])
        digest = hashlib.sha256(content).hexdigest()
        self.unsure.append(digest)
        made = self.client.files.create(file=("walk.jsonl", content), purpose="fine-tune")
        self.unsure.remove(digest)
        self.files[made.id] = digest

    def delete(self):
        if self.files:
            name = self.rng.choice(list(self.files))
            digest = self.files.pop(name)
            self.unsure.append(digest)
            self.client.files.delete(name)
            self.unsure.remove(digest)
            self.gone.add(name)

    def promote(self, body=None):
        self.lost_promotions += 1
        made = change(self.server, "POST", ADMIN + "/promote", {"from": NEW, **(body or {})})
        self.lost_promotions -= 1
        self.versions.add(made["version"])
        return made["version"]

    def promotion(self):
        return {"version": self.promote()}

    def trial(self):
        version = self.promote({"trial": {"share": 0.3}})
        return {"trial": {"version": version, "share": 0.3}}

    def grow(self):
        model = self.described()
        others = [version for version in self.folders() if version != model["version"]]
        if not others:
            return None
        version, share = self.rng.choice(others), self.rng.choice([0.01, 0.1, 0.5])
        change(self.server, "PUT", ADMIN + "/trial", {"version": int(version), "share": share})
        return {"version": model["version"], "trial": {"version": version, "share": share}}

    def plan(self):
        """Goes from step to step once a second, by itself."""
        model = self.described()
        others = [version for version in self.folders() if version != model["version"]]
        if others:
            body = {"version": int(self.rng.choice(others)), "steps": [0.2, 0.6, 1], "minutes_each": 0, "requests_each": 5}
            change(self.server, "PUT", ADMIN + "/trial", body)

    def load(self):
        version = self.rng.choice(sorted(self.versions))
        self.may_answer.add(version)
        change(self.server, "POST", ADMIN + "/load", {"version": int(version)})
        return {"version": version}

    def rollback(self):
        status, _, answer = ask(self.server.endpoint + ADMIN + "/rollback", {}, method="POST")
        assert status in (200, 409, 422), (status, answer)
        return {"version": answer["version"]} if status == 200 else None

    def described(self):
        return change(self.server, "GET", f"/v1/models/{MODEL}")

    def folders(self):
        """Versions of the model on the disk."""
        places = [self.root / MODEL, self.state / "models" / MODEL]
        return sorted({path.name for place in places if place.exists() for path in place.iterdir() if path.name.isdigit()})

    def run(self, kind):
        """Makes a change in a thread, so that the server can be killed meanwhile."""
        ended = []
        planned = change(self.server, "GET", ADMIN + "/history")["trial_plan"] is not None
        self.may_answer, self.any_answers = {self.described()["version"]}, planned or kind in ("plan", "promotion", "rollback")

        def work():
            try:
                ended.append(Step(kind, getattr(self, kind)()))
            except Exception as error:  # the test looks at it
                ended.append(error)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        return thread, ended

    def check(self, expected, last):
        """What the next server finds."""
        wait_for(lambda: self.kept_files_are_whole(), 20)
        found = self.folders()
        assert self.versions <= set(found), (self.versions, found)
        assert len(found) <= len(self.versions) + self.lost_promotions, (found, self.versions, self.lost_promotions)
        whole = file_digests(self.root / NEW / "1")
        for version in found:
            if version != "1":
                assert file_digests(self.state / "models" / MODEL / version) == whole, f"version {version} is not whole"
                expected[version] = expected["new"]
        now = self.described()
        known = last.answer or {} if last else {}
        if "version" in known:
            assert now["version"] == known["version"], (last, now)
        if "trial" in known:
            assert known["trial"].items() <= now.get("trial", {}).items(), (last, now)
        assert self.any_answers or now["version"] in self.may_answer, (last, now, "what nobody chose answers")
        texts = list(expected["1"])[:20]
        answer = change(self.server, "POST", f"/v1/models/{MODEL}/predict", {"texts": texts})
        assert answer["predictions"] == [expected[answer["version"]][text] for text in texts], answer["version"]
        promotions = change(self.server, "GET", ADMIN + "/history")["promotions"]
        history = {promotion["version"] for promotion in promotions} - {None}  # None: refused, or withdrawn after a kill
        assert self.versions - {"1"} <= history <= set(found), (self.versions, history, found)

    def kept_files_are_whole(self):
        listed = {file.id: file.model_dump()["sha256"] for file in self.client.files.list()}
        assert {name: listed.get(name) for name in self.files} == self.files, "an acknowledged file is lost"
        assert not self.gone & listed.keys(), "a deleted file is back"
        more = [digest for name, digest in listed.items() if name not in self.files]
        assert all(digest in self.unsure for digest in more) and len(more) == len(set(more)), "a file that nobody sent"
        names = {path.name for path in (self.state / "files").iterdir()} if (self.state / "files").exists() else set()
        return names == listed.keys()  # leftovers are removed soon after the start


KINDS = ["upload", "upload", "delete", "promotion", "trial", "trial", "grow", "plan", "load", "rollback"]


@pytest.fixture
def walk(qing, root, tmp_path):
    made = Walk(qing, root, tmp_path / "state")
    yield made
    made.kill()  # unless the test has stopped it


def test_kills_during_uploads_trials_and_promotions(walk):
    texts = sorted({text for _, text in synthetic_rows(400, seed=11)})
    expected = {"1": alone(walk.server, MODEL, texts), "new": alone(walk.server, NEW, texts)}
    assert all(expected["1"][text] != expected["new"][text] for text in texts)
    kills, usual = 0, {}
    with SteadyLoad(walk.server, texts, clients=2, rate=30, forgiving=True) as load:
        for kind in dict.fromkeys(KINDS):  # each change once in peace, to know how long it takes
            begun = time.monotonic()
            thread, ended = walk.run(kind)
            thread.join()
            assert isinstance(ended[0], Step), (kind, ended)
            usual[kind] = max(0.01, time.monotonic() - begun)
            walk.check(expected, None)
        usual["plan"] = 4  # the server goes from step to step after the answer
        while kills < KILLS:
            kind, before = walk.rng.choice(KINDS), walk.folders()
            thread, ended = walk.run(kind)
            moment = walk.rng.random()
            if moment < 0.35:  # right after the answer, which has to be kept
                thread.join()
            elif moment < 0.7 and kind in ("promotion", "trial"):  # when the version is there, and nothing points to it
                wait_for(lambda: walk.folders() != before or not thread.is_alive(), interval=0.002)
                time.sleep(walk.rng.uniform(0, 0.05))
            else:
                time.sleep(walk.rng.uniform(0, 1.2 * usual[kind]))
            walk.kill()
            thread.join()
            kills += 1
            acknowledged = isinstance(ended[0], Step)
            if not acknowledged:
                cause = ended[0].__cause__ or ended[0]
                assert isinstance(cause, LOST) or "Connection" in repr(cause) or "Protocol" in repr(cause), (kind, ended[0])
            counts = walk.told.setdefault(kind, [0, 0])
            counts[0 if acknowledged else 1] += 1
            walk.start()
            walk.check(expected, ended[0] if acknowledged and kind != "plan" else None)
    load.check(expected)
    assert len(load.answers) > 2 * kills
    print(json.dumps({"kills": kills, "acknowledged, lost": walk.told, "answers": len(load.answers), "lost requests": load.lost,
                      "versions": len(walk.folders()), "files": len(walk.files)}))  # fmt: skip
    if list((walk.state / "models" / MODEL).glob(".incoming*")):
        walk.promote()
        assert not list((walk.state / "models" / MODEL).glob(".incoming*")), "a draft of a killed server stays"
    code, log = walk.server.stop()
    assert code == 0, log[-2000:]
