"""Evaluation: how right a model's maps are on frames with known depth, by published protocols.

```python
from leadline.evaluation import protocols

protocols.get("nyu-eigen").score(pred, target)
```
"""

from leadline.evaluation import protocols
from leadline.evaluation.accumulate import Accumulator, Interval
from leadline.evaluation.depth_protocol import DepthProtocol
from leadline.evaluation.predictors import of_folder, of_model
from leadline.evaluation.protocol import Protocol, Scored
from leadline.evaluation.report import Report
from leadline.evaluation.run import evaluate, score_frame

__all__ = [
    "Accumulator",
    "DepthProtocol",
    "Interval",
    "Protocol",
    "Report",
    "Scored",
    "evaluate",
    "of_folder",
    "of_model",
    "protocols",
    "score_frame",
]
