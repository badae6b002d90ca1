#!/usr/bin/env bash
# The batch scripts of jobs/ on a real Slurm with virtual nodes: one line a check.
# shellcheck disable=SC2317  # checks are called by name
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: tests/slurm/run.sh WEFT [CHECK...]

Submits the scripts of jobs/ with the program WEFT and models/weft-mini to a Slurm that it starts on this
machine (tests/slurm/cluster.sh), and checks what comes of it. Without names, all checks. Exits with 1
when one failed, with 77 and the reason where no Slurm can be started. WEFT_SLURM_KEEP=1 keeps the logs.
TEXT
}

case "${1:-}" in
  '' | -*) usage; [ "${1:-}" = --help ] && exit 0 || exit 2 ;;
esac
here="$(dirname "$(realpath "${BASH_SOURCE[0]}")")"
jobs="$(realpath "$here/../../jobs")"
model="$(realpath "$here/../../models/weft-mini")"
cluster="$here/cluster.sh"
if [ -z "${WEFT_TEST_CLUSTER:-}" ]; then
  weft="$(realpath "$1")"
  shift
  keep=()
  [ "${WEFT_SLURM_KEEP:-0}" = 0 ] || keep=(--keep)
  exec "$cluster" --nodes 8 --cpus 16 --gpus 2 "${keep[@]}" "${BASH_SOURCE[0]}" "$weft" "$@"
fi

weft="$1"
shift
work="$WEFT_TEST_CLUSTER/work"
mkdir "$work"
cd "$work"
export WEFT="$weft" MODEL="$model" PROMPT="a rocket rises, the night sky" OMP_NUM_THREADS=1
export WEFT_JOBS='' LAUNCHER='' RANKS_PER_NODE='' BIND='' MAX_RESTARTS='' WEFT_MODULES=''

# ---- helpers --------------------------------------------------------------------------------------

# Nodes by what happens to them, so that checks can run at the same time.
quiet_nodes='--exclude=n[3-8]'
crash_nodes='--exclude=n[1-2,6-8]'
down_nodes='--exclude=n[1-5]'

# Two windows, so that 1 and 2 ranks draw the same bytes.
small=(--steps 8 --no-metadata)
medium=(--width 192 --steps 30 --checkpoint-every 1s --no-metadata)
long=(--width 192 --steps 60 --checkpoint-every 1s --no-metadata)

submit() {  # LOG sbatch-arguments...: prints the job's number
  local log="$1"
  shift
  sbatch --parsable --output="$work/$log" "$@"
}
state_of() { scontrol --oneliner show job "$1" | sed 's/.* JobState=\([A-Z_]*\).*/\1/'; }
restarts_of() { scontrol --oneliner show job "$1" | sed 's/.* Restarts=\([0-9]*\).*/\1/'; }
exit_of() { scontrol --oneliner show job "$1" | sed 's/.* ExitCode=\([0-9]*:[0-9]*\).*/\1/'; }

within() {  # SECONDS COMMAND...
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$end" ] || { echo "not within its time: $*"; return 1; }
    sleep 0.2
  done
}
has() { grep --quiet --extended-regexp -e "$2" "$work/$1" || { echo "$1 has no line with: $2"; return 1; }; }
ended() { [[ "$(state_of "$1")" =~ ^(COMPLETED|FAILED|CANCELLED|TIMEOUT|NODE_FAIL|OUT_OF_MEMORY)$ ]]; }
ends_as() {  # JOB STATE SECONDS
  within "$3" ended "$1" && expect "state of job $1" "$(state_of "$1")" "$2"
}
expect() { [ "$2" = "$3" ] || { echo "$1: $2, expected $3"; return 1; }; }
at_least() { [ "$2" -ge "$3" ] || { echo "$1: $2, expected at least $3"; return 1; }; }
expect_files() { ls "$@"; }
same() { cmp "$1" "$2"; }

