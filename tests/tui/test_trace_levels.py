"""At which of the profiler's levels of detail the operators' figures were taken."""

from __future__ import annotations

import pytest

from tests import recordings
from tests.tui.conftest import app_on, loaded, screen_text, until

TAKEN = "traced steps in 4 windows"


@pytest.mark.parametrize(
    ("levels", "said"),
    [
        ([2, 2, 3, 2], f"4 {TAKEN}: 3 at level 2, 1 at level 3"),
        ([3, 3, 3, 3], f"4 {TAKEN}, level 3"),
        ([None, None, None, 2], f"4 {TAKEN}: 1 at level 2"),
        ([None] * 4, f"4 {TAKEN} ─"),
    ],
)
async def test_the_headline_says_at_which_levels(
    live: recordings.Builder, levels: list[int | None], said: str
) -> None:
    for _ in range(4):
        live.add_window()
    for number, level in enumerate(levels):
        live._db.execute(
            "UPDATE windows SET level = ? WHERE id ="
            " (SELECT id FROM windows WHERE counted ORDER BY id LIMIT 1 OFFSET ?)",
            (level and str(level), number),
        )
    live.commit()
    app = app_on(live)
    async with app.run_test(size=(160, 40)) as pilot:
        await loaded(pilot)
        await pilot.press("2")
        await loaded(pilot)
        assert said in screen_text(app)


async def test_at_the_cursor_it_is_that_windows_level(live: recordings.Builder) -> None:
    live.add_window()
    live._db.execute("UPDATE windows SET level = '3'")
    live.commit()
    app = app_on(live)
    async with app.run_test(size=(160, 40)) as pilot:
        await pilot.press("2")
        await loaded(pilot)
        await pilot.press("left")
        await until(pilot, lambda: "1 step, level 3" in screen_text(app))
        await pilot.press("question_mark")
        await until(pilot, lambda: "levels of detail" in screen_text(app))
