"""Light of the open air: sky, sun, haze."""

from __future__ import annotations

import numpy as np

from leadline.world.scene import Builder


def daylight(
    b: Builder, moods: tuple[float, float, float, float] = (0.55, 0.33, 0.09, 0.03)
) -> str:
    """Sky, sun and haze; returns the mood."""
    rng, light = b.rng, b.light
    mood = str(rng.choice(["day", "grey", "dusk", "night"], p=moods))
    light.sky = b.bank.pick_sky(rng, mood)
    light.sky_yaw = rng.uniform(0, 6.28)
    azimuth, low = rng.uniform(0, 6.28), {"day": (15, 70), "dusk": (4, 16)}.get(mood, (40, 80))
    elevation = np.radians(rng.uniform(*low))
    light.sun_direction = np.array(
        [
            np.cos(elevation) * np.cos(azimuth),
            np.cos(elevation) * np.sin(azimuth),
            np.sin(elevation),
        ]
    )
    if mood == "day":
        light.sun_color = np.array([1.0, 0.94, 0.84]) * rng.uniform(0.7, 1.7)
        light.sky_color = np.array([0.42, 0.5, 0.62]) * rng.uniform(0.35, 0.9)
    elif mood == "grey":
        light.sun_color = np.full(3, rng.uniform(0.0, 0.25))
        light.sky_color = np.array([0.75, 0.78, 0.82]) * rng.uniform(0.8, 1.1)
    elif mood == "dusk":
        light.sun_color = np.array([1.0, 0.65, 0.4]) * rng.uniform(0.3, 1.0)
        light.sky_color = np.array([0.3, 0.3, 0.4]) * rng.uniform(0.5, 1.0)
    else:
        light.sky_color = np.array([0.06, 0.07, 0.11])
    light.ground_color = (
        light.sky_color * rng.uniform(0.3, 0.6) + 0.15 * light.sun_color * elevation
    )
    light.sky_gain = {"day": 1.15, "grey": 1.4, "dusk": 0.8, "night": 0.15}[mood] * rng.uniform(
        0.8, 1.6
    )
    light.fog = float(rng.choice([0.0, 0.0015, 0.004, 0.015], p=[0.25, 0.45, 0.25, 0.05]))
    light.fog_color = light.sky_color * rng.uniform(0.9, 1.2)
    light.lit_radius = 42.0
    return mood
