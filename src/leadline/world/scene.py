"""Scenes: tables of primitives with materials and lights, and the builder that composes them."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from leadline.world import primitives as prim

if TYPE_CHECKING:
    from leadline.world.materials import TextureBank

Vec = Sequence[float] | np.ndarray


@dataclass(kw_only=True)
class Lighting:
    """Lights of a scene; colours are linear RGB, directions are unit vectors towards the light."""

    sun_direction: np.ndarray = field(default_factory=lambda: np.array([0.3, 0.2, 0.93]))
    sun_color: np.ndarray = field(default_factory=lambda: np.zeros(3))
    sky_color: np.ndarray = field(default_factory=lambda: np.full(3, 0.4))
    ground_color: np.ndarray = field(default_factory=lambda: np.full(3, 0.2))
    lamps: list[tuple[np.ndarray, np.ndarray, float]] = field(default_factory=list)
    shadow_lamp: bool = False
    shadows: bool = True
    fog: float = 0.0
    fog_color: np.ndarray = field(default_factory=lambda: np.full(3, 0.7))
    sky: int = 0
    sky_yaw: float = 0.0
    sky_gain: float = 1.0
    lit_radius: float = 30.0
    """Radius in metres around the origin that the shadow map covers."""


@dataclass(kw_only=True)
class Scene:
    """A frozen table of primitives; z is up, metres. Built by `Builder.finish`."""

    kind: str
    seed: int
    bank: TextureBank
    kinds: list[int]
    params: list[Any]
    alpha: list[tuple[int, float, float]]
    holes: dict[int, list[tuple[float, float, float, float]]]
    centres: np.ndarray
    world_from_local: np.ndarray
    local_from_world: np.ndarray
    rotations: np.ndarray
    scales: np.ndarray
    extents: np.ndarray
    materials: np.ndarray
    labels: np.ndarray
    casts: np.ndarray
    material_table: np.ndarray
    lighting: Lighting
    room: np.ndarray | None
    views: dict[str, Any]
    shadow_cache: list[Any] = field(default_factory=list)
    looks_cache: list[Any] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True, slots=True)
class Primitive:
    """One shape while a scene is composed.

    Attributes:
        kind, params: shape code and its own numbers; see `primitives`.
        centre, rotation, scale: the local frame: where, turned how (3x3), and half sizes (m).
        material: index of the material.
        alpha: mask index (-1 = solid) and its repeats along the two axes.
        extent: half sizes in local units of what the shape can fill.
        holes: rectangles left out, in local coordinates.
        casts: whether it throws a shadow.
        label: number of the object that it is a part of.
        fit: whether one texture tile is stretched over it.
    """

    kind: int
    params: Any
    centre: np.ndarray
    rotation: np.ndarray
    scale: tuple[float, ...]
    material: int
    alpha: tuple[int, float, float]
    extent: tuple[float, ...]
    holes: Any
    casts: bool
    label: int
    fit: bool

    @property
    def reach_y(self) -> float:
        """Half its extent along y, metres."""
        sizes = np.asarray(self.scale) * np.asarray(self.extent)
        return float(np.abs(self.rotation[1]) @ sizes)


def rotation_z(yaw: float) -> np.ndarray:
    """3x3 turn about the up axis."""
    c, s = np.cos(yaw), np.sin(yaw)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def rotation_from(axis: Vec, angle: float) -> np.ndarray:
    """3x3 turn about any axis (Rodrigues)."""
    a = np.asarray(axis, float)
    a = a / np.linalg.norm(a)
    k = np.array([[0, -a[2], a[1]], [a[2], 0, -a[0]], [-a[1], a[0], 0]])
    return np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * (k @ k)


def frame_along(direction: np.ndarray) -> np.ndarray:
    """3x3 frame whose third column is the direction."""
    x, y, z = direction.tolist()
    norm = math.sqrt(x * x + y * y + z * z) + 1e-12
    x, y, z = x / norm, y / norm, z / norm
    if abs(z) < 0.9:  # side = up x direction
        size = math.hypot(x, y)
        a, b, c = -y / size, x / size, 0.0
    else:
        size = math.hypot(y, z)
        a, b, c = 0.0, -z / size, y / size
    return np.array([[a, y * c - z * b, x], [b, z * a - x * c, y], [c, x * b - y * a, z]])


class Builder:
    """Collects primitives in nested frames; sizes are full widths in metres."""

    def __init__(self, rng: np.random.Generator, bank: TextureBank) -> None:
        self.rng = rng
        self.bank = bank
        self.light = Lighting()
        self.room: np.ndarray | None = None
        self.views: dict[str, Any] = {}
        self.label = 0
        self._labels = 0
        self._frames: list[tuple[np.ndarray, np.ndarray]] = [(np.eye(3), np.zeros(3))]
        self.rows: list[Primitive] = []
        self._materials: list[tuple[float, ...]] = []

    def __len__(self) -> int:
        return len(self.rows)

    @contextlib.contextmanager
    def at(
        self, position: Vec, yaw: float = 0.0, rotation: np.ndarray | None = None
    ) -> Generator[None]:
        """Work in a frame placed at the position and turned; every use is a new object label."""
        turn, origin = self._frames[-1]
        local = rotation_z(yaw) if rotation is None else rotation
        self._frames.append((turn @ local, origin + turn @ np.asarray(position, float)))
        outside, self._labels = self.label, self._labels + 1
        self.label = self._labels
        try:
            yield
        finally:
            self._frames.pop()
            self.label = outside

    def place(self, position: Vec) -> np.ndarray:
        """A point of the current frame, in the world's: where lamps are given."""
        turn, origin = self._frames[-1]
        return origin + turn @ np.asarray(position, float)

    def mat(
        self,
        category: str = "flat",
        color: Vec | None = None,
        *,
        scale: float = 1.0,
        contrast: float = 1.0,
        shine: float = 0.0,
        gloss: float = 20.0,
        glow: float = 0.0,
    ) -> int:
        """Add a material and return its index.

        Args:
            category: texture category of the bank.
            color: wanted mean albedo (sRGB 0..1); None keeps the texture's own.
            scale: metres per tile.
            contrast: 0 = flat colour, 1 = the texture as it is.
            shine: strength of the highlight.
            gloss: its exponent.
            glow: 0 = lit, otherwise emitted radiance (times the texture).
        """
        index = self.bank.pick(self.rng, category)
        rgb = (-1.0, -1.0, -1.0) if color is None else tuple(float(c) ** 2.0 for c in color)
        self._materials.append((index, 1.0 / scale, contrast, shine, gloss, glow, *rgb))
        return len(self._materials) - 1

    def _add(
        self,
        kind: int,
        centre: Vec,
        rotation: np.ndarray | None,
        scale: Vec,
        material: int,
        params: Any = (),
        alpha: tuple[int, float, float] = (-1, 1.0, 1.0),
        extent: Vec = (1.0, 1.0, 1.0),
        holes: Any = None,
        casts: bool = True,
        fit: bool = False,
    ) -> None:
        turn = self._frames[-1][0]
        self.rows.append(
            Primitive(
                kind=kind,
                params=params,
                centre=self.place(centre),
                rotation=turn if rotation is None else turn @ rotation,
                scale=tuple(scale),
                material=material,
                alpha=alpha,
                extent=tuple(extent),
                holes=holes,
                casts=casts,
                label=self.label,
                fit=fit,
            )
        )

    def quad(
        self,
        centre: Vec,
        size: Vec,
        material: int,
        *,
        rotation: np.ndarray | None = None,
        normal: str = "z",
        mask: str | int | None = None,
        repeat: Vec = (1.0, 1.0),
        holes: Any = None,
        casts: bool = True,
        fit: bool = False,
    ) -> None:
        """Rectangle (size = its two widths). normal: 'z' lies; 'y' and 'x' stand upright.

        mask: category (or index) of an alpha mask; holes: rectangles in local [-1, 1] coordinates;
        fit: stretch one texture tile over the whole rectangle.
        """
        if normal == "y":
            base = np.stack([[1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]], axis=1)
        elif normal == "x":
            base = np.stack([[0, 1.0, 0], [0, 0, -1.0], [-1.0, 0, 0]], axis=1)
        else:
            base = np.eye(3)
        turned = base if rotation is None else rotation @ base
        if mask is None:
            index = -1
        else:
            index = mask if isinstance(mask, int) else self.bank.pick_mask(self.rng, mask)
        self._add(
            prim.QUAD,
            centre,
            turned,
            (size[0] / 2, size[1] / 2, 1.0),
            material,
            alpha=(index, float(repeat[0]), float(repeat[1])),
            extent=(1, 1, 0),
            holes=holes,
            casts=casts,
            fit=fit,
        )

    def box(
        self,
        centre: Vec,
        size: Vec,
        material: int,
        *,
        rotation: np.ndarray | None = None,
        casts: bool = True,
        fit: bool = False,
    ) -> None:
        """Cuboid."""
        half = [max(s, 1e-3) / 2 for s in size]
        self._add(prim.BOX, centre, rotation, half, material, casts=casts, fit=fit)

    def ball(
        self,
        centre: Vec,
        radii: Vec,
        material: int,
        *,
        rotation: np.ndarray | None = None,
        bumps: float = 0.0,
        waviness: float = 5.0,
        mask: str | None = None,
        repeat: float = 2.0,
    ) -> None:
        """Ellipsoid; bumps > 0 perturbs its radius, mask perforates it."""
        if bumps <= 0.0:
            index = -1 if mask is None else self.bank.pick_mask(self.rng, mask)
            self._add(
                prim.ELLIPSOID, centre, rotation, radii, material, alpha=(index, repeat, repeat)
            )
            return
        waves = []
        for octave in range(3):
            k = self.rng.normal(size=3)
            k = k / np.linalg.norm(k) * waviness * 1.7**octave
            amplitude = bumps * 0.55 * 0.75**octave
            waves.append((*k.tolist(), float(self.rng.uniform(0, 6.28)), amplitude))
        self._add(prim.BLOB, centre, rotation, radii, material, params=waves)

    def tube(
        self,
        start: Vec,
        stop: Vec,
        radius: float,
        material: int,
        *,
        end_radius: float | None = None,
        closed: bool = True,
    ) -> None:
        """Cylinder or cut cone between two points."""
        a, b = np.asarray(start, float), np.asarray(stop, float)
        r1 = radius if end_radius is None else end_radius
        top = max(radius, r1, 1e-4)
        params = ((radius + r1) / 2 / top, (r1 - radius) / 2 / top, float(closed))
        half = max(float(np.linalg.norm(b - a)) / 2, 1e-4)
        self._add(prim.CONE, (a + b) / 2, frame_along(b - a), (top, top, half), material, params)

    def limb(
        self, start: Vec, stop: Vec, radius: float, material: int, end_radius: float | None = None
    ) -> None:
        """Capsule, or round cone, between two points."""
        a, b = np.asarray(start, float), np.asarray(stop, float)
        r1 = radius if end_radius is None else end_radius
        top = max(radius, r1, 1e-4)
        half = max(float(np.linalg.norm(b - a)) / 2 / top, 1e-3)
        params = ((radius + r1) / 2 / top, (r1 - radius) / 2 / top / half, half)
        self._add(
            prim.CAPSULE,
            (a + b) / 2,
            frame_along(b - a),
            (top, top, top),
            material,
            params,
            extent=(1.0, 1.0, half + 1.0),
        )

    def cushion(
        self,
        centre: Vec,
        size: Vec,
        material: int,
        *,
        rotation: np.ndarray | None = None,
        doublings: int = 2,
    ) -> None:
        """Rounded cuboid: doublings 1 = ellipsoid, 2 = soft, 3 = nearly a box."""
        half = [max(s, 1e-3) / 2 for s in size]
        self._add(prim.CUSHION, centre, rotation, half, material, params=(doublings,))

    def finish(self, kind: str, seed: int) -> Scene:
        """Freeze the tables."""
        rows = self.rows
        rotations = np.array([r.rotation for r in rows], np.float32)
        scales = np.array([r.scale for r in rows], np.float32)
        world_from_local = rotations * scales[:, None, :]
        local_from_world = rotations.transpose(0, 2, 1) / scales[:, :, None]
        return Scene(
            kind=kind,
            seed=seed,
            bank=self.bank,
            kinds=[r.kind for r in rows],
            params=[r.params for r in rows],
            alpha=[r.alpha for r in rows],
            holes={i: r.holes for i, r in enumerate(rows) if r.holes},
            centres=np.array([r.centre for r in rows], np.float32),
            world_from_local=world_from_local,
            local_from_world=local_from_world,
            rotations=rotations,
            scales=scales,
            extents=np.array([r.extent for r in rows], np.float32),
            materials=np.array([[r.material, r.fit] for r in rows], np.float32),
            labels=np.array([r.label for r in rows], np.int16),
            casts=np.array([r.casts for r in rows], bool),
            material_table=np.array(self._materials, np.float32),
            lighting=self.light,
            room=self.room,
            views=self.views,
        )
