"""A plane for every segment: the map that agrees with the points and joins up, found exactly.

The inverse depth of a plane is linear in the picture: q(x, y) = a x + b y + c, so that each segment
has three unknowns. What is wanted of them is a sum of absolute values and bounds on depth: a linear
program. ADMM solves it on sparse matrices, factored once; scipy's HiGHS solves the same
as the reference (``solver="highs"``).

Source: Saxena, Sun and Ng, Make3D, TPAMI 2009, section 4 (whose authors smooth the absolute values
and use Newton's method); Boyd et al., ADMM, 2011, sections 3.4 and 6.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from leadline.errors import LeadlineError
from leadline.superpixel.linear_program import (
    Evidence,
    LinearProgram,
    PlaneConfig,
    Solver,
    build,
    frames_of,
    sparse_matrices,
)

if TYPE_CHECKING:
    from jaxtyping import Float

    from leadline.superpixel.segmentation import Segments


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
    program = build(segments, evidence, config)
    if config.solver == "highs":
        unknowns, iterations = _highs(program)
        primal = dual = 0.0
        converged = True
    else:
        unknowns, iterations, primal, dual = _admm(program, config)
        converged = max(primal, dual) <= config.tolerance
    scale = np.exp(np.median(evidence.log_depth))
    return Solution(
        planes=_from_local(unknowns, frames_of(segments)) / scale,
        objective=program.objective(unknowns),
        iterations=iterations,
        primal_residual=primal,
        dual_residual=dual,
        converged=converged,
        solver=config.solver,
    )


def _admm(
    program: LinearProgram, config: PlaneConfig
) -> tuple[Float[np.ndarray, " v"], int, float, float]:
    """Unknowns, iterations, and the relative primal and dual residuals.

    z = M v with M = [matrix; bounded]; z keeps to the absolute values or the bounds. Over-relaxed
    by 1.6; the penalty follows the ratio of the residuals, at most one factorisation in 50 steps.
    """
    sparse = sparse_matrices()
    split = len(program.target)
    stacked = sparse.vstack([program.matrix, program.bounded], format="csr")
    turned = stacked.T.tocsr()
    pulls = abs(turned)
    rho = np.full(stacked.shape[0], 1.0)
    z = np.clip(np.zeros(stacked.shape[0]), program.low, program.high)
    z[:split] = program.target
    dual = np.zeros_like(z)
    factor, unknowns = None, np.zeros(stacked.shape[1])
    penalty, primal_size, dual_size = 10.0, np.inf, np.inf
    step = 0
    for step in range(1, config.iterations + 1):
        if factor is None:
            rho[:] = penalty
            factor = _factorise(turned, rho)
        unknowns = factor(turned @ (rho * z - dual))
        image = stacked @ unknowns
        relaxed = 1.6 * image - 0.6 * z
        before = z
        wish = relaxed + dual / rho
        z = wish.copy()
        z[:split] = program.target + _soft_threshold(wish[:split] - program.target, 1 / rho[:split])
        z[split:] = np.clip(wish[split:], program.low, program.high)
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


def _factorise(turned: Any, rho: np.ndarray) -> Any:
    from scipy.sparse.linalg import splu

    sparse = sparse_matrices()
    normal = (turned @ sparse.diags_array(rho) @ turned.T).tocsc()
    normal += sparse.diags_array(np.full(normal.shape[0], 1e-9 * normal.diagonal().max()))
    return splu(normal.tocsc(), permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True}).solve


def _highs(program: LinearProgram) -> tuple[Float[np.ndarray, " v"], int]:
    """The same by linear programming: unknowns, and the solver's iterations."""
    from scipy.optimize import linprog

    sparse = sparse_matrices()
    rows, count = program.matrix.shape
    identity = sparse.eye_array(rows)
    bounds_rows = program.bounded
    nothing = sparse.csr_array((bounds_rows.shape[0], rows))
    upper = sparse.block_array(
        [
            [program.matrix, -identity],
            [-program.matrix, -identity],
            [bounds_rows, nothing],
            [-bounds_rows, nothing],
        ],
        format="csc",
    )
    limits = np.concatenate(
        [
            program.target,
            -program.target,
            np.full(bounds_rows.shape[0], program.high),
            np.full(bounds_rows.shape[0], -program.low),
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


def _from_local(unknowns: np.ndarray, frames: np.ndarray) -> Float[np.ndarray, "n 3"]:
    """a, b, c of the whole picture from slopes and value at the segment's centre."""
    slopes = unknowns.reshape(-1, 3)[:, :2] / frames[:, 2:]
    constant = unknowns.reshape(-1, 3)[:, 2] - (slopes * frames[:, :2]).sum(1)
    return np.concatenate([slopes, constant[:, None]], axis=1)


def _soft_threshold(values: np.ndarray, by: np.ndarray) -> np.ndarray:
    return np.sign(values) * np.maximum(np.abs(values) - by, 0)


def _relative(difference: np.ndarray, *of: np.ndarray) -> float:
    size = max(float(np.linalg.norm(one)) for one in of)
    return float(np.linalg.norm(difference)) / max(size, 1e-12)
