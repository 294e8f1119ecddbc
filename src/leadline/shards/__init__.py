"""Prediction by the million: pictures from anywhere, maps in shards, exactly once.

```python
job = BulkJob(model=leadline.LoadOptions(model="lite"), out="s3://bucket/labels")
parts = plan(job.out, list_sources(["s3://bucket/pictures"]), per_part=1000)
for outcome in run_parts(todo(job.out, parts, job.layout), partial(ShardWriter, job), workers=4):
    print(outcome)
```

The unit of work is a *part*: some pictures, or one WebDataset shard, that become one shard. Which
pictures a part has is decided once, in ``plan.jsonl``; its shard has a name and bytes that depend
on the part alone and is written whole or not at all, its receipt after it. So it does not matter
how often a part is worked on, or where: nothing is lost and nothing is there twice.
"""

from leadline.shards.files import label_files
from leadline.shards.manifest import read_manifest
from leadline.shards.parts import Part, plan, todo
from leadline.shards.receipts import Receipt, Tally, gather
from leadline.shards.run import BulkReport, Where, run_bulk
from leadline.shards.sources import Picture, list_sources
from leadline.shards.worker import LAYOUTS, BulkJob, ShardWriter

__all__ = [
    "LAYOUTS",
    "BulkJob",
    "BulkReport",
    "Part",
    "Picture",
    "Receipt",
    "ShardWriter",
    "Tally",
    "Where",
    "gather",
    "label_files",
    "list_sources",
    "plan",
    "read_manifest",
    "run_bulk",
    "todo",
]
