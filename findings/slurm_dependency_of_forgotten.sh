#!/usr/bin/env bash
# What: whether Slurm runs a job that depends on the success of another one (--dependency=afterok) is a question of time. The
# dependency on a job that failed is never satisfied, and the new job waits for ever. Once Slurm has forgotten the failed job, which
# it does MinJobAge seconds after the end, the same dependency counts as satisfied and the job runs. So does one on a number that no
# job ever had. sbatch says nothing in any case.
# Versions: Slurm 22.05.8 (Debian 12: slurm-client, slurmctld, slurmd). The script needs root and about a minute.
# A user meets it in a pipeline that submits the evaluation or the export some minutes after the training: it runs although the
# training failed, on an old or half-written model.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
folder=$(mktemp -d)
. "$here/support/slurm_node.sh"
trap 'stop_slurm; rm -rf "$folder"' EXIT
slurm_min_job_age=2 start_slurm "$folder"
sinfo --version

submit() { sbatch --parsable --output="$folder/%j.out" "$@"; }
state() { squeue --noheader --states=all --format='%T %r' --jobs="$1" 2>/dev/null || echo forgotten; }
wait_until() {  # seconds, job, state
  local end=$((SECONDS + $1))
  until [[ $(state "$2") == "$3"* ]]; do
    [ $SECONDS -lt $end ] || { echo "job $2 is $(state "$2"), not $3"; exit 1; }
    sleep 0.2
  done
}

failed=$(submit --wrap='exit 3')
wait_until 30 "$failed" FAILED
soon=$(submit --dependency=afterok:"$failed" --wrap="touch $folder/soon")
wait_until 30 "$soon" "PENDING DependencyNeverSatisfied"
echo "submitted while Slurm knows the failed job: $(state "$soon")"
wait_until 300 "$failed" forgotten
late=$(submit --dependency=afterok:"$failed" --wrap="touch $folder/late")
unknown=$(submit --dependency=afterok:999999 --wrap="touch $folder/unknown")
tries=150
until [ -e "$folder/late" ] && [ -e "$folder/unknown" ]; do
  [ $((tries -= 1)) -gt 0 ] || break
  sleep 0.2
done
for name in soon late unknown; do
  if [ -e "$folder/$name" ]; then echo "$name: ran"; else echo "$name: did not run"; fi
done
if [ ! -e "$folder/soon" ] && [ -e "$folder/late" ] && [ -e "$folder/unknown" ]; then
  echo "as described"
else
  echo "changed"
  exit 1
fi
