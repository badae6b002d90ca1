#!/bin/bash
# Makes models/weft-mini from nothing. The training steps take 25 minutes by the clock they are given; every step ends
# within 10 minutes and leaves its result in WORK, and a step whose mark is there is not run again. Two GPUs are better than one.
# usage: tools/mini/train.sh WORK [MODEL]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$1
model=${2:-$here/../../models/weft-mini}
mkdir -p "$work"
step() { # step NAME COMMAND...
  local mark="$work/$1.done"
  shift
  [ -e "$mark" ] && return
  "$@"
  touch "$mark"
}
step glyphs python3 "$here/glyphs.py" "$work"
step tokenizer python3 "$here/tokenizer.py" "$work"
step vae python3 "$here/train_vae.py" "$work" 400 0 1
step first "$here/together.sh" "$work" 450 0 0.5
step second "$here/together.sh" "$work" 425 0.5 1
step polish python3 "$here/train_vae.py" "$work" 215 0 1 12 polish
step detector python3 "$here/score.py" "$work" detector
python3 "$here/export.py" "$work" "$model"
python3 "$here/score.py" "$work" "$model"
cp "$work/scores.json" "$model/"
