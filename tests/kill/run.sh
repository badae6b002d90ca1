#!/usr/bin/env bash
# Kills renders in every stage and compares what the next runs make with an undisturbed clip.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: tests/kill/run.sh WEFT KILLS [SEED]

Renders a small clip with the bundled model again and again on 1 to 4 ranks. Each run is killed (SIGKILL: a random
rank, mpirun, or all of its processes) at a random moment of a stage, the stages in turn, and the same command is
started again, mostly on another number of ranks; what is not killed in time is finished. Every finished clip is compared
with an undisturbed one, byte by byte, and nothing may be left beside it; no process may outlive its job by 30 s.
Prints a table of kills by the stage in which they struck, with VERBOSE=1 a line for each. Exits with 1 when anything is not as it should be.
TEXT
}
case "${1:-}" in
  "" | -h | --help) usage; exit 2 ;;
esac
weft="$(realpath "$1")"
kills="$2"
RANDOM="${3:-1}"
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
model="$PWD/models/weft-mini"
# shellcheck source=jobs/env.sh
. jobs/env.sh
work="$(mktemp -d)"
out="$work/out"
mkdir "$out"
mpirun_pid=
ranks=()
kill_all() { kill -KILL $mpirun_pid "${ranks[@]}" 2>/dev/null || true; }
trap 'kill_all; rm -rf "$work"' EXIT

stages=(load encode_text denoise decode encode_video)
now() { local t="$EPOCHREALTIME"; echo "${t/[.,]/}"; }  # microseconds

# ---- one run ---------------------------------------------------------------------------------------

# Starts a run; its lines are read from descriptor $lines. $stage is what rank 0 has begun last.
start() {  # RANKS FILE
  local words=(mpirun -n "$1" "$weft" render --model "$model" --prompt "a panda bounces on a meadow" --steps 12
    --width 256 --threads 1 --checkpoint-every 1s --no-metadata --record none --verbose -o "$2")
  stage=none
  begun=0
  step=0
  resumed=0
  ranks=()
  exec {lines}< <(exec "${words[@]}" 2>&1)
  mpirun_pid=$!
}
# Reads a line within so many microseconds; false when there is none. Leaves the time of reading in $begun when a
# stage begins.
next_line() {
  local line seconds
  printf -v seconds '%d.%06d' $(($1 / 1000000)) $(($1 % 1000000))
  read -r -t "$seconds" -u "$lines" line || return 1
  printf '%s\n' "$line" >>"$work/log"
  if [[ "$line" =~ debug\ (rank\ 0:\ )?(load|encode_text|denoise|decode|encode_video): ]]; then
    [ "$stage" = "${BASH_REMATCH[2]}" ] || begun="$(now)"
    stage="${BASH_REMATCH[2]}"
  fi
  if [[ "$line" =~ denoise:\ step\ ([0-9]+), ]]; then step="${BASH_REMATCH[1]}"; fi
  if [[ "$line" =~ going\ on\ after\ step\ ([0-9]+) ]]; then resumed="${BASH_REMATCH[1]}"; fi
}
runs() { [ -e "/proc/$1/stat" ] && [[ "$(<"/proc/$1/stat")" != *") Z "* ]] 2>/dev/null; }
# Waits for the end of the run and of all its processes. Gives the exit code of mpirun.
end() {
  local code=0 pid until
  while next_line 120000000; do :; done
  exec {lines}<&-
  wait "$mpirun_pid" || code=$?
  until=$((SECONDS + 30))
  for pid in "${ranks[@]}"; do
    while runs "$pid"; do
      if [ "$SECONDS" -ge "$until" ]; then
        echo "process $pid outlived its job"
        wrong=$((wrong + 1))
        break
      fi
      sleep 0.02
    done
  done
  mpirun_pid=
  ranks=()
  return "$code"
}

# ---- an undisturbed run, and how long each stage of it takes ---------------------------------------------

wrong=0
declare -A length=()
start 1 "$work/reference.mp4"
before=none
since=0
while next_line 120000000; do
  if [ "$stage" != "$before" ]; then
    [ "$before" = none ] || length[$before]=$((${length[$before]:-0} + begun - since))
    before="$stage"
    since="$begun"
  fi
done
length[$before]=$((${length[$before]:-0} + $(now) - since))
wait "$mpirun_pid" || { tail "$work/log"; exit 1; }
exec {lines}<&-
if [ ! -e "$work/reference.mp4" ] || [ "${#length[@]}" -ne "${#stages[@]}" ]; then
  echo "no undisturbed run"
  exit 1