# An undisturbed run without Slurm, on one rank.
reference() {  # FILE ARGUMENTS...
  local clip="$1"
  shift
  "$weft" render --model "$MODEL" --prompt "$PROMPT" --threads 1 --record none --quiet "$@" --output "$clip.part.mp4" &&
    mv "$clip.part.mp4" "$clip"
}
has_reference() { within 150 test -e "$1"; }

# ---- checks ---------------------------------------------------------------------------------------
# Every check runs in a shell of its own with its output in a file.

# Catches options that Slurm does not know, and headers that ask for what no node has.
check_accepted() {
  local script
  for script in render batch array sweep scaling; do
    sbatch --test-only "$jobs/$script.sbatch"
  done
}

check_two_nodes_mpirun() {
  local job
  job="$(submit two.log "$quiet_nodes" --nodes=2 --ntasks-per-node=1 "$jobs/render.sbatch" "${medium[@]}" --output two.mp4)"
  ends_as "$job" COMPLETED 120
  has two.log '2 windows on 2 ranks'
  has_reference medium.mp4
  same two.mp4 medium.mp4
}

check_two_nodes_srun() {
  local job
  job="$(LAUNCHER="srun --mpi=pmix" submit srun.log "$quiet_nodes" --nodes=2 --ntasks-per-node=1 \
    "$jobs/render.sbatch" "${small[@]}" --output srun.mp4)"
  ends_as "$job" COMPLETED 120
  has srun.log 'on 2 ranks'
  has_reference small.mp4
  same srun.mp4 small.mp4
}

# Four tasks are asked for and two GPUs a node: the GPUs count.
check_rank_per_gpu() {
  local job
  job="$(submit gpus.log "$quiet_nodes" --nodes=2 --ntasks-per-node=1 --gpus-per-node=2 "$jobs/render.sbatch" \
    "${small[@]}" --output gpus.mp4)"
  ends_as "$job" COMPLETED 120
  has gpus.log 'on 4 ranks'
}

# A script's copy in the spool folder finds launch.sh through WEFT_JOBS, and a program on PATH.
check_program_on_path() {
  local job
  mkdir bin elsewhere
  ln -s "$weft" bin/weft
  cp "$jobs/render.sbatch" elsewhere/mine.sh
  job="$(PATH="$work/bin:$PATH" WEFT='' WEFT_JOBS="$jobs" submit path.log "$quiet_nodes" --ntasks-per-node=1 \
    elsewhere/mine.sh "${small[@]}" --output path.mp4)"
  ends_as "$job" COMPLETED 120
}

# slurmctld looks every 30 s, from 29 s after its start on, which jobs to warn, and warns up to a minute
# early: here at its first look at the job. This waits until the next one is 7 s away.
wait_for_look() {
  local start
  start="$(sed --quiet '1s/^\[\([^]]*\)\].*/\1/p' "$WEFT_TEST_CLUSTER/slurmctld.log")"
  start="$(date --date="$start" +%s)"
  until [ $((($(date +%s) - start) % 30)) -eq 22 ]; do sleep 0.2; done
}

# With the shipped warning, 90 s before a limit of 2 min: stops, is requeued, goes on, the same bytes.
check_time_limit() {
  local job
  wait_for_look
  job="$(submit limit.log "$quiet_nodes" --time=2 --ntasks-per-node=1 "$jobs/render.sbatch" "${long[@]}" --output limit.mp4)"
  within 120 has limit.log 'requeued: restart 1'
  scontrol update JobId="$job" TimeLimit=10  # the second run may finish
  ends_as "$job" COMPLETED 180
  has limit.log 'stopped with a checkpoint \(75\)'
  has limit.log 'going on after step'
  has_reference long.mp4
  same limit.mp4 long.mp4
}

check_bad_input_is_not_requeued() {
  local job
  job="$(submit bad.log "$quiet_nodes" --ntasks-per-node=1 "$jobs/render.sbatch" --steps 0 --output bad.mp4)"
  ends_as "$job" FAILED 60
  expect 'exit code' "$(exit_of "$job")" 2:0
  expect restarts "$(restarts_of "$job")" 0
  [ ! -e bad.mp4 ]
}

