"""A plane for every segment: the map that agrees with the points and joins up, found exactly.

The inverse depth of a plane is linear in the picture: q(x, y) = a x + b y + c, so that each segment
has three unknowns. What is wanted of them is a sum of absolute values and bounds on depth: a linear
programme. ADMM solves it on sparse matrices, factored once; scipy's HiGHS solves the same
as the reference (``solver="highs"``).

Source: Saxena, Sun and Ng, Make3D, TPAMI 2009, section 4 (whose authors smooth the absolute values
and use Newton's method); Boyd et al., ADMM, 2011, sections 3.4 and 6.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from leadline.errors import InputError, LeadlineError, MissingDependencyError

if TYPE_CHECKING:
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

    coplanar: float = 2.0
    connected: float = 4.0
    upright: float = 1.0
    horizon: float = 1.0
    near: float = 0.25
    far: float = 5.0
    border_points: int = 3
    solver: Solver = "admm"
    iterations: int = 2000
    tolerance: float = 1e-3

    def __post_init__(self) -> None:
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
class Programme:
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


@dataclass(frozen=True, kw_only=True, eq=False)
class Solution:
    """Planes, and how they were found.

    Attributes:
        planes: (n, 3): a, b, c of q = a x + b y + c, inverse depth in units of the points'.
        objective: sum of the weighted absolute values.
        iterations: of the solver.
        primal_residual, dual_residual: of ADMM, relative; 0 where the solver gives none.
        converged: whether the tolerance was reached.
        solver: which.
    """

    planes: Float[np.ndarray, "n 3"]
    objective: float
    iterations: int
    primal_residual: float
    dual_residual: float
    converged: bool
    solver: Solver

    def inverse_depth(self, segments: Segments) -> Float[np.ndarray, "h w"]:
        """Q at every pixel."""
        height, width = segments.size
        x = 2 * (np.arange(width) + 0.5) / width - 1
        y = 2 * (np.arange(height)[:, None] + 0.5) / height - 1
        a, b, c = np.moveaxis(self.planes[segments.labels], 2, 0)
        return a * x + b * y + c


def solve_planes(
    segments: Segments, evidence: Evidence, config: PlaneConfig | None = None
) -> Solution:
    """The best planes.

    Args:
        segments: of the picture.
        evidence: points and probabilities; each segment should have a point.
        config: weights, bounds and solver.

    Raises:
        InputError: no points, or points that are not finite.
        LeadlineError: HiGHS found no optimum.
    """
    config = config or PlaneConfig()
    programme = build(segments, evidence, config)
    if config.solver == "highs":
        unknowns, iterations = _highs(programme)
        primal = dual = 0.0
        converged = True
    else:
        unknowns, iterations, primal, dual = _admm(programme, config)
        converged = max(primal, dual) <= config.tolerance
    scale = np.exp(np.median(evidence.log_depth))
    return Solution(
        planes=_from_local(unknowns, _frames(segments)) / scale,
        objective=programme.objective(unknowns),
        iterations=iterations,
        primal_residual=primal,
        dual_residual=dual,
        converged=converged,
        solver=config.solver,
    )


def build(segments: Segments, evidence: Evidence, config: PlaneConfig) -> Programme:
    """The linear programme; depths in units of the points' median."""
    if len(evidence.x) == 0 or not np.isfinite(evidence.log_depth).all():
        raise InputError(
            f"{len(evidence.x)} points, not all with a finite depth: at least one point and finite "
            "depths are needed."
        )
    frames = _frames(segments)
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
    return rows.programme(_extremes(segments), 1 / config.far, 1 / config.near)


