#!/usr/bin/env bash
# Trains the lite network that is shipped, from random weights, and exports it:
#
#     saved_models/portrait_lite.sh MASKED PHOTOS U2NETP WORK
#
# MASKED   portraits with masks, train and val, in any layout that the README lists
# PHOTOS   photos of people without masks
# U2NETP   the original authors' u2netp.pth, the teacher's start
# WORK     where everything is written, portrait_lite.safetensors among it
#
# Interrupted, the same command goes on from there. Pictures grow from stage to stage: what a small picture teaches is
# learnt at a tenth of the price, and the last stages only sharpen the edge.
set -euo pipefail
if [ $# -ne 4 ]; then sed -n '2,12s/^# \?//p' "$0" >&2; exit 2; fi
masked=$(realpath "$1") photos=$(realpath "$2") u2netp=$(realpath "$3") work=$(realpath -m "$4")
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export NO_ALBUMENTATIONS_UPDATE=1
python=$([ -x .venv/bin/python ] && echo .venv/bin/python || echo python)
at_once=0
made=$work/made soft=$work/soft first=$work/figures0 second=$work/figures2

# train NAME SIZE EPOCHS RATE [FIELD=VALUE …] [-- OPTION …]: one stage, into WORK/NAME
train() {
    local name=$1 fields=(network=u2net_lite image_size="$2" epochs="$3" max_lr="$4" workers=0) settings=()
    shift 4
    while [ $# -gt 0 ] && [ "$1" != -- ]; do fields+=("$1"); shift; done
    for field in "${fields[@]}"; do settings+=(--set "$field"); done
    "$python" -m helpers.training --preset paper --out "$work/$name" "${settings[@]}" "${@:2}"
}

# grow NAME SIZE EPOCHS RATE START DATA …: a stage of the network that is shipped, from START's weights
grow() {
    local name=$1 size=$2 epochs=$3 rate=$4 start=$5 options=()
    shift 5
    for data in "$@"; do options+=(--data "$data"); done
    if [ "$start" ]; then options+=(--weights "$work/$start/final_model_ckpt.pth"); fi
    train "$name" "$size" "$epochs" "$rate" ema=0.998 augmentation=strong truth=mattes micro_batch="$at_once" \
        -- "${options[@]}"
}

# average FIRST SECOND SHARE OUT: a checkpoint's weights moved by a share of the way to those of the stage after it
average() {
    "$python" - "$work/$1/final_model_ckpt.pth" "$work/$2/final_model_ckpt.pth" "$3" "$4" <<'END'
import sys
from helpers.checkpoints import read_checkpoint, write_checkpoint

first, second = (read_checkpoint(path) for path in sys.argv[1:3])
for name, weights in second["model_state_dict"].items():
    if weights.is_floating_point():
        weights.lerp_(first["model_state_dict"][name], 1 - float(sys.argv[3]))
write_checkpoint(sys.argv[4], second)
END
}

# label PHOTOS OUT TEACHER [OPTION …]: photos without masks, once
label() {
    if [ ! -e "$2/done" ]; then
        # its exit code says that some photos were left out, which is as it should be
        "$python" -m helpers.soft_labels "$1" "$2" --weights "${@:3}" || [ $? -eq 1 ]
        touch "$2/done"
    fi
}

"$python" -m helpers.synthetic "$made" --count 1600 --size 256 --seed 5
train teacher 160 3 5e-4 ema=0.99 -- --data "$masked" --weights "$u2netp"
label "$photos" "$soft" "$work/teacher/final_model_ckpt.pth"
for part in 0 2; do
    mkdir -p "$work/photos$part"
    find "$photos" -name '*.jpg' | sort | awk -v part=$part 'NR % 4 == part' | xargs -I{} ln -sf {} "$work/photos$part/"
    label "$work/photos$part" "$work/figures$part" "$u2netp" --size 224
done

grow p48 48 4 2e-3 "" "$masked,weight=8" "$made"
grow p64a 64 1 1.5e-3 p48 "$masked,weight=8" "$made"
all=("$masked,weight=6" "$soft/portraits,weight=4" "$soft/composites,weight=2" "$made,weight=.8")
half=("$masked,weight=3" "$soft/portraits,weight=2" "$soft/composites" "$made,weight=.4")
grow p64b 64 1 1.5e-3 p64a "${all[@]}"
grow p96 96 1 1.5e-3 p64b "${half[@]}"
# whole figures as well, so that the heads of people further away are found
grow p160 160 1 1e-3 p96 "$masked,weight=2.5" "$first/portraits" "$first/composites,weight=.4" "$made,weight=.35"
grow p192 192 1 1e-3 p160 "$masked,weight=2" "$first/portraits,weight=.6" "$second/portraits,weight=1.4" \
    "$second/composites,weight=.6" "$made,weight=.3"
grow p256 256 1 1e-3 p192 "$masked,weight=2" "$first/portraits,weight=.4" "$second/portraits,weight=1.2" \
    "$second/composites,weight=.5" "$made,weight=.2"
# three quarters hand-made masks from here on; two processes trained these stages: batch norm saw four pictures at once
at_once=4
grow p192b 192 1 1e-3 p256 "$masked,weight=6" "$first/portraits,weight=.3" "$first/composites,weight=.6" \
    "$second/portraits,weight=.6" "$second/composites,weight=1.5" "$made,weight=.25"
grow p256b 256 1 5e-4 p192b "$masked,weight=1.6" "$first/portraits,weight=.1" "$first/composites,weight=.2" \
    "$second/portraits,weight=.2" "$second/composites,weight=.45" "$made,weight=.1"

# of the last two stages each knows something that the other has lost
average p192b p256b .75 "$work/averaged.pth"

"$python" -m helpers.export "$work/averaged.pth" "$work/portrait_lite.safetensors"
