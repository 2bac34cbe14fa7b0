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
at_once=0 loss=report
made=$work/made soft=$work/soft first=$work/figures0 second=$work/figures2

# train NAME SIZE EPOCHS RATE [FIELD=VALUE …] [-- OPTION …]: one stage, into WORK/NAME
train() {
    local name=$1 fields=(network=u2net_lite image_size="$2" epochs="$3" max_lr="$4" workers=0) settings=()
    shift 4
    while [ $# -gt 0 ] && [ "$1" != -- ]; do fields+=("$1"); shift; done
    for field in "${fields[@]}"; do settings+=(--set "$field"); done
    "$python" -m helpers.training --preset paper --out "$work/$name" "${settings[@]}" "${@:2}"
}

# grow NAME SIZE EPOCHS RATE START DATA …: a stage of the network that is shipped, from START's weights, with $loss
grow() {
    local name=$1 size=$2 epochs=$3 rate=$4 start=$5 options=()
    shift 5
    for data in "$@"; do options+=(--data "$data"); done
    if [ "$start" ]; then options+=(--weights "$work/$start/final_model_ckpt.pth"); fi
    train "$name" "$size" "$epochs" "$rate" loss="$loss" ema=0.998 augmentation=strong truth=mattes \
        micro_batch="$at_once" -- "${options[@]}"
}

# average FIRST SECOND SHARE NAME: the first stage's weights moved by a share of the way to the second's, into WORK/NAME
average() {
    local file=final_model_ckpt.pth
    mkdir -p "$work/$4"
    "$python" - "$work/$1/$file" "$work/$2/$file" "$3" "$work/$4/$file" <<'END'
import sys
from helpers.networks.weights import read_checkpoint
from helpers.training.checkpoints import write_checkpoint

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
# two processes trained from here on: batch norm saw four pictures at once
at_once=4
# three quarters hand-made masks
grow p192b 192 1 1e-3 p256 "$masked,weight=6" "$first/portraits,weight=.3" "$first/composites,weight=.6" \
    "$second/portraits,weight=.6" "$second/composites,weight=1.5" "$made,weight=.25"
grow p256b 256 1 5e-4 p192b "$masked,weight=1.6" "$first/portraits,weight=.1" "$first/composites,weight=.2" \
    "$second/portraits,weight=.2" "$second/composites,weight=.45" "$made,weight=.1"

# of these two stages each knows something that the other has lost
average p192b p256b .75 averaged

# the photos labelled anew by a better teacher, and three more stages, a good half of them hand-made masks, up to the
# size that the network is used at
train teacher2 224 6 5e-4 ema=0.99 micro_batch="$at_once" -- --data "$masked" --weights "$u2netp"
anew=$work/relabelled
label "$photos" "$anew" "$work/teacher2/final_model_ckpt.pth" --size 288
grow r192 192 1 1e-3 averaged "$masked,weight=9.5" "$anew/portraits" "$anew/composites,weight=1.5" "$made,weight=.75"
grow r256 256 1 1e-3 r192 "$masked,weight=6.2" "$anew/portraits,weight=.65" "$anew/composites" "$made,weight=.5"
grow r320 320 1 8e-4 r256 "$masked,weight=5.2" "$anew/portraits,weight=.55" "$anew/composites,weight=.85" \
    "$made,weight=.4"

# absolute error from here on: RMSE leaves every edge softer than the masks are
loss=l1
train teacher3 224 6 5e-4 loss="$loss" ema=0.99 best_by=mad micro_batch="$at_once" \
    -- --data "$masked" --weights "$u2netp"
grow s256 256 1 1e-3 r320 "$masked,weight=6" "$made,weight=.6"
# labelled anew by both, the one sure of its edges, the other of people however they are framed
agreed=$work/agreed
label "$photos" "$agreed" "$work/teacher3/final_model_ckpt.pth" --weights "$work/s256/final_model_ckpt.pth" --size 288
grow s320 320 1 8e-4 s256 "$masked,weight=8.5" "$agreed/portraits,weight=1.4" "$agreed/composites,weight=2.3" \
    "$made,weight=.8"

# the soft labels made edges softer again, but a third of the way there other framings are better than at either end;
# then hand-made masks only
average s256 s320 .33 between
grow h320 320 1 5e-4 between "$masked,weight=7" "$made,weight=.4"
average between h320 .5 shipped

"$python" -m helpers.export "$work/shipped/final_model_ckpt.pth" "$work/portrait_lite.safetensors"
