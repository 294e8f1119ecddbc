"""Evaluation: how right a model's maps are on frames with known depth, by published protocols.

```python
from leadline.evaluation import protocols

protocols.get("nyu-eigen").score(pred, target)
```
"""

from leadline.evaluation import protocols
from leadline.evaluation.accumulate import Accumulator, Interval
from leadline.evaluation.depth_protocol import DepthProtocol
from leadline.evaluation.disparity import (
    GroupScore,
    Score,
    macro_mean,
    score_disparity,
    score_group,
)
from leadline.evaluation.protocol import Protocol, Scored

__all__ = [
    "Accumulator",
    "DepthProtocol",
    "GroupScore",
    "Interval",
    "Protocol",
    "Score",
    "Scored",
    "macro_mean",
    "protocols",
    "score_disparity",
    "score_group",
]
