#!/usr/bin/env bash
# From a fresh checkout to a clip: packages, build, two MPI ranks, out/demo.mp4.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: jobs/demo.sh [PROMPT]

Installs what is missing, builds weft (once) and renders a small clip with two MPI ranks on this
machine: out/demo.mp4, and out/demo.sheet.png with its frames side by side.

Environment:
  WEFT_PRESET   CMake preset to build (default cpu)
  WEFT_RANKS    MPI ranks (default 2); the clip is the same for any number
  WEFT_MODEL    folder of a Wan model (default: the one in the repository)
TEXT
}

prompt="a rocket rises, the night sky"
case "${1:-}" in
  "") ;;
  -h | --help) usage; exit 0 ;;
  -*) usage >&2; exit 2 ;;
  *) prompt="$1" ;;
esac

cd "$(dirname "${BASH_SOURCE[0]}")/.."
preset="${WEFT_PRESET:-cpu}"
ranks="${WEFT_RANKS:-2}"
mkdir -p build out
jobs/install-deps.sh --build

quietly() {  # LOG COMMAND...: shows the log only when the command fails
  local log="$1"
  shift
  "$@" >"$log" 2>&1 || { tail -n 40 "$log" >&2; echo "demo: failed: $* (log: $log)" >&2; exit 1; }
}
[ -e "build/$preset/build.ninja" ] || echo "demo: building weft in build/$preset (some minutes, once)"
[ -e "build/$preset/build.ninja" ] || quietly build/demo-configure.log cmake --preset "$preset"
quietly build/demo-build.log cmake --build --preset "$preset" --target weft

size=()
if [ -n "${WEFT_MODEL:-}" ]; then
  model="$WEFT_MODEL"
elif [ -e models/weft-mini/model_index.json ]; then
  model=models/weft-mini
  size=(--steps 25 --guidance-scale 3 --fps 10)
else
  model=tests/golden/tiny-wan21
  size=(--width 256 --height 144 --frames 33 --steps 10)
  echo "demo: $model has random weights: it shows that everything runs, and draws coloured noise."
fi

# shellcheck source=jobs/env.sh
. jobs/env.sh
mpirun -n "$ranks" "build/$preset/weft" render --model "$model" --prompt "$prompt" "${size[@]}" \
  --output out/demo.mp4 --contact-sheet

echo
echo "The clip:      $PWD/out/demo.mp4"
echo "Its frames:    $PWD/out/demo.sheet.png"
if [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ]; then
  for player in ffplay mpv xdg-open; do
    if command -v "$player" >/dev/null; then
      echo "To watch it:   $player out/demo.mp4"
      break
    fi
  done
else
  echo "No display here: look at the PNG, or copy the clip to where there is one."
fi
