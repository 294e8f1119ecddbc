"""Evaluation: how right a model's maps are on frames with known depth, by published protocols.

```python
from leadline.evaluation import protocols

protocols.get("nyu-eigen").score(pred, target)
```
"""

from leadline.evaluation import protocols
from leadline.evaluation.accumulate import Accumulator, Interval
from leadline.evaluation.depth_protocol import DepthProtocol
from leadline.evaluation.predictors import open_folder, open_predictor
from leadline.evaluation.protocol import MapScore, Protocol
from leadline.evaluation.report import Report
from leadline.evaluation.run import evaluate, score_frame

__all__ = [
    "Accumulator",
    "DepthProtocol",
    "Interval",
    "MapScore",
    "Protocol",
    "Report",
    "evaluate",
    "open_folder",
    "open_predictor",
    "protocols",
    "score_frame",
]
