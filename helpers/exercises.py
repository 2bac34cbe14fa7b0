"""The checks of the notebook's exercises: each tells a right answer from a wrong one, and why it is wrong.

`check(number, answer)` prints one line and never raises, so that the notebook runs to its end with any answer. An
answer is unsolved while it is `None`, or a function that returns `None`.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import albumentations as A
import numpy as np
import torch
from numpy.typing import NDArray

from helpers.config import Config, load_config
from helpers.cutout import load_matter
from helpers.files.photos import read_photo
from helpers.losses import edge_mask
from helpers.synthetic.dataset import make_portrait
from helpers.u2net import U2Net


class Unsolved(Exception):
    """There is no answer yet."""


class Wrong(Exception):
    """The answer is wrong; the message says why."""


def check(number: int, answer: Any) -> None:
    """Print whether `answer` solves the exercise of section `number`, and why not."""
    try:
        if answer is None:
            raise Unsolved
        praise = CHECKS[number](answer)
        print(f"Exercise {number}: right. {praise}")
    except Unsolved:
        print(f"Exercise {number}: not solved yet.")
    except Wrong as error:
        print(f"Exercise {number}: not right. {error}")
    except Exception as error:  # whatever a student's code raises is an answer, too
        print(f"Exercise {number}: not right. Your code raised {type(error).__name__}: {error}")


def _ask(answer: Any, *arguments: object) -> Any:
    """What the answer, a function, returns."""
    if not callable(answer):
        raise Wrong(f"A function is asked for, not a {type(answer).__name__}.")
    value = answer(*arguments)
    if value is None:
        raise Unsolved
    return value


def _demand(fact: object, reason: str) -> None:
    if not fact:
        raise Wrong(reason)


def _configuration(answer: Any) -> str:
    _demand(isinstance(answer, Config), "load_config(…) returns the configuration; assign what it returns.")
    _demand(answer.name == "smoke", f"It starts from the preset {answer.name!r}, not from 'smoke'.")
    _demand(answer.image_size == 96, f"The network's input is {answer.image_size} pixels, not 96.")
    _demand(answer.epochs == 1, f"It trains for {answer.epochs} epochs, not for one.")
    for name, wanted in dataclasses.asdict(load_config("smoke", image_size=96, epochs=1)).items():
        value = getattr(answer, name)
        _demand(value == wanted, f"{name} is {value!r}. Leave it as it is in the preset: {wanted!r}.")
    return "Every other number is still the preset's."


def _share(answer: Any) -> str:
    classes = np.array([[0, 0, 0, 0], [0, 1, 2, 0], [0, 1, 8, 0], [0, 1, 1, 1]], np.uint8)
    share = float(_ask(answer, classes))
    _demand(
        not np.isclose(share, classes.mean()),
        "That is the mean class number. A class counts once, whatever its number.",
    )
    _demand(
        not np.isclose(share, 5 / 16), "Those are the pixels of class 1 alone. Skin and teeth belong to the person too."
    )
    _demand(not np.isclose(share, 9 / 16), "That is the share of the background.")
    _demand(np.isclose(share, 7 / 16), f"7 of these 16 pixels are not background: 0.4375, not {share:.4f}.")
    return "Every class but 0 is the person."


def _smaller(answer: Any) -> str:
    hard = np.kron(np.array([[0.0, 1.0], [1.0, 0.0]]), np.ones((2, 2)))
    hard[0, 1] = hard[1, 0] = 1.0
    small = np.asarray(_ask(answer, hard), float)
    _demand(small.shape == (2, 2), f"4 × 4 pixels become 2 × 2, not {small.shape}.")
    _demand(
        not np.isin(small, (0, 1)).all(),
        "All values are 0 or 1: this drops pixels or thresholds. Take the mean of 2 × 2 pixels.",
    )
    _demand(
        np.allclose(small, np.array([[0.5, 1], [1, 0]])),
        f"The means of the 2 × 2 blocks are .5, 1, 1 and 0, not {small.round(2).tolist()}.",
    )
    return "The mean of hard values is a soft value: the share that the person covers."


def _augmentation(answer: Any) -> str:
    transforms = _ask(answer)
    _demand(isinstance(transforms, (list, tuple)) and transforms, "Return a list of albumentations transforms.")
    portrait = make_portrait(seed=3, size=128)
    mask = (portrait.matte >= 128).astype(np.uint8) * 255
    photo, upright, angles = np.repeat(mask[..., None], 3, axis=2), _upright(128), []
    for seed in range(40):
        done = A.Compose(list(transforms), seed=seed)(image=photo, mask=mask, masks=upright)
        _demand(
            done["image"].shape[:2] == done["mask"].shape[:2] == (128, 128), "The size of the pictures has changed."
        )
        moved = done["image"][..., 0] >= 128
        overlap = (moved & (done["mask"] >= 128)).sum() / max((moved | (done["mask"] >= 128)).sum(), 1)
        _demand(overlap > 0.8, "The photo moves and the mask does not: they no longer lie on each other.")
        angles.append(_turned_by(*done["masks"]))
    worst = max(np.abs(angles))
    _demand(worst > 1, "The mask is always upright: nothing turns.")
    _demand(worst < 15.5, f"It turns by {worst:.0f}°. 15° in either direction are the most.")
    _demand(min(angles) < -1 and max(angles) > 1, "It always turns in the same direction.")
    return "Photo and mask turn together."


def _upright(size: int) -> list[NDArray[np.uint8]]:
    """Two masks (size, size): a spot in the middle above the centre, and one below it."""
    masks = []
    for centre in (size // 5, size - size // 5):
        masks.append(np.zeros((size, size), np.uint8))
        masks[-1][centre - 4 : centre + 4, size // 2 - 4 : size // 2 + 4] = 255
    return masks


def _turned_by(above: NDArray[np.uint8], below: NDArray[np.uint8]) -> float:
    """The angle in degrees, within ±180, by which the masks of `_upright` were turned."""
    _demand((above >= 128).any() and (below >= 128).any(), "A part of the mask is lost.")
    down, right = np.argwhere(below >= 128).mean(0) - np.argwhere(above >= 128).mean(0)
    return float(np.degrees(np.arctan2(right, down)))


def _table(answer: Any) -> str:
    model = U2Net(tuple(answer))
    count = sum(parameter.numel() for parameter in model.parameters())
    _demand(
        count < 900_000,
        f"The network has {count:,} parameters, not fewer than 900,000. Which field makes a stage thinner inside?",
    )
    with torch.inference_mode():
        outputs = model.eval()(torch.zeros(1, 3, 64, 64))
    _demand(
        len(outputs) == 7 and outputs[0].shape[2:] == (64, 64),
        "The network must still give seven maps of its input's size.",
    )
    return f"{count:,} parameters."


def _blind(answer: Any) -> str:
    alpha = torch.as_tensor(_ask(answer)).float()
    _demand(
        alpha.dim() == 4 and alpha.shape[:2] == (1, 1), f"The alpha must be (1, 1, H, W), not {tuple(alpha.shape)}."
    )
    _demand(alpha.min() >= 0 and alpha.max() <= 1, "An alpha lies between 0 and 1.")
    share = edge_mask(alpha, 7).mean().item()
    _demand(
        share == 1,
        f"The edge mask covers {share:.0%} of this alpha, not all of it. Where is there no change within 3 pixels?",
    )
    return "Noise in a ground truth does the same: then the edge term is the plain error a second time."


def _rates(answer: Any) -> str:
    factors = [float(factor) for factor in _ask(answer, 100)]
    _demand(len(factors) == 100, f"100 steps need 100 factors, not {len(factors)}.")
    top = max(range(100), key=factors.__getitem__)
    _demand(
        np.isclose(factors[top], 1),
        f"The highest factor is {factors[top]:.3f}, not 1: the peak is the peak rate itself.",
    )
    _demand(8 <= top <= 11, f"The peak comes at step {top}. The warm-up is the first tenth of the steps.")
    rises = np.diff(factors[: top + 1])
    _demand((rises > 0).all() and rises.std() < 0.02, "The warm-up must rise by the same amount at each step.")
    falls = np.diff(factors[top:])
    _demand(
        (falls <= 0).all() and falls.std() < 0.02, "After the peak the rate must fall by the same amount at each step."
    )
    _demand(0 <= factors[-1] < 0.05, f"The last factor is {factors[-1]:.3f}. The rate must come close to 0 at the end.")
    return "Warm-up and linear decay: many language models train with it."


def _loss(answer: Any) -> str:
    true = torch.zeros(2, 1, 16, 16)
    true[..., 4:12, 4:12] = 1
    outputs = [torch.full_like(true, 0.3, requires_grad=True) for _ in range(7)]
    terms = _ask(answer, outputs, true)
    _demand(isinstance(terms, dict) and "total" in terms, "Return a dict with the key 'total'.")
    total = torch.as_tensor(terms["total"])
    _demand(total.dim() == 0, f"'total' must be one number, not a tensor {tuple(total.shape)}.")
    _demand(total.requires_grad, "'total' has no gradient: do not use .item(), numpy or a threshold on the way.")
    total.backward()
    idle = [number for number, output in enumerate(outputs) if output.grad is None or not output.grad.any()]
    _demand(not idle, f"The maps {idle} get no gradient. All seven maps are judged in training.")
    perfect = float(answer([true.clone() for _ in range(7)], true)["total"])
    worse = float(answer([1 - true for _ in range(7)], true)["total"])
    _demand(perfect < total.item() < worse, "A perfect answer must cost the least and an inverted one the most.")
    return "It can be trained: put it into the cell of `loss` in section 6 and run on."


def _best_epoch(answer: Any) -> str:
    history = {"train": [3.0, 2.0, 1.0, 0.5], "val": [[1, 2.5], [2, 1.5], [3, 1.25], [4, 1.75]]}
    epoch = int(_ask(answer, history))
    _demand(
        epoch != 4,
        "The fourth epoch has the lowest training loss. What tells how good the network is on new portraits?",
    )
    _demand(epoch != 2, "Index 2 is the third epoch: epochs are counted from 1.")
    _demand(epoch == 3, f"The validation losses are 2.5, 1.5, 1.25 and 1.75: epoch 3 is the best, not {epoch}.")
    return "From there on training loss falls and validation loss rises: the network learns by heart."


def _iou(answer: Any) -> str:
    pred, true = np.array([[0.9, 0.6], [0.2, 0.1]]), np.array([[1.0, 0.0], [1.0, 0.0]])
    value = float(_ask(answer, pred, true))
    _demand(
        not np.isclose(value, 0.5),
        "That is the share of equal pixels, background among them. IoU looks at the person alone.",
    )
    _demand(np.isclose(value, 1 / 3), f"One pixel is in both, three are in one of them: 1/3, not {value:.3f}.")
    empty = float(answer(np.zeros((2, 2)), np.zeros((2, 2))))
    _demand(empty == 1, f"Two empty masks agree: 1, not {empty}.")
    return "matting_metrics counts the same way."


def _soft_share(answer: Any) -> str:
    photo = read_photo(answer)
    alpha = load_matter().alpha(photo)
    person = float((alpha >= 0.5).mean())
    _demand(person > 0.02, f"The network finds a person on {person:.1%} of {answer}. Take a photo of a person.")
    soft = float(((alpha > 0.05) & (alpha < 0.95)).mean())
    return f"The person covers {person:.0%} of the photo; {soft:.1%} of the pixels are half-transparent."


CHECKS: dict[int, Callable[..., str]] = {
    1: _configuration,
    2: _share,
    3: _smaller,
    4: _augmentation,
    5: _table,
    6: _blind,
    7: _rates,
    8: _loss,
    9: _best_epoch,
    10: _iou,
    11: _soft_share,
}
"""The check of each section's exercise; it returns what to say to a right answer, or raises `Unsolved` or `Wrong`."""
