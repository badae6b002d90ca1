# shellcheck shell=bash
# What the batch scripts of this folder share; they source it from the folder $jobs. After it:
#
#   weft_run ARGUMENT...           the program on all ranks of the allocation
#   weft_run_on RANKS ARGUMENT...  on so many of them
#   weft_end STATUS                requeues the job or not, and exits
#
# Variables that a user may set (jobs/README.md tells more):
WEFT="${WEFT:-weft}"                     # the program: on PATH, a path, or a command with words
WEFT_MODULES="${WEFT_MODULES:-}"         # modules to load first
LAUNCHER="${LAUNCHER:-mpirun}"           # or "srun --mpi=pmix"; further words are passed on
RANKS_PER_NODE="${RANKS_PER_NODE:-}"     # default: one per GPU; without GPUs one per task
BIND="${BIND:-none}"                     # or core: each rank on processors of its own
MAX_RESTARTS="${MAX_RESTARTS:-10}"       # then the job is left to a person

# ---- signals --------------------------------------------------------------------------------------
# SIGUSR1 is the warning before the time limit, SIGTERM the end (scancel, preemption, the limit itself).
# SIGCONT must not be trapped: Slurm sends it along with every other signal, and bash then loses one of two.
weft_warned=false
weft_ended=false
weft_interrupted=false
weft_launcher=
weft_on_warning() {
  weft_warned=true
  weft_interrupted=true
  # Slurm warns this shell only. The launcher passes the signal on to the ranks of all nodes.
  [ -z "$weft_launcher" ] || kill -USR1 "$weft_launcher" 2>/dev/null || true
}
weft_on_end() {
  weft_ended=true
  weft_interrupted=true  # launcher and ranks get this one from Slurm themselves
}
trap weft_on_warning USR1
trap weft_on_end TERM

weft_say() { printf '%s  %s\n' "$(date '+%F %T')" "$*"; }

# ---- the allocation -------------------------------------------------------------------------------

weft_load_modules() {
  [ -n "$WEFT_MODULES" ] || return 0
  if ! type module >/dev/null 2>&1; then
    local init
    for init in "${LMOD_PKG:-}/init/bash" "${MODULESHOME:-}/init/bash" /etc/profile.d/{lmod,modules}.sh; do
      # shellcheck disable=SC1090
      if [ -r "$init" ]; then . "$init" && break; fi
    done
  fi
  local modules
  read -r -a modules <<<"$WEFT_MODULES"
  if ! module load "${modules[@]}"; then
    weft_say "WEFT_MODULES: \"$WEFT_MODULES\" could not be loaded"
    exit 2
  fi
}

# The name by which Slurm knows this job alone: the plain number of an array's last task is that of
# the whole array.
weft_job_name() {
  if [ -n "${SLURM_ARRAY_JOB_ID:-}" ]; then
    echo "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"
  else
    echo "${SLURM_JOB_ID:-}"
  fi
}

# The program stops in time by itself where it knows when the job ends; not every Slurm tells.
weft_find_end_time() {
  [ -z "${SLURM_JOB_END_TIME:-}" ] && [ -n "${SLURM_JOB_ID:-}" ] || return 0
  local end
  end="$(squeue --noheader --job "$(weft_job_name)" --format=%e 2>/dev/null)" || return 0
  if [[ "$end" == *T* ]] && end="$(date --date="$end" +%s 2>/dev/null)"; then
    export SLURM_JOB_END_TIME="$end"
  fi
}

