"""``/v1/pair``: what two pictures of one scene say together."""

from collections.abc import Iterator

import numpy as np
import pytest

pytest.importorskip("fastapi")
pytest.importorskip("cv2")

from leadline.serve import create_app
from testing.serving import Running, encode, make_estimator, make_form, make_picture, run_app
from testing.two_views import render_pair


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with run_app(create_app([make_estimator()])) as running:
        running.wait_ready()
        yield running
