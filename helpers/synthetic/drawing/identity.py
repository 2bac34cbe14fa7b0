"""What stays with a person from picture to picture."""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from helpers.synthetic.drawing import palette
from helpers.synthetic.drawing.head import HeadShape, random_head

BEARDS = ("none", "stubble", "moustache", "goatee", "short", "full")


@dataclass(frozen=True)
class Identity:
    """Traits of one person; colours are (3,) RGB in [0, 1], the other numbers are shares in [0, 1] or about 1."""

    skin: NDArray
    hair: NDArray
    eyes: NDArray
    head: HeadShape
    femininity: float
    build: float
    """Breadth of the body: 0.85 slight to 1.3 heavy."""
    age: float
    brow: float
    lips: float
    curl: float
    """0 straight hair, 0.5 wavy, 1 tightly curled."""
    beard: str
    bald: float
    glasses: bool
    freckles: float


def random_identity(rng: Generator) -> Identity:
    """A person: every tone of skin, each sex, each age."""
    skin = palette.skin_tone(rng)
    femininity = float(np.clip(rng.choice([0.1, 0.9]) + rng.normal(0, 0.12), 0, 1))
    age = float(rng.beta(1.3, 2))
    hair = palette.hair_colour(rng)
    darkness = 1 - float(skin.mean())
    if darkness > 0.5 and rng.random() < 0.85:  # fair hair is rare on dark skin
        hair = (hair * 0.35).astype(np.float32)
    if age > 0.65 and rng.random() < 0.6:
        hair = np.array([0.62, 0.62, 0.61], np.float32) * np.float32(rng.uniform(0.7, 1.3))
    curl = float(np.clip(rng.beta(1.0, 2.6) + (0.45 if darkness > 0.6 and rng.random() < 0.75 else 0), 0, 1))
    weights = [0.46, 0.16, 0.06, 0.08, 0.14, 0.10] if femininity < 0.5 else [1, 0, 0, 0, 0, 0]
    return Identity(
        skin=skin,
        hair=np.clip(hair, 0.03, 0.95),
        eyes=_eye_colour(rng, darkness),
        head=random_head(rng, femininity),
        femininity=femininity,
        build=float(rng.uniform(0.86, 1.25)),
        age=age,
        brow=float(rng.uniform(0.6, 1.4)),
        lips=float(rng.uniform(0.7, 1.3) + 0.25 * darkness),
        curl=curl,
        beard=str(rng.choice(BEARDS, p=weights)),
        bald=float(rng.random() if femininity < 0.5 else 0),
        glasses=bool(rng.random() < 0.25),
        freckles=float(max(0, rng.normal(-0.3, 0.5))) if darkness < 0.35 else 0.0,
    )


def _eye_colour(rng: Generator, darkness: float) -> NDArray:
    brown, blue, green = [0.24, 0.14, 0.08], [0.36, 0.48, 0.60], [0.36, 0.42, 0.28]
    choice = brown if darkness > 0.4 or rng.random() < 0.5 else (blue if rng.random() < 0.6 else green)
    return np.clip(np.array(choice) * rng.uniform(0.6, 1.2), 0.02, 0.9).astype(np.float32)
