#!/bin/bash
# Tunes the decoder and trains text encoder and transformer side by side; each takes a GPU of its own where there are two.
# usage: together.sh WORK SECONDS FROM TO
set -u
here=$(dirname "$0")
second=0
[ "$(nvidia-smi -L | wc -l)" -gt 1 ] && second=1
CUDA_VISIBLE_DEVICES=$second python3 "$here/train_vae.py" "$1" "$2" "$3" "$4" 12 decoder 2>&1 &
CUDA_VISIBLE_DEVICES=0 python3 "$here/train_wan.py" "$1" "$2" "$3" "$4" 512 2>&1
status=$?
wait $! && exit $status
