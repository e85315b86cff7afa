#!/usr/bin/env bash
# What: torch.distributed.reduce() over gloo also changes the tensors of the processes that do not get the result. Each of them
# is left with the sum over some of the processes, another one in other parts of the tensor. One expects the inputs of a sender
# to stay as they are, as with MPI_Reduce, whose send buffer is read only.
# Versions: torch 2.15.0. The installation takes some gigabytes.
# A user meets it by collecting a metric or a gradient on process 0 and going on with the tensor on the others: their counters
# are too large from then on, by different amounts, and the next reduction counts them again.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check torch==2.15.0 numpy==2.4.6
"$folder/bin/pip" freeze | grep -iE '^(torch|numpy)=='
cd "$folder"
bin/python -W ignore - <<'PY'
import os
import tempfile

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

PROCESSES = 4


def take_part(rank, folder, results):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=PROCESSES)
    mine = torch.full((1000,), float(10**rank))
    dist.reduce(mine, dst=0)
    results.put((rank, sorted(set(mine.tolist()))))
    dist.barrier()
    dist.destroy_process_group()


os.environ["GLOO_SOCKET_IFNAME"] = "lo"
with tempfile.TemporaryDirectory() as folder:
    context = mp.get_context("fork")
    results = context.SimpleQueue()
    processes = [context.Process(target=take_part, args=(rank, folder, results)) for rank in range(PROCESSES)]
    for process in processes:
        process.start()
    seen = dict(results.get() for _ in processes)
    for process in processes:
        process.join()
for rank in range(PROCESSES):
    print(f"process {rank} had {10**rank:4} in all places; after reduce(dst=0) it has", *map(int, seen[rank]))
same = seen[0] == [1111] and all(seen[rank] != [10**rank] for rank in range(1, PROCESSES))

print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
