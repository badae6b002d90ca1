#!/usr/bin/env bash
# Everything that is measured of the GPUs of one host, in one go.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: bench/parallel/node.sh BUILD RANKS OUT [MODEL]

Measures 1, 2, 4, ... RANKS ranks of this host with the programs of BUILD (build/gpu): steps of the 1.3B, 5B and 14B in
every grid of CFG halves, Ulysses and ring, decoding, a layer's attention, the network. Weights are random. With the
folder MODEL (tools/compare/random_model.py makes one) also whole clips: what `weft plan` predicts, written before
anything runs, `weft scale`, and a clip four windows wide. Results go to OUT as text and JSON; what is there is kept, so
the same command goes on after an interruption.

DEVICE=cpu and MODELS="weft-mini" in the environment try it without a GPU.
TEXT
}
case "${1:-}" in
  -h | --help) usage; exit 0 ;;
esac
if (($# < 3 || $# > 4)); then
  usage >&2
  exit 2
fi
build="$(realpath "$1")"
ranks="$2"
[[ "$ranks" =~ ^[1-9][0-9]*$ ]] || { echo "RANKS: \"$ranks\": expected a number from 1 on" >&2; exit 2; }
mkdir -p "$3"
out="$(realpath "$3")"
model="${4:+$(realpath "$4")}"
device="${DEVICE:-cuda}"
models="${MODELS:-wan2.1-1.3b wan2.2-5b wan2.1-14b-480p wan2.1-14b}"
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=jobs/env.sh
. jobs/env.sh

# measure NAME COMMAND...: what it prints goes to OUT/NAME.txt, which has that name when all is there.
measure() {
  local name="$1"
  shift
  if [ -e "$out/$name.txt" ]; then
    echo "$name: there already"
    return
  fi
  local command="${*//"$build"\//}"
  echo "$name: $command"
  {
    echo "$(date -u +%F), $machine"
    echo "$command"
    echo
    "$@"
  } >"$out/$name.part" || { echo "$name failed: $out/$name.part" >&2; exit 1; }
  mv "$out/$name.part" "$out/$name.txt"
}
run() { measure "$1" mpirun -n "$ranks" "$build/$2" "${@:3}"; }

# grids HEADS: every cfg x ulysses x ring of 2, 4, ... ranks whose Ulysses ranks get equal numbers of heads.
grids() {
  local n cfg u
  for ((n = 2; n <= ranks; n *= 2)); do
    for cfg in 2 1; do
      for ((u = 1; u <= n / cfg; u *= 2)); do
        if (($1 % u == 0)); then echo "cfg=$cfg,ulysses=$u,ring=$((n / cfg / u))"; fi
      done
    done
  done
}

machine="$ranks ranks of one host"
if [ "$device" = cuda ]; then
  machine="$ranks x $(nvidia-smi --query-gpu=name,driver_version --format=csv,noheader | head -1) of one host"
fi

if [ -n "$model" ]; then
  clip=(--model "$model" --prompt cat --noise philox --device "$device")
  measure plan "$build/weft" plan "${clip[@]}" --ranks "$ranks"
fi
for name in $models; do
  size=()
  heads=1
  case "$name" in
    wan2.1-1.3b) heads=12 ;;
    wan2.2-5b) heads=24 ;;
    wan2.1-14b-480p) heads=40 size=(--width 832 --height 480 --repeat 2) ;;
    wan2.1-14b) heads=40 size=(--repeat 1) ;;
    weft-mini) heads=4 ;;
    *) echo "MODELS: \"$name\": expected wan2.1-1.3b, wan2.2-5b, wan2.1-14b-480p, wan2.1-14b or weft-mini" >&2; exit 2 ;;
  esac
  mapfile -t all < <(grids "$heads")
  run "step-$name" bench/weft-bench-step-parallel --model "${name%-480p}" "${size[@]}" --device "$device" \
    --json "$out/step-$name.json" --parallel "${all[@]}"
  case "$name" in
    wan2.1-14b*) ;; # its autoencoder is the 1.3B's
    *) run "decode-$name" bench/weft-bench-decode-parallel --model "$name" --device "$device" --json "$out/decode-$name.json" ;;
  esac
done
if [ "$device" = cuda ]; then
  run attention bench/weft-bench-attention-parallel
fi
run network weft bench-net --device "$device" -o "$out/network.json"
if [ -n "$model" ]; then
  run scale weft scale "${clip[@]}" --steps 25 --repeats 2 --no-keep-clips -o "$out/scaling"
  measure report "$build/weft" report "$out/scaling" -o "$out/report.html" --svg "$out/figures"
  width="$("$build/weft" inspect "$model" | awk '/^native size/ { print $3 }')"
  run wide weft render "${clip[@]}" --width "$((4 * width))" --steps 10 --preset ultrafast -o "$out/wide.mp4"
fi
echo "done: $out"
