#!/usr/bin/env bash
# A list of prompts as one batch on two ranks, against a run for each prompt.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: bench/batch/against_single_runs.sh WEFT [PROMPTS] [STEPS]

Renders PROMPTS (100) clips of STEPS (4) steps with the bundled model, on two ranks of one thread each: as a batch whose
ranks are a group each, then one by one with `weft render`, each on both ranks. Compares the clips byte by byte and prints
wall times and their ratio as JSON. Wants two quiet cores.
TEXT
}
case "${1:-}" in
  "" | -h | --help) usage; exit 2 ;;
esac
weft="$(realpath "$1")"
prompts="${2:-100}"
steps="${3:-4}"
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
model="$PWD/models/weft-mini"
# shellcheck source=jobs/env.sh
. jobs/env.sh
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

things=(panda rocket turtle sailboat butterfly camel octopus sunflower watermelon kite)
places=("on a meadow" "in the night sky" "in the sea" "in a desert" "on snow" "on a beach" "in a forest" "on ice" "in a city" "on a hill")
prompt_of() { echo "a ${things[$(($1 % 10))]} moves right ${places[$(($1 / 10 % 10))]}"; }
options=(--model "$model" --steps "$steps" --threads 1 --no-metadata --quiet)

{
  echo id,prompt,seed
  for ((i = 0; i < prompts; i++)); do echo "clip$i,$(prompt_of "$i"),$i"; done
} >"$work/list.csv"

now() { local t="$EPOCHREALTIME"; echo "${t/[.,]/}"; }
begin="$(now)"
mpirun -n 2 "$weft" batch "$work/list.csv" -o "$work/batch" "${options[@]}" --ranks-per-job 1 >"$work/log"
middle="$(now)"
for ((i = 0; i < prompts; i++)); do
  mpirun -n 2 "$weft" render --prompt "$(prompt_of "$i")" --seed "$i" "${options[@]}" -o "$work/clip$i.mp4" >"$work/log"
done
end="$(now)"
unequal=0
for ((i = 0; i < prompts; i++)); do
  cmp --silent "$work/clip$i.mp4" "$work/batch/jobs/clip$i/clip.mp4" || unequal=$((unequal + 1))
done
awk -v a=$((middle - begin)) -v b=$((end - middle)) -v n="$prompts" -v s="$steps" -v u="$unequal" 'BEGIN {
  printf "{\"prompts\": %d, \"steps\": %d, \"ranks\": 2, \"batch_seconds\": %.1f, \"single_runs_seconds\": %.1f, ", n, s, a / 1e6, b / 1e6
  printf "\"single_over_batch\": %.2f, \"clips_unequal\": %d}\n", b / a, u }'
[ "$unequal" -eq 0 ]
