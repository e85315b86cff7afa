#!/usr/bin/env bash
# What: asked for one job that it does not know, squeue of Slurm fails. Asked for two or more of them at once, it exits with 0 and
# prints nothing, as for jobs that have ended. scancel is the other way round: an unknown job is no error, and with --signal=KILL,
# which ends a job as well, it is one.
# Versions: Slurm 22.05.8 (Debian 12: slurm-client, slurmctld, slurmd). The script needs root.
# A user meets it in a script that waits until its jobs have gone from squeue: with one job left, an ended job that is forgotten
# after MinJobAge looks like a failure of Slurm. With a list of them, a wrong number looks like a job that has ended.
# It exits with 0 while the behaviour is as described, and with another code once it has changed.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
folder=$(mktemp -d)
. "$here/support/slurm_node.sh"
trap 'stop_slurm; rm -rf "$folder"' EXIT
start_slurm "$folder"
sinfo --version

code() {
  local seen=0
  "$@" > "$folder/out" 2>&1 || seen=$?
  echo "$* -> exit code $seen $(head -1 "$folder/out")" >&2
  echo "$seen"
}
one=$(code squeue --noheader --jobs=999999)
several=$(code squeue --noheader --jobs=999998,999999)
cancelled=$(code scancel 999999)
killed=$(code scancel --signal=KILL 999999)
if [ "$one" != 0 ] && [ "$several" = 0 ] && [ "$cancelled" = 0 ] && [ "$killed" != 0 ]; then
  echo "as described"
else
  echo "changed"
  exit 1
fi
