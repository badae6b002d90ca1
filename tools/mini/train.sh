#!/bin/bash
# Makes models/weft-mini from nothing on one GPU in 22 minutes (an H100). Every step ends within 10 minutes and leaves its result
# in WORK; a step whose mark is there is not run again. Lines with == say when, in seconds since the start.
# usage: tools/mini/train.sh WORK [MODEL]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$1
model=${2:-$here/../../models/weft-mini}
mkdir -p "$work"
say() { echo "== $SECONDS s: $*"; }
step() { # step NAME COMMAND...
  local name=$1 mark="$work/$1.done"
  shift
  [ -e "$mark" ] && return
  say "$name"
  "$@"
  touch "$mark"
  say "$name done"
}
step glyphs python3 "$here/glyphs.py" "$work"
step tokenizer python3 "$here/tokenizer.py" "$work"
step vae python3 "$here/train_vae.py" "$work" 460 0 1 16 9
# The detector learns while the transformer starts up and the GPU has little to do.
step detector python3 "$here/score.py" "$work" detector 60 &
detector=$!
step wan python3 "$here/train_wan.py" "$work" 480 0 1
wait "$detector"
step decoder python3 "$here/train_vae.py" "$work" 220 0 1 12 17 decoder
say export
python3 "$here/export.py" "$work" "$model"
say score
python3 "$here/score.py" "$work" "$model" 200 3
cp "$work/scores.json" "$model/"
say "done"
