# A Slurm cluster of one node on loopback, for the scripts of this folder that are about Slurm. It is made of Debian's packages,
# which are unpacked into the script's temporary folder and not installed. Slurm's daemons need root.

# start_slurm FOLDER: starts the daemons with all their files in FOLDER, and waits until the node is idle. Commands of Slurm are
# on PATH then. stop_slurm ends all jobs and the daemons; the script calls it from its trap.
slurm_daemons=()
start_slurm() {
  local folder=$1 name libraries
  [ "$(id -u)" = 0 ] && [ "$(uname -m)" = x86_64 ] && command -v apt-get >/dev/null ||
    { echo "needs root on an x86-64 Debian 12"; return 2; }
  mkdir -p "$folder/packages" "$folder/root" "$folder/state" "$folder/spool"
  mkdir -m 700 "$folder/munge"
  (cd "$folder/packages" && apt-get download -qq -o APT::Sandbox::User=root slurm-client slurm-wlm-basic-plugins slurmctld \
    slurmd munge libmunge2 libslurm38 liblua5.1-0 >/dev/null)
  for name in "$folder"/packages/*.deb; do dpkg -x "$name" "$folder/root"; done
  libraries=$folder/root/usr/lib/x86_64-linux-gnu
  export PATH="$folder/root/usr/bin:$folder/root/usr/sbin:$PATH" SLURM_CONF="$folder/slurm.conf"
  export LD_LIBRARY_PATH="$libraries/slurm-wlm:$libraries"
  local ports
  ports=$(python3 - <<'PY'
import socket
probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
print(*(probe.getsockname()[1] for probe in probes))
PY
  )
  cat > "$SLURM_CONF" <<CONF
ClusterName=findings
SlurmctldHost=$(hostname)(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/munge/socket
CredType=cred/munge
SlurmctldPort=${ports% *}
SlurmdPort=${ports#* }
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
PluginDir=$libraries/slurm-wlm
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
KillWait=5
MinJobAge=${slurm_min_job_age:-300}
SchedulerParameters=batch_sched_delay=0,sched_interval=1
NodeName=$(hostname) NodeAddr=127.0.0.1 CPUs=1 State=UNKNOWN
PartitionName=all Nodes=$(hostname) Default=YES MaxTime=60 State=UP OverSubscribe=FORCE:4
CONF
  head -c 128 /dev/urandom > "$folder/munge/key"
  chmod 400 "$folder/munge/key"
  munged --foreground --force --key-file="$folder/munge/key" --socket="$folder/munge/socket" --pid-file="$folder/munge/pid" \
    --log-file="$folder/munge/log" --seed-file="$folder/munge/seed" &> "$folder/munged.out" &
  slurm_daemons+=($!)
  until [ -e "$folder/munge/socket" ]; do kill -0 "${slurm_daemons[0]}" && sleep 0.1; done
  slurmctld-wlm -D -f "$SLURM_CONF" &> "$folder/slurmctld.out" &
  slurm_daemons+=($!)
  slurmd-wlm -D -f "$SLURM_CONF" -d "$folder/root/usr/sbin/slurmstepd-wlm" &> "$folder/slurmd.out" &
  slurm_daemons+=($!)
  local tries=300
  until sinfo --noheader --format=%T 2>/dev/null | grep -q idle; do
    [ $((tries -= 1)) -gt 0 ] || { cat "$folder"/*.out; echo "the node is not idle"; return 2; }
    sleep 0.2
  done
}

stop_slurm() {
  local last tries=100
  if [ ${#slurm_daemons[@]} = 3 ]; then
    scancel --user=root || true
    while [ -n "$(squeue --noheader 2>/dev/null)" ] && [ $((tries -= 1)) -gt 0 ]; do sleep 0.2; done
  fi
  for ((last = ${#slurm_daemons[@]} - 1; last >= 0; last--)); do
    kill "${slurm_daemons[last]}" 2>/dev/null || true
    wait "${slurm_daemons[last]}" 2>/dev/null || true
  done
}
