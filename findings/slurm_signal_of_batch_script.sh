#!/usr/bin/env bash
# What: scancel --signal=USR1 sends a running batch job no signal if its script starts programs without srun, and exits with 0. Only
# --batch or --full reach the script: --batch the shell alone, and --full also what the shell has started. For a job that still
# waits, scancel --signal=TERM neither ends the job nor fails at once: it tries again for more than a minute and then fails. Without
# --signal, scancel ends both.
# Versions: Slurm 22.05.8 (Debian 12: slurm-client, slurmctld, slurmd). The script needs root and about two minutes.
# A user meets it with a training that writes a checkpoint when it gets SIGUSR1 or SIGTERM: the command that asks for it succeeds,
# and nothing happens. A program that stops jobs in this way takes more than a minute for each one that waits.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
folder=$(mktemp -d)
. "$here/support/slurm_node.sh"
trap 'stop_slurm; rm -rf "$folder"' EXIT
start_slurm "$folder"
sinfo --version

cat > "$folder/job" <<JOB
#!/bin/bash
trap 'echo shell >> $folder/heard' USR1
python3 - <<'PY' &
import signal, time
signal.signal(signal.SIGUSR1, lambda *_: open("$folder/heard", "a").write("program\n"))
open("$folder/ready", "w").close()
while True:
    time.sleep(0.1)
PY
while true; do wait; done
JOB
waiting=$(sbatch --parsable --output=/dev/null --begin=now+1hour "$folder/job")
running=$(sbatch --parsable --output=/dev/null "$folder/job")
tries=150
until [ -e "$folder/ready" ]; do
  [ $((tries -= 1)) -gt 0 ] || { echo "the job does not run"; exit 2; }
  sleep 0.2
done
heard() {
  rm -f "$folder/heard"
  scancel "$@" --signal=USR1 "$running" || { echo failed; return; }
  sleep 2
  sort -u "$folder/heard" 2>/dev/null | paste -sd' '
}
plain=$(heard) batch=$(heard --batch) full=$(heard --full)
echo "who hears SIGUSR1 - plain: ${plain:-nobody}, --batch: ${batch:-nobody}, --full: ${full:-nobody}"
begin=$SECONDS code=0
scancel --signal=TERM "$waiting" 2> "$folder/error" || code=$?
took=$((SECONDS - begin))
state=$(squeue --noheader --format=%T --jobs="$waiting")
echo "scancel --signal=TERM of a waiting job: exit code $code after $took s, $(tail -1 "$folder/error"), the job is $state"
if [ -z "$plain" ] && [ "$batch" = shell ] && [ "$full" = "program shell" ] && [ "$code" != 0 ] && [ "$took" -gt 30 ] &&
  [ "$state" = PENDING ]; then
  echo "as described"
else
  echo "changed"
  exit 1
fi
