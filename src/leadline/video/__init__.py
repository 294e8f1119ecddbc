"""Films: maps of every frame, steady over time, as films or files.

```python
with io.open_source("walk.mp4") as source:
    FilmJob(source, estimator, options, parts).run()

for depth in predict_film(images, network, spec.preprocess, kind=spec.kind):
    ...  # (h, w) at the pictures' size, in their order: networks that take clips
```

Imports no torch: the network is any estimator, or, for clips, anything that maps (1, t, 3, h, w) to
(1, t, h, w).
"""

from leadline.video.ahead import keep_latest, run_ahead
from leadline.video.film import SEGMENT, FilmJob, FilmOptions, FilmReport, way_of
from leadline.video.live import LiveFrame, Recorder, watch
from leadline.video.paint import FILM_FORMATS, Look, get_format
from leadline.video.parts import Parts
from leadline.video.ranges import Range, RangeTracker, find_range
from leadline.video.steady import STEADY, Stabiliser, Steady, SteadyConfig, check_steady
from leadline.video.windows import WindowPlan, adapt_size, predict_film, predict_windows

__all__ = [
    "FILM_FORMATS",
    "SEGMENT",
    "STEADY",
    "FilmJob",
    "FilmOptions",
    "FilmReport",
    "LiveFrame",
    "Look",
    "Parts",
    "Range",
    "RangeTracker",
    "Recorder",
    "Stabiliser",
    "Steady",
    "SteadyConfig",
    "WindowPlan",
    "adapt_size",
    "check_steady",
    "find_range",
    "get_format",
    "keep_latest",
    "predict_film",
    "predict_windows",
    "run_ahead",
    "watch",
    "way_of",
]
