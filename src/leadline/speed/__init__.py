"""Benchmark: how fast a network runs here, in how many ways, and how right each is.

```python
result = leadline.speed.run(Options(model="depth-anything-v2-vits"), say=print)
print(as_text(result))
```
"""

from leadline.speed.contenders import CONTENDERS, GROUPS
from leadline.speed.measure import Options, contenders_of, run
from leadline.speed.report import as_markdown, as_text

__all__ = ["CONTENDERS", "GROUPS", "Options", "as_markdown", "as_text", "contenders_of", "run"]
