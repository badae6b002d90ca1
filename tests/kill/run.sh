#!/usr/bin/env bash
# Kills renders at random moments and compares what the next runs make with an undisturbed clip.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: tests/kill/run.sh WEFT KILLS [SEED]

Renders a small clip with the bundled model again and again on 1 to 4 ranks, kills a random rank, mpirun, or all
processes of it (SIGKILL) at a random moment of any stage, starts the same command again (often on another number of
ranks), and compares the finished clip with an undisturbed one, byte by byte. Prints a table of kills by the stage in
which they struck. Exits with 1 when a clip differs or a run fails by itself.
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
stop_all() { pkill -KILL -f "$work/clip" 2>/dev/null || true; }
trap 'stop_all; rm -rf "$work"' EXIT

command_of() {  # RANKS FILE: the words of a run
  words=(mpirun -n "$1" "$weft" render --model "$model" --prompt "a panda bounces on a meadow" --steps 16
    --width 256 --threads 1 --checkpoint-every 1s --no-metadata -o "$2")
}

command_of 1 "$work/reference.mp4"
"${words[@]}" >"$work/log" 2>&1 || { tail "$work/log"; exit 1; }

declare -A struck=()
done_kills=0
clips=0
unequal=0
while [ "$done_kills" -lt "$kills" ]; do
  rm -rf "$work"/clip*
  while [ ! -e "$work/clip.mp4" ]; do
    command_of $((RANDOM % 4 + 1)) "$work/clip.mp4"
    "${words[@]}" >"$work/log" 2>&1 &
    pid=$!
    sleep "$((RANDOM % 5)).$((RANDOM % 10))$((RANDOM % 10))"
    if [ "$done_kills" -lt "$kills" ] && kill -0 "$pid" 2>/dev/null; then
      case $((RANDOM % 3)) in
        0) kill -KILL "$pid" ;;
        1) pkill -KILL -n -f "weft render.*$work/clip" || true ;;
        2) pkill -KILL -f "$work/clip" || true ;;
      esac
      # A stage has a line in the log when it is done.
      stage="loading, or denoising before the first checkpoint"
      [ -e "$work/clip.weft/checkpoint.h5" ] && stage="denoising after a checkpoint"
      grep --quiet 'denoise:' "$work/log" && stage="decoding and encoding"
      [ -e "$work/clip.mp4" ] && stage="ending, the clip whole"
      struck["$stage"]=$((${struck["$stage"]:-0} + 1))
      done_kills=$((done_kills + 1))
      wait "$pid" 2>/dev/null || true
      sleep 0.3
      stop_all
    elif ! wait "$pid"; then
      echo "a run that nobody killed failed:"
      tail "$work/log"
      exit 1
    fi
  done
  clips=$((clips + 1))
  if ! cmp --silent "$work/reference.mp4" "$work/clip.mp4"; then
    unequal=$((unequal + 1))
    echo "clip $clips differs from the undisturbed one"
  fi
done
for stage in "${!struck[@]}"; do
  echo "${struck[$stage]} kills while $stage"
done
echo "$done_kills kills, $clips clips finished, $unequal of them unequal"
[ "$unequal" -eq 0 ]
