#!/usr/bin/env bash
# A real Slurm on this machine for as long as one command runs.
# shellcheck disable=SC2317  # functions that run as traps, or are handed to until_true
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: tests/slurm/cluster.sh [--nodes N] [--cpus N] [--gpus N] [--keep] COMMAND [ARGUMENT...]

Starts munged, slurmctld and N nodes (n1, n2, ...), runs COMMAND, which finds sbatch, srun and mpirun
set up for them, then ends everything. Exits with COMMAND's status, or with 77 and the reason where no
Slurm can be started. Needs root, the right to make namespaces, and the packages slurm-wlm and munge.

  --nodes N   virtual nodes (default 2)
  --cpus N    processors that each claims to have (default 4)
  --gpus N    GPUs that each claims to have: CUDA_VISIBLE_DEVICES is set, nothing else (default 0)
  --keep      keep the state folder with the logs of the daemons; prints its name

Within COMMAND:
  tests/slurm/cluster.sh --crash n2   ends all of node n2 at once, as a power failure would
  tests/slurm/cluster.sh --boot n2    starts it again

Everything lives in a process namespace that the kernel empties when its first process ends, however it
ends; and in namespaces of its own for the network, mounts and message queues, so that neither ports
nor files in /dev/shm are shared with anything else on this machine.
TEXT
}

self="$(realpath "${BASH_SOURCE[0]}")"
export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin" LC_ALL=C

skip() {
  echo "no Slurm here: $*"
  exit 77
}

# ---- outside: checks, namespaces, clearing up -----------------------------------------------------

start_outside() {
  local program
  [ "$(id -u)" -eq 0 ] || skip "it needs root"
  for program in munged slurmctld slurmd sbatch scontrol ip; do
    command -v "$program" >/dev/null ||
      skip "$program is missing (packages slurm-wlm, munge and iproute2; jobs/install-deps.sh)"
  done
  local namespaces=(--pid --fork --kill-child=KILL --mount --mount-proc --net --ipc --uts)
  unshare "${namespaces[@]}" true 2>/dev/null || skip "namespaces cannot be made (CAP_SYS_ADMIN)"

  state="$(mktemp -d /tmp/weft-slurm.XXXXXX)"
  chmod 755 "$state"  # munge wants its socket within everybody's reach
  local inside=''
  clear_up() {
    trap - EXIT
    [ -z "$inside" ] || kill -KILL "$inside" 2>/dev/null || true
    [ -z "$inside" ] || wait "$inside" 2>/dev/null || true
    if $keep; then echo "logs: $state"; else rm -rf "$state"; fi
  }
  trap clear_up EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
  # Killed with this shell, and with it the namespace; in the background, so that this shell hears signals.
  setpriv --pdeathsig KILL unshare "${namespaces[@]}" \
    "$self" --inside "$state" "$nodes" "$cpus" "$gpus" "$@" &
  inside=$!
  local status=0
  wait "$inside" || status=$?
  inside=''
  exit "$status"
}

# ---- inside ---------------------------------------------------------------------------------------

node_names() { seq --format='n%g' 1 "$nodes"; }

# until_true SECONDS COMMAND...
until_true() {
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$end" ] || return 1
    sleep 0.1
  done
}

write_settings() {
  local node port=7001 gres=''
  [ "$gpus" -eq 0 ] || gres=" Gres=gpu:$gpus"
  # Where ranks of one node share files, and their names hold no node: a folder for each.
  for node in $(node_names); do mkdir -p "$state/spool/$node" "$state/tmp/$node"; done
  {
    cat <<CONF
ClusterName=weft
SlurmctldHost=control(127.0.0.1)
SlurmctldPort=7000
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
# cred_expire is also how long a requeued job waits before it starts again; the default is 120 s.
AuthInfo=socket=$state/munge.socket,cred_expire=5
StateSaveLocation=$state/control
SlurmdSpoolDir=$state/spool/%n
TmpFS=$state/tmp/%n
SlurmctldPidFile=$state/slurmctld.pid
SlurmdPidFile=$state/slurmd.%n.pid
SlurmctldLogFile=$state/slurmctld.log
SlurmdLogFile=$state/slurmd.%n.log
# No cgroups, no accounting, no mail.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
MailProg=/bin/true
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=2,sched_min_interval=0,bf_interval=2
SlurmdParameters=config_overrides
MpiDefault=none
JobRequeue=1
ReturnToService=2
KillWait=5
MinJobAge=3600
# A crashed node is noticed after so many seconds; the default is 300.
SlurmdTimeout=10
UnkillableStepTimeout=30
CONF
    [ "$gpus" -eq 0 ] || echo GresTypes=gpu
    for node in $(node_names); do
      echo "NodeName=$node NodeHostname=$node NodeAddr=127.0.0.1 Port=$port CPUs=$cpus State=UNKNOWN$gres"
      port=$((port + 1))
    done
    echo "PartitionName=all Nodes=n[1-$nodes] Default=YES MaxTime=INFINITE State=UP"
  } >"$state/slurm.conf"
  if [ "$gpus" -gt 0 ]; then
    local i
    mkdir "$state/dev"
    for ((i = 0; i < gpus; i++)); do ln -s /dev/null "$state/dev/gpu$i"; done
    echo "Name=gpu Count=$gpus File=$state/dev/gpu[0-$((gpus - 1))]" >"$state/gres.conf"
  fi
  # Later releases want a cgroup hierarchy unless told otherwise.
  if [ "$(slurmd -V | sed 's/^[^0-9]*\([0-9]*\).*/\1/')" -ge 23 ]; then
    echo "CgroupPlugin=disabled" >"$state/cgroup.conf"
  fi
}

