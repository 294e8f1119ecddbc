"""The linear program of the planes: what is known, what is wanted, and its rows.

Source: Saxena, Sun and Ng, Make3D, TPAMI 2009, section 4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from leadline.errors import InputError, MissingDependencyError, UnknownNameError

if TYPE_CHECKING:
    from types import ModuleType

    from jaxtyping import Float, Int

    from leadline.superpixel.segmentation import Segments

Solver = Literal["admm", "highs"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Evidence:
    """What is known before the planes are.

    Attributes:
        x, y: points, -1 .. 1 from the left and from the top.
        owner: segment of each point.
        log_depth: of each point, natural logarithm.
        weight: of each point, 0 .. 1.
        ground, sky: probability of each segment.
        together: for each pair of ``Segments.touching``, the probability that the surface goes on
            across the border.
        horizon: y of the horizon, -1 .. 1; it may lie outside the picture.
    """

    x: Float[np.ndarray, " p"]
    y: Float[np.ndarray, " p"]
    owner: Int[np.ndarray, " p"]
    log_depth: Float[np.ndarray, " p"]
    weight: Float[np.ndarray, " p"]
    ground: Float[np.ndarray, " n"]
    sky: Float[np.ndarray, " n"]
    together: Float[np.ndarray, " m"]
    horizon: float


@dataclass(frozen=True, kw_only=True)
class PlaneConfig:
    """What is wanted of the planes, and how hard to look.

    Attributes:
        coplanar: weight of two neighbours lying in one plane.
        connected: weight of two neighbours meeting at their border.
        upright: weight of a segment that is no ground standing upright.
        horizon: weight of ground vanishing at the horizon.
        near, far: bounds of depth, in units of the points' median depth.
        border_points: points along the border of a pair.
        solver: ``admm`` or ``highs``.
        iterations: of ADMM, at most.
        tolerance: of ADMM: residuals relative to the size of what they compare.
    """

    coplanar: float = 0.5
    connected: float = 1.0
    upright: float = 1.0
    horizon: float = 1.0
    near: float = 0.25
    far: float = 5.0
    border_points: int = 3
    solver: Solver = "admm"
    iterations: int = 2000
    tolerance: float = 1e-3

    def __post_init__(self) -> None:
        if self.solver not in get_args(Solver):
            raise UnknownNameError("solver", self.solver, get_args(Solver))
        if not 0 < self.near < self.far:
            raise InputError(
                f"bounds near={self.near}, far={self.far} in median depths: 0 < near < far is "
                "needed."
            )
        if min(self.coplanar, self.connected, self.upright, self.horizon) < 0:
            raise InputError("a weight of the planes is negative; 0 turns a term off.")
        if self.iterations < 1 or not self.tolerance > 0 or self.border_points < 1:
            raise InputError(
                f"iterations={self.iterations}, tolerance={self.tolerance}, "
                f"border_points={self.border_points}: positive numbers are needed."
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class LinearProgram:
    """Minimise sum |matrix @ v - target| subject to low <= bounded @ v <= high.

    Attributes:
        matrix, target: one row for each absolute value, its weight multiplied in.
        bounded: one row for each bound; sparse, as ``matrix``.
        low, high: of each bound.
        terms: name -> slice of the rows of ``matrix``.
    """

    matrix: Any
    target: Float[np.ndarray, " r"]
    bounded: Any
    low: float
    high: float
    terms: dict[str, slice]

    def objective(self, unknowns: Float[np.ndarray, " v"]) -> float:
        """The sum of absolute values."""
        return float(np.abs(self.matrix @ unknowns - self.target).sum())


def build(segments: Segments, evidence: Evidence, config: PlaneConfig) -> LinearProgram:
    """The linear program; depths in units of the points' median."""
    if len(evidence.x) == 0 or not np.isfinite(evidence.log_depth).all():
        raise InputError(
            f"{len(evidence.x)} points, not all with a finite depth: at least one point and finite "
            "depths are needed."
        )
    frames = frames_of(segments)
    depth = np.exp(evidence.log_depth - np.median(evidence.log_depth))
    depth = np.clip(depth, config.near, config.far)
    mean = _segment_depth(segments, evidence, depth)
    pairs, _ = segments.touching
    joint = np.sqrt(mean[pairs[:, 0]] * mean[pairs[:, 1]]) * evidence.together
    rows = _Rows(frames)
    rows.values("data", evidence.owner, evidence.x, evidence.y, depth, evidence.weight)
    for one, other in ((0, 1), (1, 0)):
        at = frames[pairs[:, other]]
        rows.differences(
            "coplanar", pairs[:, one], pairs[:, other], at[:, :2], config.coplanar * joint
        )
    places, which = _border_points(segments, config.border_points)
    rows.differences(
        "connected",
        pairs[which, 0],
        pairs[which, 1],
        places,
        config.connected * joint[which] / config.border_points,
    )
    rows.slopes("upright", config.upright * mean * (1 - evidence.ground) * (1 - evidence.sky))
    rows.zeros_at("horizon", evidence.horizon, config.horizon * mean * evidence.ground)
    return rows.program(_extremes(segments), 1 / config.far, 1 / config.near)


