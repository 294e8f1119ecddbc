"""The engine that runs every recipe: loop, optimiser, precision, processes, checkpoints, logs."""
