"""What networks learn from: samples, crops, colours, rendered shards, labels, folders."""
