"""Which formats there are: what each is for, what it writes, and the module that writes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import BinaryIO

from fwtop.export.source import Source


@dataclass(frozen=True)
class Format:
    """A format. Its module has `write(source, out)`."""

    name: str
    what: str
    suffix: str
    """Of the name that a result gets where none is given."""
    folder: bool = False
    """`out` is a new folder, not a binary file."""
    tables: bool = False
    """It writes tables, and can be asked for some of them; where it is a folder, one of them goes
    into a file by `write_one(source, out)`."""
    raw: bool = False
    """It shows each event of the trace windows that were kept."""
    stretch: bool = True
    """It can write a part of the run."""

    def write(self, source: Source, out: Path) -> None:
        """Write into a folder."""
        import_module(f"fwtop.export.{self.name}").write(source, out)

    def file_writer(self) -> Callable[[Source, BinaryIO], None]:
        """What writes into a file."""
        module = import_module(f"fwtop.export.{self.name}")
        write: Callable[[Source, BinaryIO], None]
        write = module.write_one if self.folder else module.write
        return write


FORMATS = {
    one.name: one
    for one in (
        Format(
            "chrome",
            "a timeline for Perfetto (https://ui.perfetto.dev)",
            ".chrome.json.gz",
            raw=True,
        ),
        Format("csv", "a folder of tables, or one with --table", "", True, True),
        Format("parquet", "the same, typed (needs pyarrow)", "", True, True),
        Format("json", "the summary and all tables in one document", ".json", tables=True),
        Format("html", "a report with plots in one file, for any browser", ".html", stretch=False),
        Format("markdown", "the summary, for a wiki or a pull request", ".md", stretch=False),
        Format("speedscope", "flame graphs for speedscope.app", ".speedscope.json", raw=True),
        Format("folded", "folded stacks for flamegraph.pl or inferno", ".folded", raw=True),
        Format("tensorboard", "scalars for TensorBoard (needs tensorboardX)", "", True),
    )
}
