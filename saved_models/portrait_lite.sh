#!/usr/bin/env bash
# Goes on training the weights that were shipped before, to those that are shipped now, and exports them:
#
#     saved_models/portrait_lite.sh SELFIES PEOPLE STREET FIGURES PLACES U2NETP WORK
#
# SELFIES, PEOPLE, STREET   masked portraits, train and val, each in any layout that docs/data-sets.md lists
# FIGURES                   photos of whole figures without masks
# PLACES                    photos with nobody in them; a tenth of them, by a hash of the name, is kept for validation
# U2NETP                    the original authors' u2netp.pth, which labels whole FIGURES
# WORK                      where everything is written, portrait_lite.safetensors among it
#
# Interrupted, the same command goes on from there. Set PROCESSES=2 to train in two processes of one thread each.
set -euo pipefail
if [ $# -ne 7 ]; then sed -n '2,13s/^# \?//p' "$0" >&2; exit 2; fi
selfies=$(realpath "$1") people=$(realpath "$2") street=$(realpath "$3") figures=$(realpath "$4")
places=$(realpath "$5") u2netp=$(realpath "$6") work=$(realpath -m "$7")
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export NO_ALBUMENTATIONS_UPDATE=1 OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
python=$([ -x .venv/bin/python ] && echo .venv/bin/python || echo python)
processes=${PROCESSES:-1}
# trained from random weights on street portraits alone; portrait_lite.md says how
before=b386bd3:saved_models/portrait_lite.safetensors

# grow NAME SIZE EPOCHS RATE WEIGHTS DATA …: one stage, from a weight file, into WORK/NAME
grow() {
    local name=$1 size=$2 epochs=$3 rate=$4 weights=$5 options=() launch=("$python")
    shift 5
    for data in "$@"; do options+=(--data "$data"); done
    for setting in network=u2net_lite image_size="$size" epochs="$epochs" max_lr="$rate" workers=0 loss=l1 \
        ema="$ema" augmentation="$augmentation" truth=mattes micro_batch="$at_once" coarse="$coarse" seed="$seed"; do
        options+=(--set "$setting")
    done
    if [ "$processes" -gt 1 ]; then
        launch=("$python" -m accelerate.commands.launch --multi_gpu --num_processes "$processes" --num_machines 1
            --mixed_precision no --dynamo_backend no --main_process_port 0)
    fi
    "${launch[@]}" -m helpers.training --preset paper --out "$work/$name" --weights "$weights" "${options[@]}"
}

# average OUT FILE SHARE FILE SHARE …: the mean of the files' weights, each with its share; the rest is the last file's
average() {
    mkdir -p "$(dirname "$1")"
    "$python" - "$@" <<'END'
import sys
from helpers.networks.weights import read_checkpoint
from helpers.training.checkpoints import write_checkpoint

checkpoints, shares = [read_checkpoint(path) for path in sys.argv[2::2]], [float(share) for share in sys.argv[3::2]]
for name, weights in checkpoints[-1]["model_state_dict"].items():
    if weights.is_floating_point():
        weighted = [file["model_state_dict"][name] * share for file, share in zip(checkpoints, shares, strict=True)]
        weights.copy_(sum(weighted) / sum(shares))
write_checkpoint(sys.argv[1], checkpoints[-1])
END
}

# label NAME WEIGHTS [OPTION …]: FIGURES, those linked in WORK/NAME, into WORK/NAME-labelled, once
label() {
    if [ ! -e "$work/$1-labelled/done" ]; then
        # its exit code says that some photos were left out, which is as it should be
        "$python" -m helpers.soft_labels "$work/$1" "$work/$1-labelled" --weights "${@:2}" || [ $? -eq 1 ]
        touch "$work/$1-labelled/done"
    fi
}

mkdir -p "$work/whole" "$work/upper"
git show "$before" > "$work/before.safetensors"
"$python" -m helpers.synthetic "$work/made" --count 1200 --size 256 --seed 5
"$python" -m helpers.samples.cutouts "$work/cutouts" --data "$selfies" --data "$people" --data "$street"
find "$figures" -name '*.jpg' | sort | awk 'NR <= 309' | xargs -I{} ln -sf {} "$work/whole/"
find "$figures" -name '*.jpg' | sort | awk 'NR % 2 == 0' | xargs -I{} ln -sf {} "$work/upper/"
label whole "$u2netp" --size 320 --whole
label upper "$work/before.safetensors"
whole=$work/whole-labelled upper=$work/upper-labelled
on="layout=cutouts,backgrounds=$places"
final=final_model_ckpt.pth

ema=0.998 augmentation=strong at_once=4 coarse=false seed=0
grow a192 192 1 1e-3 "$work/before.safetensors" "$selfies,weight=1.5" "$people,weight=6" "$street,weight=1.2" \
    "$work/cutouts,$on,weight=1.4" "$work/made,weight=.4"
# between two networks on one path, every kind of photo is better than at either end, or nearly as good
average "$work/between1.pth" "$work/before.safetensors" .5 "$work/a192/$final" .5
grow c256 256 1 5e-4 "$work/between1.pth" "$selfies,weight=.13" "$people,weight=.6" "$street,weight=.15" \
    "$work/cutouts,$on,weight=.065" "$whole/composites,$on,weight=.065" "$whole/portraits,weight=.15" \
    "$work/made,weight=.04"
average "$work/between2.pth" "$work/between1.pth" .4 "$work/c256/$final" .6
grow d320 320 1 4e-4 "$work/between2.pth" "$selfies,weight=.12" "$people,weight=.5" "$street,weight=.15" \
    "$work/cutouts,$on,weight=.04" "$whole/composites,$on,weight=.04" "$whole/portraits,weight=.1" \
    "$work/made,weight=.03"
average "$work/between3.pth" "$work/before.safetensors" .55 "$work/d320/$final" .45
ema=0.999
grow f224 224 4 1e-3 "$work/between3.pth" "$selfies,weight=.93" "$people,weight=3.6" "$street,weight=1.4" \
    "$work/cutouts,$on,weight=.41" "$whole/composites,$on,weight=.41" "$whole/portraits,weight=.85" \
    "$work/made,weight=.38"
ema=0.998
grow h256 256 2 6e-4 "$work/f224/$final" "$selfies,weight=.9" "$people,weight=3" "$street,weight=2.2" \
    "$work/cutouts,$on,weight=.35" "$whole/composites,$on,weight=.35" "$whole/portraits,weight=.5" \
    "$work/made,weight=.5"
grow j320 320 1 4e-4 "$work/h256/$final" "$selfies,weight=1.15" "$people,weight=3.6" "$street,weight=2.4" \
    "$upper/portraits,weight=1.7" "$work/cutouts,$on,weight=.35" "$whole/composites,$on,weight=.35" \
    "$whole/portraits,weight=.6" "$work/made,weight=.7"
average "$work/between4.pth" "$work/before.safetensors" .55 "$work/j320/$final" .45
grow k320 320 1 2.5e-4 "$work/between4.pth" "$selfies" "$people,weight=3.6" "$street,weight=2.6" \
    "$upper/portraits,weight=2.4" "$work/cutouts,$on,weight=.35" "$whole/composites,$on,weight=.35" \
    "$whole/portraits,weight=.6" "$work/made,weight=.7"
average "$work/between5.pth" "$work/before.safetensors" .2 "$work/k320/$final" .8
ema=0.999
grow l320 320 1 3e-4 "$work/between5.pth" "$selfies,weight=1.1" "$people,weight=3.8" "$street,weight=2.6" \
    "$upper/portraits,weight=1.6" "$work/cutouts,$on,weight=.6" "$whole/composites,$on,weight=.6" \
    "$whole/portraits,weight=.6" "$work/made,weight=.8"
average "$work/between6.pth" "$work/before.safetensors" .25 "$work/d320/$final" .1 "$work/j320/$final" .15 \
    "$work/k320/$final" .25 "$work/l320/$final" .25
ema=0.998 augmentation=report at_once=0 coarse=true
mixture=("$selfies,weight=1.2" "$people,weight=3.6" "$street,weight=1.6"
    "$work/cutouts,$on,weight=1.2" "$whole/composites,$on,weight=1.2" "$whole/portraits,weight=.8"
    "$work/made,weight=.4")
grow m320 320 2 1e-3 "$work/between6.pth" "${mixture[@]}"
average "$work/between7.pth" "$work/m320/$final" .53 "$work/between6.pth" .47
seed=1
grow n320a 320 2 1e-3 "$work/between7.pth" "${mixture[@]}"
seed=2
grow n320b 320 1 7e-4 "$work/between7.pth" "$selfies,weight=2.5" "$people,weight=7.6" "$street,weight=5" \
    "$work/cutouts,$on,weight=2.7" "$whole/composites,$on,weight=2.7" "$whole/portraits,weight=1.6" \
    "$work/made"
average "$work/between8.pth" "$work/n320b/$final" .45 "$work/n320a/$final" .25 "$work/between6.pth" .3
seed=3
grow n320c 320 1 7e-4 "$work/between8.pth" "$selfies,weight=2" "$people,weight=6" "$street,weight=3.9" \
    "$work/cutouts,$on,weight=2.1" "$whole/composites,$on,weight=2.1" "$whole/portraits,weight=1.25" \
    "$work/made,weight=.8"
seed=4
grow n320d 320 1 7e-4 "$work/between8.pth" "$selfies,weight=3" "$people,weight=6.5" "$street,weight=4" \
    "$work/cutouts,$on,weight=1.5" "$whole/composites,$on,weight=1.5" "$whole/portraits,weight=1.2" \
    "$work/made,weight=.6"
average "$work/shipped/$final" "$work/n320d/$final" .4 "$work/n320c/$final" .2 "$work/between8.pth" .4

"$python" -m helpers.export "$work/shipped/$final" "$work/portrait_lite.safetensors"
