"""Solutions of the notebook's exercises, by section. The notebook shows them; tests/test_exercises.py runs them."""

# %% 1
from helpers.config import load_config

my_config = load_config("smoke", image_size=96, epochs=1)


# %% 2
def person_share(classes):
    return (classes > 0).mean()


# %% 3
def half_size(hard):
    return (hard[0::2, 0::2] + hard[0::2, 1::2] + hard[1::2, 0::2] + hard[1::2, 1::2]) / 4


# %% 4
import albumentations as A
import cv2


def turned():
    return [A.Rotate(limit=15, border_mode=cv2.BORDER_REFLECT, p=1)]


# %% 5
from helpers.u2net import LITE

my_table = tuple(stage._replace(mid=10) for stage in LITE)


# %% 6
import torch


def everywhere():
    return torch.arange(64).remainder(2).float().expand(1, 1, 64, 64)  # stripes, one pixel wide


# %% 7
def warm_up_and_decay(steps):
    warm_up = steps // 10
    return [min((step + 1) / warm_up, (steps - step) / (steps - warm_up)) for step in range(steps)]


# %% 8
def my_loss(outputs, alpha):
    return {"total": sum((output - alpha).abs().mean() for output in outputs)}


# %% 9
def best_epoch(history):
    losses = [loss for step, loss in history["val"]]
    return losses.index(min(losses)) + 1


# %% 10
def iou(pred, true):
    pred, true = pred >= 0.5, true >= 0.5
    union = (pred | true).sum()
    return (pred & true).sum() / union if union else 1.0


# %% 11
from helpers.files.photos import sample_portraits

my_photo = sample_portraits()[0]
