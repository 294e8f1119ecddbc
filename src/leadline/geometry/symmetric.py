"""Many small symmetric systems at once: entries are arrays, one number for each system.

A symmetric matrix is the list of its upper entries row by row (xx xy xz yy yz zz for 3x3), each an
(n,) array: arithmetic on long arrays is several times faster than LAPACK on n tiny matrices.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Columns = Sequence[np.ndarray]


def adjugate_solve(M: Columns, b: Columns) -> np.ndarray:
    """Solve n 3x3 systems by Cramer's rule; (n, 3), not finite where a system is singular."""
    adjugate, determinant = _adjugate(M)
    xx, xy, xz, yy, yz, zz = adjugate
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        scale = 1 / determinant
        return np.stack(
            [
                (xx * b[0] + xy * b[1] + xz * b[2]) * scale,
                (xy * b[0] + yy * b[1] + yz * b[2]) * scale,
                (xz * b[0] + yz * b[1] + zz * b[2]) * scale,
            ],
            axis=1,
        )


def inverse_of(M: Columns) -> np.ndarray:
    """Inverses of n 3x3 matrices; (n, 3, 3), not finite where one is singular."""
    (xx, xy, xz, yy, yz, zz), determinant = _adjugate(M)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        full = np.stack([xx, xy, xz, xy, yy, yz, xz, yz, zz], axis=1)
        return (full / determinant[:, None]).reshape(-1, 3, 3)


def _adjugate(M: Columns) -> tuple[list[np.ndarray], np.ndarray]:
    xx, xy, xz, yy, yz, zz = M
    with np.errstate(invalid="ignore", over="ignore"):
        a = yy * zz - yz * yz
        b = xz * yz - xy * zz
        c = xy * yz - xz * yy
        determinant = xx * a + xy * b + xz * c
        rest = [xx * zz - xz * xz, xy * xz - xx * yz, xx * yy - xy * xy]
    return [a, b, c, *rest], determinant


def smallest_vector(M: Columns) -> list[np.ndarray]:
    """Eigenvectors of the smallest eigenvalues of n positive 4x4 matrices, by inverse iteration.

    The matrix is shifted by a trace's share that rounding has taken already, so that exact data,
    whose smallest eigenvalue is 0, divide by no zero. Each step shrinks what is left of the other
    eigenvectors by the ratio of the smallest eigenvalue to theirs.
    """
    m00, m01, m02, m03, m11, m12, m13, m22, m23, m33 = M
    tiny = 1e-15 * (m00 + m11 + m22 + m33) + 1e-300
    d0 = m00 + tiny  # L D L^T
    l10, l20, l30 = m01 / d0, m02 / d0, m03 / d0
    d1 = np.maximum(m11 + tiny - l10 * m01, tiny)
    e21, e31 = m12 - l20 * m01, m13 - l30 * m01
    l21, l31 = e21 / d1, e31 / d1
    d2 = np.maximum(m22 + tiny - l20 * m02 - l21 * e21, tiny)
    e32 = m23 - l30 * m02 - l31 * e21
    l32 = e32 / d2
    d3 = np.maximum(m33 + tiny - l30 * m03 - l31 * e31 - l32 * e32, tiny)
    # The last column of the inverse's factor is the first step from (0, 0, 0, 1).
    x0, x1, x2, x3 = (np.zeros_like(d0), np.zeros_like(d0), np.zeros_like(d0), np.ones_like(d0))
    for _ in range(3):
        y1 = x1 - l10 * x0
        y2 = x2 - l20 * x0 - l21 * y1
        y3 = x3 - l30 * x0 - l31 * y1 - l32 * y2
        z3 = y3 / d3
        z2 = y2 / d2 - l32 * z3
        z1 = y1 / d1 - l21 * z2 - l31 * z3
        z0 = x0 / d0 - l10 * z1 - l20 * z2 - l30 * z3
        size = 1 / np.sqrt(z0 * z0 + z1 * z1 + z2 * z2 + z3 * z3)
        x0, x1, x2, x3 = z0 * size, z1 * size, z2 * size, z3 * size
    return [x0, x1, x2, x3]
