"""Benchmark: how fast a network runs here, in how many ways, and how right each is.

```python
result = leadline.benchmark.run(Options(model="depth-anything-v2-vits"), say=print)
print(as_text(result))
```
"""

from leadline.benchmark.contenders import CONTENDERS, GROUPS
from leadline.benchmark.measure import Options, contenders_of, run
from leadline.benchmark.report import as_markdown, as_text

__all__ = ["CONTENDERS", "GROUPS", "Options", "as_markdown", "as_text", "contenders_of", "run"]
