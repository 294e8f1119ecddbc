"""Films: networks that take clips, from window to window.

```python
for depth in predict_film(images, network, spec.preprocess, kind=spec.kind):
    ...  # (h, w) at the pictures' size, in their order
```

Imports no torch: the network is anything that maps (1, t, 3, h, w) to (1, t, h, w).
"""

from leadline.video.windows import WindowPlan, adapt_size, predict_film, predict_windows

__all__ = ["WindowPlan", "adapt_size", "predict_film", "predict_windows"]
