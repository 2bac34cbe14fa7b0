"""A whole person, painted layer over layer: back hair, body, clothes, arms, head, front hair and headwear."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from helpers.synthetic.drawing import beard, clothes, hair, headwear, limbs, neckwear, strands
from helpers.synthetic.drawing.body import HEAD_ABOVE, random_body
from helpers.synthetic.drawing.canvas import Canvas, View, step
from helpers.synthetic.drawing.face import PERSON, SKIN, paint_face, random_expression
from helpers.synthetic.drawing.head import head_surface, turn
from helpers.synthetic.drawing.identity import Identity
from helpers.synthetic.drawing.light import Light
from helpers.synthetic.drawing.outfit import random_outfit


@dataclass(frozen=True)
class Pose:
    """Turn of the head against the picture, in radians, and the pose of each arm (see `limbs.arm`)."""

    yaw: float
    pitch: float
    roll: float
    lean: float
    arms: tuple


class Figure:
    """A person about to be painted on a `canvas`, standing in `view` (body coordinates) under `light`."""

    def __init__(
        self, canvas: Canvas, view: View, identity: Identity, pose: Pose, light: Light, rng: Generator
    ) -> None:
        self.canvas, self.identity, self.pose, self.light = canvas, identity, pose, light
        self.view = view.moved((0, 0), turn=pose.lean)
        dress, anatomy, self.grain, self.locks, self.worn = rng.spawn(5)
        self.body = random_body(anatomy, identity)
        self.outfit = random_outfit(dress, identity)
        self.style = hair.random_style(dress, identity)
        self.hat = headwear.random_hat(dress)
        self.expression = random_expression(dress, identity.femininity)
        self.arms = [limbs.arm(name, side, self.body, anatomy) for name, side in zip(pose.arms, (-1, 1))]
        nod = self.body.middle * 0.3 + 0.25 * np.sin(pose.roll)
        self.head_view = self.view.moved((nod, -HEAD_ABOVE), turn=pose.roll)
        self.rotation = turn(pose.yaw, pitch=pose.pitch)
        self.hair_width = float(np.clip(0.005 * (0.17 * view.size / view.scale) ** 0.7, 0.0022, 0.006))

    def paint(self) -> None:
        """Paint all layers, from the farthest to the nearest."""
        strand_layers = self._grow_hair()
        if strand_layers:
            self._paint_hair(strand_layers, front=False)
        self._paint_body()
        self._paint_head()
        if strand_layers:
            self._paint_hair(strand_layers, front=True)
        self._paint_beard()
        headwear.paint_worn(self.canvas, self.head_view, self.rotation, self.identity, self.hat, self.light, self.worn)
        for arm in self.arms:
            if arm.before_head:
                self._paint_arm(arm)

    def _paint_body(self) -> None:
        canvas, view, body, outfit = self.canvas, self.view, self.body, self.outfit
        light, rng = self.light, self.grain
        for arm in self.arms:
            if arm.behind:
                self._paint_arm(arm)
        clothes.paint_skin(canvas, view, body, self.identity.skin, light)
        clothes.paint_legs(canvas, view, self.identity.skin, light, rng)
        if not outfit.tucked:
            clothes.paint_bottom(canvas, view, body, outfit.bottom, outfit.skirt, light, rng)
        clothes.paint_garment(canvas, view, body, outfit.top, light, rng)
        if outfit.tucked:
            clothes.paint_bottom(canvas, view, body, outfit.bottom, outfit.skirt, light, rng, 3.1)
        neckwear.paint_collar(canvas, view, body, outfit.top, light, self.grain)
        if outfit.outer:
            clothes.paint_garment(canvas, view, body, outfit.outer, light, rng)
        neckwear.paint_extras(canvas, view, body, outfit, light, self.worn)
        for arm in self.arms:
            if not arm.behind and not arm.before_head:
                self._paint_arm(arm)

    def _paint_arm(self, arm: limbs.Arm) -> None:
        canvas, view, light, identity = self.canvas, self.view, self.light, self.identity
        thick = (0.36 - 0.07 * identity.femininity) * identity.build**0.7
        radii = np.array([thick * 1.14, thick * 0.8, thick * 0.5], np.float32) * np.array(
            [1, arm.growth**0.5, arm.growth], np.float32
        )
        garment = self.outfit.outer or self.outfit.top
        ease = garment.ease + (0.03 + 0.1 * garment.looseness)
        box = view.box(arm.joints, float(radii.max() + ease + 0.15))
        skin = limbs.chain(view, box, arm.joints, radii)
        length = float(np.hypot(*np.diff(arm.joints, axis=0).T).sum())
        drop = light.shadow_offset(0.16 * view.scale)
        free = step(skin.along - 0.7, 0.8)  # the shoulder lies on the body and throws no shadow there
        if garment.sleeve < 0.9:
            cover, normal = skin.coverage(view), self._joined(skin, arm)
            canvas.shadow(box, cover * free, drop, 0.1 * view.scale, 0.5 * light.hardness)
            canvas.paint(box, cover, light.shade(identity.skin, normal, 0.05))
        if arm.hand != "hidden":
            self._paint_hand(arm, radii[-1])
        if garment.sleeve > 0:
            # a sleeve ends in a straight cuff, wider than the arm
            sleeve = limbs.chain(view, box, arm.joints, radii + np.array([ease * 0.5, ease, ease * 0.8], np.float32))
            cover = sleeve.coverage(view) * np.clip((garment.sleeve * length - sleeve.along) * view.scale + 0.5, 0, 1)
            wrinkles = garment.fabric.relief(cover.shape, 1.0, self.grain)
            bend = (
                cv2.Sobel(wrinkles, cv2.CV_32F, 1, 0, scale=view.scale / 8),
                cv2.Sobel(wrinkles, cv2.CV_32F, 0, 1, scale=view.scale / 8),
            )
            normal = self._joined(sleeve, arm) + 0.6 * np.stack([-bend[0], -bend[1], 0 * cover])
            normal /= np.sqrt((normal * normal).sum(0)) + 1e-6
            # the print of a chest does not run down the sleeves
            cloth = replace(garment.fabric, pattern="plain") if garment.fabric.pattern == "print" else garment.fabric
            albedo = cloth.albedo(sleeve.across * radii[0], sleeve.along, self.grain)
            canvas.shadow(box, cover * free, drop, 0.1 * view.scale, 0.5 * light.hardness)
            canvas.paint(box, cover, light.shade(albedo, normal, garment.fabric.gloss))
            if garment.fur:
                axis = np.linspace(0, 1, 30)[:, None]
                line = np.concatenate(
                    [
                        arm.joints[0] * (1 - axis) + arm.joints[1] * axis,
                        arm.joints[1] * (1 - axis) + arm.joints[2] * axis,
                    ]
                )
                clothes.paint_fur(
                    canvas,
                    view,
                    np.concatenate([line + ease + 0.15, line[::-1] - ease - 0.15]).astype(np.float32),
                    garment.fabric.first,
                    light,
                    self.grain,
                    700,
                )

    def _joined(self, limb: limbs.Chain, arm: limbs.Arm) -> NDArray:
        """Normals (3, h, w) of a limb that runs smoothly into the body where it starts, instead of ending in a ball."""
        inward = self.view.to_pixels((0, arm.joints[0, 1])) - self.view.to_pixels(arm.joints[0])
        inward /= np.hypot(*inward) + 1e-6
        towards = np.clip(inward[0] * limb.normal[0] + inward[1] * limb.normal[1], 0, 1) * step(0.8 - limb.along, 0.9)
        normal = limb.normal - np.stack([inward[0] * towards, inward[1] * towards, np.zeros_like(towards)])
        return normal / (np.sqrt((normal * normal).sum(0)) + 1e-6)

    def _paint_hand(self, arm: limbs.Arm, wrist_radius: float) -> None:
        side = 1 if arm.joints[0, 0] > 0 else -1
        size = float(wrist_radius) * 2.6
        heading = arm.joints[2] - arm.joints[1]
        parts = limbs.hand_chains(arm.joints[2], heading, size, arm.hand, side)
        box = self.view.box(np.concatenate([np.asarray(joints, np.float32) for joints, _ in parts]), 0.4 * size)
        nail = self.identity.skin * np.array([1.0, 0.93, 0.92], np.float32)
        for joints, radii in parts:
            part = limbs.chain(self.view, box, np.asarray(joints, np.float32), np.asarray(radii, np.float32))
            cover = part.coverage(self.view)
            self.canvas.shadow(
                box,
                cover,
                self.light.shadow_offset(0.05 * self.view.scale),
                0.04 * self.view.scale,
                0.45 * self.light.hardness,
            )
            self.canvas.paint(box, cover, self.light.shade(nail, part.normal, 0.05))

    def _paint_head(self) -> None:
        canvas, view, identity, rng = self.canvas, self.head_view, self.identity, self.grain
        box = view.box([(-1.3, -1.4), (1.3, 1.4)], 0.1)
        seen = head_surface(identity.head, self.rotation, view, box)
        flat, flat_view = paint_face(identity, self.expression, view.scale, rng)
        if identity.beard != "none":
            beard.shade_skin(flat, flat_view, identity, rng)
        pixels = flat_view.to_pixels(np.moveaxis(seen.points[:2], 0, -1)) - 0.5
        map_x, map_y = np.ascontiguousarray(pixels[..., 0]), np.ascontiguousarray(pixels[..., 1])
        albedo: NDArray = np.stack(
            [cv2.remap(plane, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for plane in flat.colour]
        )
        labels = cv2.remap(flat.labels, map_x, map_y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
        _, y, z = seen.points
        # the flat face covers the front of the head only, not its back
        behind = step(0.14 - z, 0.12)
        albedo += behind * (identity.skin[:, None, None] - albedo)
        labels[behind > 0.5] = SKIN
        # ears, temples and nape have a skin of their own, which is not in the flat face
        labels[(z < -0.02) | (y < -0.92)] = PERSON
        if self.style is not None:
            grows = step(hair.hairline(seen.points, identity) - 0.02, 0.12)
            roots = 0.55 * identity.hair + 0.05 * identity.skin
            albedo = albedo + grows * 0.95 * (roots[:, None, None] - albedo)
            labels[grows > 0.5] = PERSON
        canvas.shadow(
            box,
            seen.coverage,
            self.light.shadow_offset(0.35 * view.scale),
            0.16 * view.scale,
            0.75 * self.light.hardness,
        )
        canvas.shadow(box, seen.coverage, (0, 0.1 * view.scale), 0.1 * view.scale, 0.35)
        canvas.paint(box, seen.coverage, self.light.shade(albedo, seen.normal, 0.07), labels)

    def _grow_hair(self) -> tuple[NDArray, NDArray, NDArray, NDArray] | None:
        if self.style is None:
            return None
        upright = np.array([np.sin(self.head_view.angle), np.cos(self.head_view.angle), 0], np.float32)
        # a larger head in the picture has thinner hair
        count = int(np.clip(820 / self.hair_width * 0.005, 650, 1500))
        paths, locks = hair.grow(self.style, self.identity, self.rotation.T @ upright, count, self.locks)
        paths, loose = strands.flyaway(paths, self.locks, 0.07, 0.10)
        paths = paths @ self.rotation.T
        centre = self.rotation @ np.array([0, -0.2, -0.1], np.float32)
        tone = strands.shade(paths, locks, self.locks, self.light, self.head_view, centre, 0.45)
        front = paths[:, strands.PIECES // 2 :: strands.PIECES, 2] > -0.05
        return paths, tone, front, loose

    def _paint_hair(self, layers: tuple[NDArray, NDArray, NDArray, NDArray], front: bool) -> None:
        paths, tone, in_front, loose = layers
        chosen = in_front if front else ~in_front
        if not front:
            tone = tone * 0.62  # the head and the hair before it take the light
        cap = self.hat.covers_hair if self.hat else None
        if cap is not None:
            middle = paths[:, strands.PIECES // 2 :: strands.PIECES] @ self.rotation
            chosen = chosen & ~cap(middle)
        assert self.style is not None  # otherwise there would be no hair to paint
        closed = 0.03 + 0.02 * min(self.style.length, 1.5)
        for part, bulk in ((chosen & loose[:, None], 0.0), (chosen & ~loose[:, None], closed)):
            drawn = strands.draw(self.head_view, paths, tone, part, self.hair_width, bulk)
            if front:
                self.canvas.shadow(
                    drawn.box,
                    drawn.coverage,
                    self.light.shadow_offset(0.06 * self.head_view.scale),
                    0.06 * self.head_view.scale,
                    0.6 * self.light.hardness,
                )
            self.canvas.paint(drawn.box, drawn.coverage, self._hair_colour(drawn.tone))

    def _hair_colour(self, tone: NDArray) -> NDArray:
        glint = np.clip(tone - 1, 0, 1)
        colour = (self.identity.hair * 1.05)[:, None, None] * tone
        return np.clip(colour + 0.12 * glint * self.light.key[:, None, None], 0, 1)

    def _paint_beard(self) -> None:
        grown = beard.beard_strands(self.identity, self.locks)
        if grown is None:
            return
        paths, locks = grown
        paths = paths @ self.rotation.T
        tone = strands.shade(
            paths, locks, self.locks, self.light, self.head_view, np.array([0, 0.1, -0.2], np.float32), 0.15
        )
        seen = paths[:, strands.PIECES // 2 :: strands.PIECES, 2] > 0
        drawn = strands.draw(self.head_view, paths, tone * 0.9, seen, 0.008, 0.015)
        self.canvas.paint(drawn.box, drawn.coverage, self._hair_colour(drawn.tone))