# A time limit of the program that leaves one step a run: stops for good after MAX_RESTARTS.
check_restart_cap() {
  local job
  job="$(MAX_RESTARTS=1 submit cap.log "$quiet_nodes" --ntasks-per-node=1 "$jobs/render.sbatch" "${medium[@]}" \
    --time-limit 1s --output cap.mp4)"
  ends_as "$job" FAILED 90
  expect 'exit code' "$(exit_of "$job")" 75:0
  expect restarts "$(restarts_of "$job")" 1
  has cap.log 'not requeued: 1 restarts, MAX_RESTARTS=1'
}

# SIGKILL as from the kernel when memory runs out.
check_killed_rank() {
  local job
  job="$(submit killed.log "$quiet_nodes" --nodes=2 --ntasks-per-node=1 "$jobs/render.sbatch" "${medium[@]}" \
    --output "$work/killed.mp4")"
  within 60 compgen -G 'killed.weft/*.h5'
  kill -KILL "$(pgrep --newest --full "^[^ ]*weft[^ ]* render .*--output $work/killed.mp4")"
  ends_as "$job" COMPLETED 150
  at_least restarts "$(restarts_of "$job")" 1
  has_reference medium.mp4
  same killed.mp4 medium.mp4
}

# The node that does not run the script loses its power: mpirun ends long before Slurm knows.
check_crashed_node() {
  local job
  job="$(submit crash.log "$crash_nodes" --nodes=2 --ntasks-per-node=1 "$jobs/render.sbatch" "${medium[@]}" --output crash.mp4)"
  within 60 has crash.log '2 windows on 2 ranks'
  "$cluster" --crash n4
  ends_as "$job" COMPLETED 200
  at_least restarts "$(restarts_of "$job")" 1
  has_reference medium.mp4
  same crash.mp4 medium.mp4
}

# The node that runs the script is taken down by an administrator: Slurm requeues.
check_downed_node() {
  local job
  job="$(submit down.log "$down_nodes" --nodes=2 --ntasks-per-node=1 "$jobs/render.sbatch" "${medium[@]}" --output down.mp4)"
  within 60 has down.log '2 windows on 2 ranks'
  scontrol update NodeName=n6 State=DOWN Reason=test
  ends_as "$job" COMPLETED 150
  at_least restarts "$(restarts_of "$job")" 1
  has_reference medium.mp4
  same down.mp4 medium.mp4
}

all_of_array() {  # JOB TASKS STATE: whether so many tasks are in that state
  [ "$(scontrol --oneliner show job "$1" | grep --count " JobState=$3 ")" -eq "$2" ]
}

write_list() {  # FILE JOBS STEPS
  local i
  {
    echo "id,model,prompt,seed,steps,metadata"
    for ((i = 1; i <= $2; i++)); do echo "job$i,$MODEL,a rocket rises,$i,$3,false"; done
  } >"$1"
}

check_array_shares_batch() {
  local job i
  write_list six.csv 6 8
  job="$(LIST=six.csv OUTPUT=six submit 'six-%a.log' "$quiet_nodes" --array=0-2 --ntasks-per-node=1 "$jobs/array.sbatch")"
  within 120 all_of_array "$job" 3 COMPLETED
  for ((i = 1; i <= 6; i++)); do expect_files "six/jobs/job$i"/{clip.mp4,done}; done
  # Nobody took a job from a task that was at work on it.
  if compgen -G 'six/jobs/*/attempts'; then return 1; fi
  "$weft" batch --status six
}