class _Rows:
    """Rows of the program; unknowns are q at a segment's centre and its slopes per extent."""

    def __init__(self, frames: Float[np.ndarray, "n 3"]) -> None:
        self._frames = frames
        self._blocks: list[Any] = []
        self._targets: list[np.ndarray] = []
        self._terms: dict[str, slice] = {}
        self._count = 0

    def values(
        self,
        name: str,
        owner: np.ndarray,
        x: np.ndarray,
        y: np.ndarray,
        depth: np.ndarray,
        weight: np.ndarray,
    ) -> None:
        """Weight * |depth * q(x, y) - 1|."""
        block = self._at(owner, np.stack([x, y], 1), depth * weight)
        self._add(name, block, weight)

    def differences(
        self, name: str, one: np.ndarray, other: np.ndarray, at: np.ndarray, weight: np.ndarray
    ) -> None:
        """Weight * |q_one - q_other| at the places."""
        block = self._at(one, at, weight) - self._at(other, at, weight)
        self._add(name, block, np.zeros(len(one)))

    def slopes(self, name: str, weight: np.ndarray) -> None:
        """Weight * |change of q over the segment's extent, downwards|."""
        count = len(self._frames)
        block = sparse_matrices().csr_array(
            (weight, (np.arange(count), 3 * np.arange(count) + 1)), shape=(count, 3 * count)
        )
        self._add(name, block, np.zeros(count))

    def zeros_at(self, name: str, y: float, weight: np.ndarray) -> None:
        """Weight * |q| where the segment's plane meets the line y, per unit of its slope."""
        x, centre, extent = self._frames.T
        far = np.maximum(1, np.abs(y - centre) / extent)
        block = self._at(np.arange(len(x)), np.stack([x, np.full(len(x), y)], 1), weight / far)
        self._add(name, block, np.zeros(len(x)))

    def program(
        self, extremes: tuple[np.ndarray, np.ndarray], low: float, high: float
    ) -> LinearProgram:
        owner, places = extremes
        return LinearProgram(
            matrix=sparse_matrices().vstack(self._blocks, format="csr"),
            target=np.concatenate(self._targets),
            bounded=self._at(owner, places, np.ones(len(owner))),
            low=low,
            high=high,
            terms=self._terms,
        )

    def _at(self, owner: np.ndarray, places: np.ndarray, weight: np.ndarray) -> Any:
        """Sparse rows weight * q_owner(places)."""
        frame = self._frames[owner]
        values = np.stack(
            [
                weight * (places[:, 0] - frame[:, 0]) / frame[:, 2],
                weight * (places[:, 1] - frame[:, 1]) / frame[:, 2],
                weight,
            ],
            axis=1,
        )
        columns = 3 * owner[:, None] + np.arange(3)
        starts = np.arange(0, 3 * len(owner) + 1, 3)
        shape = len(owner), 3 * len(self._frames)
        return sparse_matrices().csr_array((values.ravel(), columns.ravel(), starts), shape=shape)

    def _add(self, name: str, block: Any, target: np.ndarray) -> None:
        self._blocks.append(block)
        self._targets.append(np.asarray(target, dtype=np.float64))
        start = self._terms[name].start if name in self._terms else self._count
        self._count += len(target)
        self._terms[name] = slice(start, self._count)


