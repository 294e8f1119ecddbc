"""The page and the REST interface: ``leadline serve``, or an application of your own.

```python
app = leadline.serve.create_app(["lite", "lite-metric"])     # uvicorn, hypercorn, a test client
```
"""

from leadline.serve.app import create_app
from leadline.serve.limits import Limits
from leadline.serve.server import Listen, serve

__all__ = ["Limits", "Listen", "create_app", "serve"]