# Three tasks, three jobs; one task is cancelled midway: another takes its job over.
check_cancelled_task() {
  local job i
  write_list three.csv 3 30
  job="$(LIST=three.csv OUTPUT=three submit 'three-%a.log' "$quiet_nodes" --array=0-2 --ntasks-per-node=1 "$jobs/array.sbatch" --checkpoint-every 1s)"
  for i in 0 1 2; do within 60 has "three-$i.log" '1 window on 1 rank'; done
  scancel "${job}_1"
  within 150 all_of_array "$job" 2 COMPLETED
  expect 'state of the cancelled task' "$(state_of "${job}_1")" CANCELLED
  for ((i = 1; i <= 3; i++)); do expect_files "three/jobs/job$i/done"; done
  reference three-2.mp4 --prompt "a rocket rises" --seed 2 --steps 30 --no-metadata
  same three/jobs/job2/clip.mp4 three-2.mp4
}

check_batch() {
  local job
  write_list two.csv 2 8
  job="$(LIST=two.csv submit batch.log "$quiet_nodes" --nodes=2 --ntasks-per-node=1 "$jobs/batch.sbatch" --ranks-per-job 1)"
  ends_as "$job" COMPLETED 120
  expect_files two/jobs/job{1,2}/clip.mp4
}

check_sweep() {
  local job
  printf '[base]\nmodel = "%s"\nprompt = "a rocket rises"\nsteps = 4\n[sweep]\nseed = [1, 2]\n' "$MODEL" >seeds.toml
  job="$(SWEEP=seeds.toml submit sweep.log "$quiet_nodes" --ntasks-per-node=1 "$jobs/sweep.sbatch")"
  ends_as "$job" COMPLETED 120
  [ "$(find seeds -name clip.mp4 | wc -l)" -eq 2 ]
}

check_scaling() {
  local job
  job="$(OUTPUT=scaling REPEATS=2 submit scaling.log "$quiet_nodes" --ntasks-per-node=2 "$jobs/scaling.sbatch" "${small[@]}")"
  ends_as "$job" COMPLETED 120
  expect records "$(cd scaling && echo *.h5)" \
    "ranks1-run1.record.h5 ranks1-run2.record.h5 ranks2-run1.record.h5 ranks2-run2.record.h5"
}

# ---- running them ---------------------------------------------------------------------------------

failed="$work/failed"
run_check() {
  local name="$1" begin=$SECONDS
  # Not as the condition itself: there, a failing command in a check would not end it.
  (set -e; "check_$name") >"$work/$name.out" 2>&1 &
  if wait $!; then
    printf '%-28s ok     %4d s\n' "$name" $((SECONDS - begin))
  else
    printf '%-28s FAILED %4d s\n' "$name" $((SECONDS - begin))
    echo "$name" >>"$failed"
  fi
}
together() {  # checks at the same time
  local name running=()
  for name in "$@"; do
    run_check "$name" &
    running+=($!)
  done
  wait "${running[@]}"
}

draw_references() {
  reference small.mp4 "${small[@]}"
  reference medium.mp4 "${medium[@]}"
  reference long.mp4 "${long[@]}"
}

# What runs at the same time; the first group waits more than it computes.
groups=(
  "time_limit accepted bad_input_is_not_requeued restart_cap crashed_node downed_node killed_rank"
  "two_nodes_mpirun two_nodes_srun rank_per_gpu program_on_path array_shares_batch cancelled_task"
  "batch sweep scaling"
)
[ $# -eq 0 ] || groups=("$*")
begin=$SECONDS
draw_references >references.out 2>&1 &
drawing=$!
for group in "${groups[@]}"; do
  read -r -a checks <<<"$group"
  together "${checks[@]}"
done
wait "$drawing" || echo references >>"$failed"

if [ -e "$failed" ]; then
  while read -r name; do
    echo "---- $name"
    tail --lines=20 "$work/$name.out"
  done <"$failed"
  for log in "$work"/*.log; do
    echo "---- ${log##*/}"
    grep --invert-match '^$' "$log" | tail --lines=25
  done
fi
count=0
[ ! -e "$failed" ] || count="$(wc --lines <"$failed")"
echo "$((SECONDS - begin)) s, $count failed"
[ "$count" -eq 0 ]