# Sets weft_nodes, weft_ranks, weft_threads (a rank's), weft_gpus (a node's) and weft_per_node: ranks
# of a node, empty when Slurm's tasks already say it.
weft_measure() {
  weft_nodes="${SLURM_JOB_NUM_NODES:-1}"
  weft_gpus="${SLURM_GPUS_ON_NODE:-0}"
  weft_ranks="${SLURM_NTASKS:-$weft_nodes}"
  weft_per_node="$RANKS_PER_NODE"
  [ -n "$weft_per_node" ] || [ "$weft_gpus" -eq 0 ] || weft_per_node="$weft_gpus"
  if [ -z "${SLURM_JOB_ID:-}" ]; then weft_per_node="${weft_per_node:-1}"; fi
  local tasks="${SLURM_TASKS_PER_NODE:-1}"
  local here="${weft_per_node:-${tasks%%[(,]*}}"  # "4(x2),2": 4
  [ -z "$weft_per_node" ] || weft_ranks=$((weft_nodes * weft_per_node))
  weft_threads=$((${SLURM_CPUS_ON_NODE:-$(nproc)} / here))
  weft_threads="${SLURM_CPUS_PER_TASK:-$weft_threads}"
  [ "$weft_threads" -ge 1 ] || weft_threads=1
}

weft_print() {
  weft_say "job $(weft_job_name) (${SLURM_JOB_NAME:-no Slurm}), restart ${SLURM_RESTART_COUNT:-0}," \
    "on $weft_nodes nodes: ${SLURM_JOB_NODELIST:-$(hostname)}"
  [ -z "${SLURM_JOB_END_TIME:-}" ] || echo "  until     $(date --date="@$SLURM_JOB_END_TIME" '+%F %T')"
  echo "  ranks     $weft_ranks, threads each $weft_threads, GPUs a node $weft_gpus, bound to $BIND"
  if [ "$weft_gpus" -gt 0 ] && command -v nvidia-smi >/dev/null; then
    nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader | sed 's/^/  GPU       /' || true
  fi
  echo "  launcher  ${weft_launcher_words[*]} ($("${weft_launcher_words[0]}" --version 2>&1 | head -n 1))"
  echo "  program   ${weft_words[*]} ($("${weft_words[@]}" --version 2>&1 | head -n 1))"
  [ -z "${SLURM_JOB_ID:-}" ] || echo "  scheduler $(scontrol --version 2>/dev/null)"
}

weft_begin() {
  weft_load_modules
  if [ -x "$WEFT" ]; then weft_words=("$WEFT"); else read -r -a weft_words <<<"$WEFT"; fi
  read -r -a weft_launcher_words <<<"$LAUNCHER"
  local word
  for word in "${weft_words[0]}" "${weft_launcher_words[0]}"; do
    if ! command -v "$word" >/dev/null; then
      weft_say "$word: no such program; WEFT and LAUNCHER name them, WEFT_MODULES the modules that bring them"
      exit 2
    fi
  done
  if [[ "$BIND" != none && "$BIND" != core ]]; then
    weft_say "BIND=$BIND: expected none or core"
    exit 2
  fi
  if [ -n "${SLURM_GPUS_PER_TASK:-}" ] && [[ "${weft_launcher_words[0]}" == *mpirun ]]; then
    weft_say "--gpus-per-task leaves ranks under mpirun without their GPU: use --gpus-per-node"
    exit 2
  fi
  # Outside Slurm, for a try on a workstation.
  # shellcheck source=jobs/env.sh disable=SC2154
  [ -n "${SLURM_JOB_ID:-}" ] || . "$jobs/env.sh"
  weft_find_end_time
  weft_measure
  weft_print
}

# ---- running --------------------------------------------------------------------------------------