def frames_of(segments: Segments) -> Float[np.ndarray, "n 3"]:
    """Centre x, y and extent of each segment, in picture units."""
    flat, areas = segments.labels.ravel(), segments.areas
    height, width = segments.size
    row, column = np.divmod(np.arange(flat.size), width)
    y = np.bincount(flat, 2 * (row + 0.5) / height - 1) / areas
    x = np.bincount(flat, 2 * (column + 0.5) / width - 1) / areas
    extent = np.sqrt(4 * areas / flat.size)
    return np.stack([x, y, extent], axis=1)


def _segment_depth(
    segments: Segments, evidence: Evidence, depth: np.ndarray
) -> Float[np.ndarray, " n"]:
    """Mean depth of each segment's points, the median of all where it has none."""
    total = np.bincount(evidence.owner, depth, segments.count)
    points = np.bincount(evidence.owner, minlength=segments.count)
    return np.where(points > 0, total / np.maximum(points, 1), 1.0)


def _border_points(
    segments: Segments, count: int
) -> tuple[Float[np.ndarray, "k 2"], Int[np.ndarray, " k"]]:
    """``count`` places evenly along the border of each touching pair, and which pair."""
    labels = segments.labels.astype(np.int64)
    height, width = segments.size
    pairs, shared = segments.touching
    found = []
    for down, right in ((0, 1), (1, 0)):
        a, b = labels[: height - down, : width - right], labels[down:, right:]
        row, column = np.nonzero(a != b)
        low, high = np.minimum(a, b)[row, column], np.maximum(a, b)[row, column]
        place = np.stack([column + (1 + right) / 2, row + (1 + down) / 2], axis=1)
        found.append((low * segments.count + high, place))
    codes = np.concatenate([code for code, _ in found])
    places = np.concatenate([place for _, place in found])
    order = np.argsort(codes, kind="stable")
    starts = np.concatenate([[0], np.cumsum(shared)[:-1]])
    pick = starts[:, None] + ((np.arange(count) + 0.5) * shared[:, None] / count).astype(np.int64)
    chosen = places[order][pick.ravel()] * 2 / np.array([width, height]) - 1
    return chosen, np.repeat(np.arange(len(pairs)), count)


def _extremes(segments: Segments) -> tuple[Int[np.ndarray, " k"], Float[np.ndarray, "k 2"]]:
    """The outermost pixels of each segment in eight directions: owners and places."""
    flat = segments.labels.ravel()
    height, width = segments.size
    row, column = np.divmod(np.arange(flat.size), width)
    chosen = []
    for key in (row, column, row + column, row - column):
        order = np.lexsort((key, flat))
        ends = np.cumsum(segments.areas)
        chosen += [order[ends - segments.areas], order[ends - 1]]
    at = np.concatenate(chosen)
    places = np.stack([2 * (column[at] + 0.5) / width - 1, 2 * (row[at] + 0.5) / height - 1], 1)
    return np.tile(np.arange(segments.count), len(chosen)), places


def sparse_matrices() -> ModuleType:
    """``scipy.sparse``, or an error that names the extra."""
    try:
        from scipy import sparse
    except ImportError as error:
        raise MissingDependencyError("scipy", "fitting planes to segments", "classic") from error
    return sparse
