"""A procedural world: seeded scenes and rendered pictures with exact depth and normals.

```python
scene = world.sample_scene(seed=123, kind="room")
view = world.sample_view(scene, seed=5, size=(192, 256))
view.rgb, view.depth, view.normals, view.camera
```

The world is z-up and in metres; cameras are x right, y down, z forward. Depth is z along the
optical axis, inf at the sky. Everything is a function of the seeds and of the texture bank.

`render_batch` and `sample_views` make many pictures at once on a GPU. They need torch; nothing else
here imports it.
"""

from leadline.world.cameras import MOUNTS, mounted_kinds, pose_from_angles, sample_camera
from leadline.world.materials import TextureBank, panoramas
from leadline.world.render import View, render, render_batch
from leadline.world.sample import KINDS, sample_scene, sample_view, sample_views, use_bank
from leadline.world.scene import Builder, Lighting, Scene

__all__ = [
    "KINDS",
    "MOUNTS",
    "Builder",
    "Lighting",
    "Scene",
    "TextureBank",
    "View",
    "mounted_kinds",
    "panoramas",
    "pose_from_angles",
    "render",
    "render_batch",
    "sample_camera",
    "sample_scene",
    "sample_view",
    "sample_views",
    "use_bank",
]
