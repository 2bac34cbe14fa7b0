"""Which clothes people wear together: a top, in some cases an open garment over it, trousers or a skirt."""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from helpers.synthetic.drawing.fabric import Fabric, random_fabric
from helpers.synthetic.drawing.identity import Identity


@dataclass(frozen=True)
class Garment:
    """One garment; `ease`, `hem`, `depth` and `flare` are head units, `sleeve` the covered share of the arm."""

    fabric: Fabric
    neckline: str
    """crew, v, scoop, boat, straps, off, high, collar or open (a jacket: closed at `depth`, or not at all)."""
    depth: float
    sleeve: float
    ease: float
    looseness: float
    hem: float
    flare: float
    fur: bool = False
    lapels: float = 0.0
    buttons: bool = False
    fastened: bool = True


@dataclass(frozen=True)
class Outfit:
    """A top, an open garment over it in some cases, and what is worn below the waist."""

    top: Garment
    outer: Garment | None
    bottom: Fabric
    skirt: float
    """Where a skirt ends, head units below the pit of the neck; 0 for trousers."""
    tucked: bool


def random_outfit(rng: Generator, identity: Identity) -> Outfit:
    """Clothes that people would wear together."""
    u, feminine = rng.uniform, rng.random() < identity.femininity
    necklines = ["crew", "v", "scoop", "boat", "straps", "off", "high", "collar"]
    share = [20, 18, 14, 6, 12, 4, 8, 18] if feminine else [42, 12, 3, 0, 5, 0, 8, 30]
    neckline = str(rng.choice(necklines, p=np.array(share) / 100))
    depth = {
        "crew": u(0.05, 0.25),
        "v": u(0.45, 1.25),
        "scoop": u(0.4, 0.9),
        "boat": u(0.1, 0.3),
        "straps": u(0.7, 1.1),
        "off": u(0.75, 1.0),
        "high": 0.0,
        "collar": u(0.15, 0.7),
    }[neckline]
    sleeve = float(rng.choice([0.0, 0.32, 0.55, 0.97], p=[0.1, 0.35, 0.1, 0.45]))
    if neckline in ("straps", "off"):
        sleeve = 0.0
    top = Garment(
        random_fabric(rng),
        neckline,
        float(depth),
        sleeve,
        ease=u(0.03, 0.12),
        looseness=u(0, 1),
        hem=u(4.0, 5.4),
        flare=u(0, 0.15),
        buttons=neckline == "collar",
    )
    outer = random_outer(rng) if rng.random() < 0.42 else None
    return Outfit(
        top,
        outer,
        random_fabric(rng, smooth=True),
        u(6.2, 11) if feminine and rng.random() < 0.4 else 0.0,
        bool(rng.random() < 0.45),
    )


def random_outer(rng: Generator) -> Garment:
    """A jacket, coat, cardigan or fur."""
    u = rng.uniform
    kind = rng.choice(["blazer", "coat", "cardigan", "short", "fur"], p=[0.32, 0.25, 0.18, 0.18, 0.07])
    lapels = {"blazer": u(0.25, 0.45), "coat": u(0.25, 0.6), "cardigan": 0.0, "short": u(0.0, 0.3), "fur": 0.0}[kind]
    hem = {"blazer": u(4.6, 5.4), "coat": u(6.5, 9.5), "cardigan": u(4.2, 6.0), "short": u(3.3, 4.2), "fur": u(4, 7)}[
        kind
    ]
    return Garment(
        random_fabric(rng, smooth=True),
        "open",
        depth=u(0.9, 2.6),
        sleeve=0.97,
        ease=u(0.1, 0.28),
        looseness=u(0.3, 1),
        hem=float(hem),
        flare=u(0, 0.5),
        fur=kind == "fur",
        lapels=float(lapels),
        buttons=rng.random() < 0.6,
        fastened=rng.random() < 0.5,
    )