daemon() {  # NAME COMMAND...: with a clean environment, its output in a log
  local name="$1"
  shift
  env -i PATH="$PATH" SLURM_CONF="$SLURM_CONF" setsid "$@" </dev/null >>"$state/$name.out" 2>&1 &
  disown
}

start_node() {  # as a host with a name of its own, by which all its processes can be found
  # shellcheck disable=SC2016
  daemon "slurmd.$1" unshare --uts sh -c 'hostname "$0"; readlink /proc/self/ns/uts >"$1"; exec slurmd -D -N "$0"' \
    "$1" "$state/$1.namespace"
}

nodes_ready() {
  local states
  states="$(sinfo --noheader --Node --format=%T)" && [ -n "$states" ] &&
    ! grep -qvxE 'idle|mixed|allocated|completing' <<<"$states"
}

crash() {
  local process namespace ids=()
  namespace="$(<"$state/$1.namespace")"
  for process in /proc/[0-9]*; do
    [ "$(readlink "$process/ns/uts" 2>/dev/null)" != "$namespace" ] || ids+=("${process#/proc/}")
  done
  [ "${#ids[@]}" -eq 0 ] || kill -KILL "${ids[@]}" 2>/dev/null || true
}

give_up() {
  tail --lines=3 "$state"/*.out "$state"/*.log 2>/dev/null || true
  skip "$*"
}

run_inside() {
  # Shared memory and scratch files of killed jobs go with the namespace.
  mount -t tmpfs weft-shm /dev/shm
  mkdir "$state/scratch"
  # The resolver answers only where there is an address besides loopback's.
  ip link set lo up
  ip address add 192.0.2.1/32 dev lo
  hostname control

  (umask 077 && head -c 1024 /dev/urandom >"$state/munge.key")
  daemon munged munged --foreground --key-file="$state/munge.key" --socket="$state/munge.socket" \
    --pid-file="$state/munged.pid" --seed-file="$state/munge.seed" --log-file="$state/munged.log"
  until_true 10 munge --no-input --socket="$state/munge.socket" || give_up "munged did not start"
  mkdir "$state/control"
  write_settings
  daemon slurmctld slurmctld -D -i
  until_true 20 scontrol ping || give_up "slurmctld did not start"
  local node
  for node in $(node_names); do start_node "$node"; done
  until_true 30 nodes_ready || give_up "the nodes did not come up"

  # Open MPI leaves loopback out by default, and refuses root.
  export OMPI_MCA_btl_tcp_if_include=lo OMPI_MCA_oob_tcp_if_include=lo
  export OMPI_MCA_orte_tmpdir_base="$state/scratch"
  export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
  # All nodes share the processors of this machine: whoever waits lets others run.
  export OMPI_MCA_mpi_yield_when_idle=1 OMPI_MCA_btl_vader_single_copy_mechanism=none
  local status=0
  "$@" || status=$?
  exit "$status"
}

# ---- command line ---------------------------------------------------------------------------------

nodes=2 cpus=4 gpus=0 keep=false
case "${1:-}" in
  --inside)
    state="$2" nodes="$3" cpus="$4" gpus="$5"
    shift 5
    export WEFT_TEST_CLUSTER="$state" SLURM_CONF="$state/slurm.conf"
    run_inside "$@"
    ;;
  --crash | --boot)
    state="${WEFT_TEST_CLUSTER:?only within a COMMAND of cluster.sh}"
    if [ "$1" = --crash ]; then crash "$2"; else start_node "$2"; fi
    exit
    ;;
esac
while true; do
  case "${1:-}" in
    --nodes) nodes="$2"; shift 2 ;;
    --cpus) cpus="$2"; shift 2 ;;
    --gpus) gpus="$2"; shift 2 ;;
    --keep) keep=true; shift ;;
    -h | --help) usage; exit 0 ;;
    -* | '') usage >&2; exit 2 ;;
    *) break ;;
  esac
done
start_outside "$@"
