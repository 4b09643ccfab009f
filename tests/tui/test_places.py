"""No panel overlaps another or leaves the screen, at any size."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fwtop.tui import places
from fwtop.tui.places import Box
from fwtop.tui.screens.full import FULL_SCREENS, GpusScreen

WIDTHS = st.integers(places.LEAST_WIDTH, 300)
HEIGHTS = st.integers(places.LEAST_HEIGHT, 120)


def _cover(boxes: dict[str, Box], width: int, height: int) -> None:
    seen: dict[tuple[int, int], str] = {}
    for name, box in boxes.items():
        assert box.width >= 8, (name, box)
        assert box.height >= 1, (name, box)
        assert box.x >= 0
        assert box.x + box.width <= width, (name, box)
        assert box.y + box.height <= height, (name, box)
        for y in range(box.y, box.y + box.height):
            for x in (box.x, box.x + box.width - 1):
                assert (x, y) not in seen, f"{name} overlaps {seen[x, y]}"
                seen[x, y] = name
    area = sum(box.width * box.height for box in boxes.values())
    assert area == width * height, "a part of the screen belongs to nobody"


@given(WIDTHS, HEIGHTS, st.integers(0, 16))
def test_the_overview_fills_the_screen_without_overlaps(width: int, height: int, gpus: int) -> None:
    boxes = dict(places.overview(width, height, gpus))
    _cover(boxes, width, height)
    assert {"header", "keys", "steps", "operators", "log"} <= set(boxes)


@given(WIDTHS, HEIGHTS, st.sampled_from(sorted(FULL_SCREENS)))
def test_full_screens_fill_the_screen_without_overlaps(
    width: int, height: int, subject: str
) -> None:
    split = FULL_SCREENS[subject].split
    screen = _Bare()
    around, box = places.frame(width, height)
    boxes = {**around, **places.place(split(screen, width, height), box)}  # type: ignore[arg-type]
    _cover(boxes, width, height)


class _Bare:
    """What `split` looks at of a screen."""

    snapshot = None
    _table = "operators"

    _chosen = None
    _shown = GpusScreen._shown
    _lines = GpusScreen._lines


def test_more_room_shows_more() -> None:
    small = places.overview(80, 24, 2)
    medium = places.overview(120, 40, 2)
    assert {"gpus", "host"} <= set(small)
    assert "compile" not in small
    assert {"compile", "findings", "gpus", "host"} <= set(medium)


def test_without_gpus_their_place_goes_to_others() -> None:
    assert "gpus" not in places.overview(120, 40, 0)
    assert "compile" in places.overview(80, 24, 0)


def test_parts_drop_by_priority() -> None:
    parts = (
        places.Part("first", 1, 5, priority=0),
        places.Part("last", 1, 5, priority=2),
        places.Part("middle", 1, 5, priority=1),
    )
    assert [part.name for part, _ in places.share(12, parts)] == ["first", "middle"]
    assert [part.name for part, _ in places.share(6, parts)] == ["first"]
