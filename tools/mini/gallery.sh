#!/usr/bin/env bash
# Renders the prompts of the README with models/weft-mini and puts a strip of six frames of each into
# one picture. Usage: tools/mini/gallery.sh [OUTPUT.png]      (WEFT: the program, default build/cpu/weft)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
output="${1:-bench/results/weft-mini.png}"
weft="${WEFT:-build/cpu/weft}"
prompts=(
  "a rocket rises, the night sky"
  "a turtle moves left, the sea"
  "a soccer ball bounces, a green checkerboard"
  "a sunflower grows, a meadow"
  "a butterfly circles, a pink background"
  "an octopus shakes, blue stripes"
  "a camel moves right, a desert"
  "一只熊猫向右移动，绿色背景"
  "火箭升起，夜空"
  "一个西瓜旋转，黄色渐变背景"
)
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
row=0
for prompt in "${prompts[@]}"; do
  mkdir "$work/$row"
  "$weft" render --model models/weft-mini --prompt "$prompt" --steps 25 --guidance-scale 3 --seed "$((row + 1))" --quiet --record none \
    --output "$work/$row/%02d.png" >/dev/null
  # Frames 0, 3, 6, 9, 12 and 15 side by side.
  ffmpeg -v error -y -i "$work/$row/%02d.png" -vf "select='not(mod(n,3))',tile=6x1:padding=2" -frames:v 1 \
    "$work/row$(printf '%02d' "$row").png"
  row=$((row + 1))
done
ffmpeg -v error -y -i "$work/row%02d.png" -vf "tile=2x$(((row + 1) / 2)):padding=6:color=white" -frames:v 1 "$output"
echo "$output"
