"""Training: recipes, a readable loop, checkpoints that resume exactly."""

from leadline.training.checkpoint import average_networks
from leadline.training.config import DataConfig, TrainConfig
from leadline.training.loop import train

__all__ = ["DataConfig", "TrainConfig", "average_networks", "train"]
