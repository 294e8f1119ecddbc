"""From a depth map and a camera to points, normals and meshes; numpy only.

```python
surface = Surface(depth=depth_m, camera=camera, pixels=rgb)
mesh = make_mesh(surface, CloudOptions(max_points=500_000))
mesh.save("room.glb")
```

``Prediction.point_cloud``, ``Prediction.mesh`` and ``Prediction.surface_normals`` are the same from
a prediction. Everything is in the camera's frame: x right, y down, z forward.
"""

from leadline.cloud.build import CloudOptions, make_mesh, make_point_cloud
from leadline.cloud.cleaning import SKY, clean, find_far_plane
from leadline.cloud.edges import EDGES, Links, link_pixels
from leadline.cloud.measures import (
    FOCAL_ERRORS,
    QUANTITIES,
    Measure,
    Quantity,
    lift_pixels,
    measure_points,
)
from leadline.cloud.mesh import compact, triangulate
from leadline.cloud.normal_smoothing import smooth_normals
from leadline.cloud.normals import estimate_normals
from leadline.cloud.surface import Surface, lift, make_relief

__all__ = [
    "EDGES",
    "FOCAL_ERRORS",
    "QUANTITIES",
    "SKY",
    "CloudOptions",
    "Links",
    "Measure",
    "Quantity",
    "Surface",
    "clean",
    "compact",
    "estimate_normals",
    "find_far_plane",
    "lift",
    "lift_pixels",
    "link_pixels",
    "make_mesh",
    "make_point_cloud",
    "make_relief",
    "measure_points",
    "smooth_normals",
    "triangulate",
]
