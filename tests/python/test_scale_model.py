"""The model of the cost of data-parallel training: its limits, its formulas, and its script."""

import json
import subprocess
import sys

import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))
from scaling import model  # noqa: E402

FAST = model.Network(latency=0, overhead=0, bandwidth=1e30)
LINK = model.Network(latency=1e-3, overhead=1e-5, bandwidth=1e8)
TRAINING = model.Training(step_seconds=0.08, chunks=8, optimizer_seconds=0.01, dense_bytes=10 << 20, row_bytes=1000)


def test_the_chunks_and_nodes_are_those_of_the_tree():
    assert model.plan(8, 1) == ([8], [1])
    assert model.plan(8, 2) == ([4, 4], [1, 1])
    assert model.plan(8, 8) == ([1] * 8, [1] * 8)
    assert model.plan(8, 3) == ([3, 2, 3], [2, 2, 2])  # 0-1 and 2, 3 and 4, 5 and 6-7
    assert model.plan(12, 3) == ([4, 4, 4], [2, 3, 2])  # 0-2 and 3; 4-5, 6 and 7; 8 and 9-11
    for chunks, ranks in ((8, 5), (1024, 1000), (7, 7)):
        own, nodes = model.plan(chunks, ranks)
        assert sum(own) == chunks and len(own) == ranks and all(n >= 1 for n, o in zip(nodes, own, strict=True) if o)


def test_without_a_network_only_the_largest_share_counts():
    for ranks, chunks in ((1, 8), (2, 4), (3, 3), (4, 2), (8, 1)):
        assert model.step(TRAINING, ranks, FAST)["seconds"] == pytest.approx(0.08 * chunks / 8 + 0.01)


def test_a_bucket_takes_a_reduce_scatter_and_an_all_gather():
    size, ranks = 1 << 20, 4
    expected = 2 * 1e-3 + (2 * 3 + 3) * 1e-5 + 2 * size * 3 / 4 / 1e8
    assert model.bucket_seconds(size, [1] * ranks, ranks, LINK) == pytest.approx(expected)
    # Two nodes of each rank are sent one by one, and their sum once.
    expected = 2 * 1e-3 + (3 * 3 + 3) * 1e-5 + (2 * size * 3 / 4 + size * 3 / 4) / 1e8
    assert model.bucket_seconds(size, [2] * ranks, ranks, LINK) == pytest.approx(expected)


def test_backward_hides_buckets_and_never_more_than_itself():
    for ranks in (2, 4, 8):
        found = model.step(TRAINING, ranks, LINK)
        _, nodes = model.plan(8, ranks)
        alone = 10 * model.bucket_seconds(1 << 20, nodes, ranks, LINK)
        backward = 0.01 * 2 / 3
        rest = 3 * LINK.latency + 3 * (ranks - 1) * LINK.overhead + (16 * (ranks - 1) + 8 * 1000) / LINK.bandwidth
        assert alone - backward <= found["waited"] <= alone + rest + 1e-12
    one = model.step(TRAINING, 2, model.Network(1e-6, 1e-8, 1e11))
    assert one["waited"] < 1e-3, "a fast network is hidden but for the last bucket"


def test_without_overlap_all_buckets_wait_for_backward():
    _, nodes = model.plan(8, 2)
    apart, together = (model.step(TRAINING, 2, LINK, overlap)["waited"] for overlap in (False, True))
    alone = 10 * model.bucket_seconds(1 << 20, nodes, 2, LINK)
    rows = 3 * LINK.latency + 3 * LINK.overhead + (16 + 8 * 1000) / LINK.bandwidth
    assert alone < apart <= alone + rows + 1e-12
    # Nine of ten buckets are complete before the end of the last chunk's backward.
    assert apart - together == pytest.approx(0.01 * 2 / 3 * 9 / 10)


def test_the_cpu_time_of_bytes_delays_backward():
    free, busy = (model.step(TRAINING, 2, model.Network(0, 0, 1e30, cpu))["waited"] for cpu in (0, 1e-10))
    # Each rank sends and receives all bytes of the buckets, and its part of the rows.
    assert free == pytest.approx(0) and busy == pytest.approx(1e-10 * ((10 << 20) + 4 * 1000), rel=0.02)
    # After backward a slow link hides it, and all but the first of ten buckets leave after it here.
    slow, slower = (model.step(TRAINING, 2, model.Network(0, 0, 1e6, cpu))["seconds"] for cpu in (0, 1e-8))
    assert slower - slow < 1e-8 * (1 << 20) * 1.2


def test_ranks_receive_the_rows_of_the_others():
    link = model.Network(0, 0, 1e6)
    rows = model.Training(step_seconds=0.08, chunks=8, optimizer_seconds=0, dense_bytes=0, row_bytes=1000)
    assert model.step(rows, 2, link)["waited"] == pytest.approx(4 * 1000 / 1e6, rel=0.01)
    # A rank of eight sends its chunk's rows to seven others, and receives seven.
    assert model.step(rows, 8, link)["waited"] == pytest.approx(7 * 1000 / 1e6, rel=0.02)


def test_divided_states_cost_an_exchange_and_save_the_optimizer():
    divided = model.Training(**{**vars(TRAINING), "shards_optimizer": True, "parameter_bytes": 40 << 20})
    whole, shared = model.step(TRAINING, 4, LINK), model.step(divided, 4, LINK)
    assert shared["optimizer"] == pytest.approx(0.01 / 4)
    assert shared["waited"] - whole["waited"] == pytest.approx(1e-3 + 3e-5 + (40 << 20) * 3 / 4 / 1e8)


def test_the_curve_reaches_the_most_ranks_and_refuses_too_few_chunks():
    found = model.curve(TRAINING, LINK, 1024)
    assert [ranks for ranks, _ in found] == [2**i for i in range(11)]
    assert all(one["seconds"] > 0 for _, one in found)
    # A fixed batch on more and more ranks waits for messages in the end; with a batch that grows each rank has as much to do.
    assert found[-1][1]["computed"] == pytest.approx(0.08 / 1024)
    assert all(one["computed"] == pytest.approx(0.08) for _, one in model.curve(TRAINING, LINK, 1024, weak=True))
    with pytest.raises(ValueError, match="9 ranks need at least as many chunks"):
        model.step(TRAINING, 9, LINK)


def test_the_script_predicts_and_draws_without_measuring(tmp_path):
    words = [sys.executable, str(ROOT / "benchmarks/scale_model"), "--step-ms", "80", "--optimizer-ms", "10", "--dense-mb", "10",
             "--row-kb", "1", "--mbit", "800", "--latency-us", "1000", "--overhead-us", "10"]  # fmt: skip
    done = subprocess.run([*words, "--json", tmp_path / "f.json", "--chart", tmp_path / "c.svg"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    figures = json.loads((tmp_path / "f.json").read_text())
    expected = model.step(model.Training(0.08, 8, 0.01, 10_000_000, 1000), 4, model.Network(1e-3, 1e-5, 1e8))
    assert dict(figures["curves"]["800 Mbit/s"])[4]["seconds"] == pytest.approx(expected["seconds"])
    assert "| 1024 |" in done.stdout
    assert (tmp_path / "c.svg").read_text().count("<line") > 20
    refused = subprocess.run(words[:2], capture_output=True, text=True)
    assert refused.returncode == 2 and "--data" in refused.stderr
