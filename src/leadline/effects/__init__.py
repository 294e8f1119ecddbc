"""Pictures for artists from a photo and its map: two views for both eyes, depth of field, fog.

```python
prediction = leadline.load().predict("photo.jpg")
left, right = effects.render_pair(prediction)
PIL.Image.fromarray(effects.pack_pair(left, right, "anaglyph")).save("photo.anaglyph.png")
```

All take maps of any kind, since all need only what is nearer and by how much.
"""

from leadline.effects.stereo_view import (
    PACKINGS,
    pack_pair,
    render_pair,
    render_wiggle,
    shift_view,
)
from leadline.effects.surroundings import add_fog, find_photo, nearness_share, refocus

__all__ = [
    "PACKINGS",
    "add_fog",
    "find_photo",
    "nearness_share",
    "pack_pair",
    "refocus",
    "render_pair",
    "render_wiggle",
    "shift_view",
]
