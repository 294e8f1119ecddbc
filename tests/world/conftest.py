from __future__ import annotations

import pytest

from leadline import world


@pytest.fixture(scope="session")
def bank() -> world.TextureBank:
    return world.TextureBank.procedural(0, share=0.15)