# Sets weft_command: the launcher and its flags for RANKS ranks (empty: as the allocation has it).
weft_command_for() {
  local ranks="$1"
  weft_command=("${weft_launcher_words[@]}")
  if [[ "${weft_launcher_words[0]##*/}" == srun ]]; then
    # -K: otherwise the ranks of other nodes outlive one that died.
    weft_command+=(--kill-on-bad-exit=1 "--cpu-bind=${BIND/%core/cores}")
    [ -z "${SLURM_CPUS_PER_TASK:-}" ] || weft_command+=("--cpus-per-task=$SLURM_CPUS_PER_TASK")
    if [ -n "$ranks" ]; then
      local nodes=$(((ranks * weft_nodes + weft_ranks - 1) / weft_ranks))
      weft_command+=("--nodes=$nodes" "--ntasks=$ranks")
    fi
    if [ -n "$weft_per_node" ]; then
      [ -n "$ranks" ] || weft_command+=("--ntasks=$weft_ranks")
      weft_command+=("--ntasks-per-node=$weft_per_node")
    fi
    # Slurm counts tasks, which may be fewer than ranks.
    [ "$weft_ranks" -le "${SLURM_NTASKS:-$weft_ranks}" ] || weft_command+=(--overcommit)
    return
  fi
  [ -z "$ranks" ] || weft_command+=(-n "$ranks")
  local place=slot
  if [ -n "$weft_per_node" ]; then
    place="ppr:$weft_per_node:node"
    [ -n "$ranks" ] || weft_command+=(-n "$weft_ranks")
    [ "$weft_ranks" -le "${SLURM_NTASKS:-$weft_ranks}" ] || weft_command+=(--oversubscribe)
  fi
  if [ "$BIND" = core ]; then
    weft_command+=(--map-by "$place:PE=$weft_threads" --bind-to core)
  else
    weft_command+=(--map-by "$place" --bind-to none)
  fi
}

weft_run_on() {
  local ranks="$1" status='' code
  shift
  # Warned or ended before it began: there is nothing to save.
  if $weft_warned || $weft_ended; then return 75; fi
  weft_command_for "$ranks"
  weft_say "${weft_command[*]} ${weft_words[*]} $*"
  # In the background, as bash runs traps only between commands, and in `wait`.
  "${weft_command[@]}" "${weft_words[@]}" "$@" &
  weft_launcher=$!
  while true; do
    weft_interrupted=false
    code=0
    wait "$weft_launcher" || code=$?
    # 127 after another code: the wait before this one had its status already.
    [ -n "$status" ] && [ "$code" -eq 127 ] || status=$code
    $weft_interrupted || break
  done
  weft_launcher=
  return "$status"
}
weft_run() { weft_run_on '' "$@"; }

# ---- the end --------------------------------------------------------------------------------------

# weft_may_requeue STATUS: whether running the same again would get further; says what happened.
weft_may_requeue() {
  local status="$1"
  if [ "$status" -ne 0 ] && $weft_ended; then
    if [ "$(date +%s)" -lt $((${SLURM_JOB_END_TIME:-0} - 5)) ]; then
      # scancel, preemption or scontrol requeue: in the latter two Slurm itself starts it again.
      weft_say "ended from outside ($status); the same again goes on from the last checkpoint"
      return 1
    fi
    weft_say "ended by the time limit ($status); going on from the last checkpoint"
  else
    case "$status" in
      0) weft_say "done"; return 1 ;;
      1) weft_say "failed (1): see above; the same would fail again"; return 1 ;;
      2) weft_say "bad input (2): see above; nothing was rendered"; return 1 ;;
      75) weft_say "stopped with a checkpoint (75)" ;;
      126 | 127) weft_say "the program could not be started ($status): see above"; return 1 ;;
      # 128 + signal: a rank or the launcher was killed (137: perhaps for its memory). Other codes are
      # the launcher's own: a node that is lost ends it long before Slurm notices.
      *) weft_say "a rank, its node or the launcher was lost ($status)" ;;
    esac
  fi
  if [ -z "${SLURM_JOB_ID:-}" ] || [ "${SLURM_RESTART_COUNT:-0}" -ge "$MAX_RESTARTS" ]; then
    weft_say "not requeued: ${SLURM_RESTART_COUNT:-0} restarts, MAX_RESTARTS=$MAX_RESTARTS; submit the same again to go on"
    return 1
  fi
}

weft_end() {
  if weft_may_requeue "$1"; then
    if scontrol requeue "$(weft_job_name)"; then
      weft_say "requeued: restart $((${SLURM_RESTART_COUNT:-0} + 1)) of at most $MAX_RESTARTS"
    else
      weft_say "scontrol requeue was refused (is the job --no-requeue?): submit the same again to go on"
    fi
  fi
  exit "$1"
}

weft_begin
