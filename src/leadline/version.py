"""The version, in a file of its own so that low floors can read it."""

__version__ = "0.2.0"