fi

# ---- kills -------------------------------------------------------------------------------------------

declare -A struck=() victims=()
done_kills=0
clips=0
redone=0
reached=0  # steps that earlier runs of this clip have begun
while [ "$done_kills" -lt "$kills" ]; do
  : >"$work/log"
  count=$((RANDOM % 4 + 1))
  start "$count" "$out/clip.mp4"
  target="${stages[$((done_kills % ${#stages[@]}))]}"
  # Models are loaded three times in a run: any of them.
  skip=0
  [ "$target" != load ] || skip=$((RANDOM % 3))
  found=false
  previous=none
  while next_line 60000000; do
    if [ "$stage" != "$previous" ] && [ "$stage" = "$target" ]; then
      if [ "$skip" -eq 0 ]; then
        found=true
        break
      fi
      skip=$((skip - 1))
    fi
    previous="$stage"
  done
  killed=false
  if $found; then
    mapfile -t ranks < <(pgrep --parent "$mpirun_pid")
    delay=$((${length[$target]} * (RANDOM % 1000) / 1000))
    # Its length is that of all three; and that of the last stage reaches to the end of the processes.
    [[ "$target" != load && "$target" != encode_video ]] || delay=$((delay / 3))
    at=$((begun + delay))
    while left=$((at - $(now))) && [ "$left" -gt 0 ] && next_line "$left"; do :; done
    case $((RANDOM % 3)) in
      0) victim="a rank"; pids=("${ranks[$((RANDOM % ${#ranks[@]}))]}") ;;
      1) victim=mpirun; pids=("$mpirun_pid") ;;
      2) victim=all; pids=("$mpirun_pid" "${ranks[@]}") ;;
    esac
    # False when all has ended by itself in this very moment.
    ! kill -KILL "${pids[@]}" 2>/dev/null || killed=true
  fi
  if $killed; then
    struck_in="$stage"
    [ ! -e "$out/clip.mp4" ] || struck_in="after the clip has its name"
    struck["$struck_in $count"]=$((${struck["$struck_in $count"]:-0} + 1))
    victims["$victim"]=$((${victims["$victim"]:-0} + 1))
    done_kills=$((done_kills + 1))
    end || true
    echo "kill $done_kills of $victim of $count ranks in $struck_in: gone on after step $resumed, killed in step $step" >>"$work/kills"
  elif ! end; then
    echo "a run that nobody killed failed:"
    tail "$work/log"
    exit 1
  fi
  if [ "$reached" -gt 0 ] && [ "$stage" != none ] && [ "$stage" != load ] && [ "$stage" != encode_text ]; then
    [ $((reached - resumed)) -le "$redone" ] || redone=$((reached - resumed))
  fi
  [ "$step" -le "$reached" ] || reached="$step"
  [ -e "$out/clip.mp4" ] || continue
  clips=$((clips + 1))
  if ! cmp --silent "$work/reference.mp4" "$out/clip.mp4"; then
    echo "clip $clips differs from the undisturbed one"
    wrong=$((wrong + 1))
  fi
  # A run killed between the clip's name and its own end leaves its work folder: the next one on it, not killed, ends.
  if ! $killed && [ "$(ls -A "$out")" != clip.mp4 ]; then
    echo "left beside clip $clips: $(ls -A "$out")"
    wrong=$((wrong + 1))
  fi
  rm -rf "$out" && mkdir "$out"
  reached=0
done

[ "${VERBOSE:-0}" = 0 ] || cat "$work/kills"
printf '%-28s %8s %8s %8s %8s %8s\n' "killed in" "1 rank" "2 ranks" "3 ranks" "4 ranks" all
for name in "${stages[@]}" none "after the clip has its name"; do
  row=()
  sum=0
  for n in 1 2 3 4; do
    row+=("${struck["$name $n"]:-0}")
    sum=$((sum + ${struck["$name $n"]:-0}))
  done
  [ "$sum" -eq 0 ] || printf '%-28s %8d %8d %8d %8d %8d\n' "${name/#none/before loading}" "${row[@]}" "$sum"
done
for victim in "${!victims[@]}"; do echo "killed $victim: ${victims[$victim]}"; done
echo "at most $redone of 12 steps were done again after a kill (checkpoints every second)"
echo "$done_kills kills in ${SECONDS} s, $clips clips finished, $wrong things wrong"
[ "$wrong" -eq 0 ]
