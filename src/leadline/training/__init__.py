"""Training: a config, a readable loop, checkpoints that resume exactly."""

from leadline.training.config import TrainConfig
from leadline.training.loop import train

__all__ = ["TrainConfig", "train"]
