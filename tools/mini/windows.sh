#!/usr/bin/env bash
# Renders the README's two clips that are larger than models/weft-mini, one wider and one longer whose prompt changes half
# way, prints their seam figures and puts frames of both into one picture.
# Usage: tools/mini/windows.sh [OUTPUT.png]      (WEFT: the program, default build/cpu/weft)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
output="${1:-bench/results/weft-mini-windows.png}"
weft="${WEFT:-build/cpu/weft}"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
render() { # render NAME KEYS...
  local name="$1"
  shift
  mkdir "$work/$name"
  "$weft" render --model models/weft-mini --steps 25 --guidance-scale 3 --record none --output "$work/$name/%02d.png" "$@" |
    grep "seam figure"
}
render wide --width 512 --prompt "a sailboat moves right, the sea"
render long --frames 65 --overlap 0.4 --prompt "a panda shakes on a meadow" --storyboard "33: a panda shakes on snow"
# Of the wide clip the first and the last frame, of the long one every ninth.
ffmpeg -v error -y -i "$work/wide/%02d.png" -vf "select='not(mod(n,16))',tile=2x1:padding=14:color=white" -frames:v 1 "$work/row1.png"
ffmpeg -v error -y -i "$work/long/%02d.png" -vf "select='not(mod(n,9))',tile=8x1:padding=2:color=white" -frames:v 1 "$work/row2.png"
ffmpeg -v error -y -i "$work/row%d.png" -vf "tile=1x2:padding=6:color=white" -frames:v 1 \
  -pred mixed "$output"
echo "$output"