class _Rows:
    """Rows of the programme; unknowns are q at a segment's centre and its slopes per extent."""

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
        block = _sparse().csr_array(
            (weight, (np.arange(count), 3 * np.arange(count) + 1)), shape=(count, 3 * count)
        )
        self._add(name, block, np.zeros(count))

    def zeros_at(self, name: str, y: float, weight: np.ndarray) -> None:
        """Weight * |q| where the segment's plane meets the line y, per unit of its slope."""
        x, centre, extent = self._frames.T
        far = np.maximum(1, np.abs(y - centre) / extent)
        block = self._at(np.arange(len(x)), np.stack([x, np.full(len(x), y)], 1), weight / far)
        self._add(name, block, np.zeros(len(x)))

    def programme(
        self, extremes: tuple[np.ndarray, np.ndarray], low: float, high: float
    ) -> Programme:
        owner, places = extremes
        return Programme(
            matrix=_sparse().vstack(self._blocks, format="csr"),
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
        return _sparse().csr_array((values.ravel(), columns.ravel(), starts), shape=shape)

    def _add(self, name: str, block: Any, target: np.ndarray) -> None:
        self._blocks.append(block)
        self._targets.append(np.asarray(target, dtype=np.float64))
        start = self._terms[name].start if name in self._terms else self._count
        self._count += len(target)
        self._terms[name] = slice(start, self._count)


def _admm(
    programme: Programme, config: PlaneConfig
) -> tuple[Float[np.ndarray, " v"], int, float, float]:
    """Unknowns, iterations, and the relative primal and dual residuals.

    z = M v with M = [matrix; bounded]; z keeps to the absolute values or the bounds. Over-relaxed
    by 1.6; the penalty follows the ratio of the residuals, at most one factorisation in 50 steps.
    """
    sparse = _sparse()
    split = len(programme.target)
    stacked = sparse.vstack([programme.matrix, programme.bounded], format="csr")
    turned = stacked.T.tocsr()
    pulls = abs(turned)
    rho = np.full(stacked.shape[0], 1.0)
    z = np.clip(np.zeros(stacked.shape[0]), programme.low, programme.high)
    z[:split] = programme.target
    dual = np.zeros_like(z)
    factor, unknowns = None, np.zeros(stacked.shape[1])
    penalty, primal_size, dual_size = 10.0, np.inf, np.inf
    step = 0
    for step in range(1, config.iterations + 1):
        if factor is None:
            rho[:] = penalty
            factor = _factorised(turned, rho)
        unknowns = factor(turned @ (rho * z - dual))
        image = stacked @ unknowns
        relaxed = 1.6 * image - 0.6 * z
        before = z
        wish = relaxed + dual / rho
        z = wish.copy()
        z[:split] = programme.target + _shrunk(wish[:split] - programme.target, 1 / rho[:split])
        z[split:] = np.clip(wish[split:], programme.low, programme.high)
        dual = dual + rho * (relaxed - z)
        if step % 10:
            continue
        primal_size = _relative(image - z, image, z)
        change = turned @ (rho * (z - before))
        dual_size = _relative(change, pulls @ np.abs(dual))
        if max(primal_size, dual_size) <= config.tolerance:
            break
        if step % 50 == 0:
            ratio = np.sqrt(primal_size / max(dual_size, 1e-12))
            if not 0.3 < ratio < 3:
                penalty *= float(np.clip(ratio, 0.1, 10))
                factor = None
    return unknowns, step, primal_size, dual_size


def _factorised(turned: Any, rho: np.ndarray) -> Any:
    from scipy.sparse.linalg import splu

    sparse = _sparse()
    normal = (turned @ sparse.diags_array(rho) @ turned.T).tocsc()
    normal += sparse.diags_array(np.full(normal.shape[0], 1e-9 * normal.diagonal().max()))
    return splu(normal.tocsc(), permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True}).solve


def _highs(programme: Programme) -> tuple[Float[np.ndarray, " v"], int]:
    """The same by linear programming: unknowns, and the solver's iterations."""
    from scipy.optimize import linprog

    sparse = _sparse()
    rows, count = programme.matrix.shape
    eye = sparse.eye_array(rows)
    bounds_rows = programme.bounded
    nothing = sparse.csr_array((bounds_rows.shape[0], rows))
    upper = sparse.block_array(
        [
            [programme.matrix, -eye],
            [-programme.matrix, -eye],
            [bounds_rows, nothing],
            [-bounds_rows, nothing],
        ],
        format="csc",
    )
    limits = np.concatenate(
        [
            programme.target,
            -programme.target,
            np.full(bounds_rows.shape[0], programme.high),
            np.full(bounds_rows.shape[0], -programme.low),
        ]
    )
    cost = np.concatenate([np.zeros(count), np.ones(rows)])
    limits_of = [(None, None)] * count + [(0, None)] * rows
    found = linprog(cost, A_ub=upper, b_ub=limits, bounds=limits_of, method="highs")
    if found.status != 0:
        raise LeadlineError(
            f"HiGHS found no planes ({found.message}); use solver='admm', or look at the bounds."
        )
    return found.x[:count], int(found.nit)


def _frames(segments: Segments) -> Float[np.ndarray, "n 3"]:
    """Centre x, y and extent of each segment, in picture units."""
    flat, areas = segments.labels.ravel(), segments.areas
    height, width = segments.size
    row, column = np.divmod(np.arange(flat.size), width)
    y = np.bincount(flat, 2 * (row + 0.5) / height - 1) / areas
    x = np.bincount(flat, 2 * (column + 0.5) / width - 1) / areas
    extent = np.sqrt(4 * areas / flat.size)
    return np.stack([x, y, extent], axis=1)


def _from_local(unknowns: np.ndarray, frames: np.ndarray) -> Float[np.ndarray, "n 3"]:
    """a, b, c of the whole picture from slopes and value at the segment's centre."""
    slopes = unknowns.reshape(-1, 3)[:, :2] / frames[:, 2:]
    constant = unknowns.reshape(-1, 3)[:, 2] - (slopes * frames[:, :2]).sum(1)
    return np.concatenate([slopes, constant[:, None]], axis=1)


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


def _shrunk(values: np.ndarray, by: np.ndarray) -> np.ndarray:
    return np.sign(values) * np.maximum(np.abs(values) - by, 0)


def _relative(difference: np.ndarray, *of: np.ndarray) -> float:
    size = max(float(np.linalg.norm(one)) for one in of)
    return float(np.linalg.norm(difference)) / max(size, 1e-12)


def _sparse() -> Any:
    try:
        from scipy import sparse
    except ImportError as error:
        raise MissingDependencyError("scipy", "fitting planes to segments", "classic") from error
    return sparse
