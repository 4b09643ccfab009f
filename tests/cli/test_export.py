"""`fwtop export` as a command: streams, names, what it refuses, and how it is interrupted."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import resource
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from fwtop.export.formats import FORMATS
from tests.cli.commands import FWTOP, Place, Terminal, wait_until
from tests.export.rich import build
from tests.recordings import build as build_plain

RUN = "20261123-101112-abcd"


def names(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("recording") / "run.fwtop", steps=60)


@pytest.mark.parametrize("format", FORMATS)
def test_each_format_is_named_after_the_run_and_told_on_stderr(
    place: Place, recording: Path, format: str
) -> None:
    done = place.fwtop("export", str(recording), "--to", format)
    assert (done.status, done.stdout) == (0, b"")
    (made,) = names(place.folder)
    assert made.startswith(RUN)
    (said,) = done.stderr.decode().splitlines()
    assert said.startswith(f"fwtop: {made} is written")
    assert (place.folder / made).is_dir() == FORMATS[format].folder
    again = place.fwtop("export", str(recording), "--to", format)
    assert (again.status, names(place.folder)) == (113, {made})
    assert "exists already" in again.stderr.decode()
    assert place.fwtop("export", str(recording), "--to", format, "--force").status == 0


@pytest.mark.parametrize("format", [one.name for one in FORMATS.values() if not one.folder])
def test_a_file_goes_to_stdout_too(place: Place, recording: Path, format: str) -> None:
    done = place.fwtop("export", str(recording), "--to", format, "-o", "-")
    assert (done.status, done.stderr) == (0, b"")
    assert names(place.folder) == set()
    suffix = ".json" if format == "chrome" else FORMATS[format].suffix
    assert place.fwtop("export", str(recording), "--to", format, "-o", f"x{suffix}").status == 0
    assert (place.folder / f"x{suffix}").read_bytes() == done.stdout


def test_one_table_on_stdout(place: Place, recording: Path) -> None:
    done = place.fwtop("export", str(recording), "--to", "csv", "--table", "steps", "-o", "-",
                       "--steps", "10:14")  # fmt: skip
    rows = list(csv.DictReader(io.StringIO(done.stdout.decode())))
    indices = [int(row["step_index"]) for row in rows if row["rank"] == "0"]
    assert indices == [10, 11, 12, 13, 14]


def test_a_time_of_the_run_may_be_written_in_many_ways(place: Place, recording: Path) -> None:
    found = {
        place.fwtop("export", str(recording), "--to", "csv", "--table", "host_samples", "-o", "-",
                    "--since", since, "--until", until).stdout
        for since, until in (("7s", "9s"), ("7", "0:09"), ("7000ms", "0:00:09.0"), ("0m7s", "9"))
    }  # fmt: skip
    (data,) = found
    rows = list(csv.DictReader(io.StringIO(data.decode())))
    assert [row["at_ns"] for row in rows] == ["7000000000", "8000000000"]


def test_a_name_in_gz_is_compressed(place: Place, recording: Path) -> None:
    assert place.fwtop("export", str(recording), "--to", "json", "-o", "x.json.gz").status == 0
    body = json.loads(gzip.decompress((place.folder / "x.json.gz").read_bytes()))
    assert body["summary"]["run"]["id"] == RUN


@pytest.mark.parametrize(
    ("words", "status", "what"),
    [
        (["--to", "pdf"], 101, "invalid choice"),
        ([], 101, "required: --to"),
        (["--to", "html", "--table", "steps"], 101, "has no tables"),
        (["--to", "csv", "--table", "stpes"], 101, "no table 'stpes'"),
        (["--to", "csv", "-o", "-"], 101, "folder, and stdout is one file"),
        (["--to", "html", "--since", "3s"], 101, "of the whole run"),
        (["--to", "csv", "--since", "soon"], 101, "no time of the run"),
        (["--to", "csv", "--since", "9s", "--until", "3s"], 101, "not after"),
        (["--to", "csv", "--steps", "5"], 101, "not two numbers"),
        (["--to", "csv", "--steps", "5:99999"], 101, "no step 99999"),
        (["--to", "csv", "--steps", "5:6", "--since", "3s"], 101, "exclude"),
        (["--to", "html", "-o", "absent/x.html"], 113, "No such file or directory"),
        (["--to", "csv", "-o", "absent/x"], 113, "No such file or directory"),
        (["--to", "html", "-o", "."], 113, "is a folder"),
        (["--to", "folded", "--until", "1ms"], 113, "no trace window"),
    ],
)
def test_what_cannot_be_is_told_in_words(
    place: Place, recording: Path, words: list[str], status: int, what: str
) -> None:
    done = place.fwtop("export", str(recording), *words)
    said = done.stderr.decode()
    assert done.status == status
    assert what in said
    assert "Traceback" not in said
    assert done.stdout == b""
    assert names(place.folder) == set()


def test_the_help_tells_formats_and_tables(place: Place) -> None:
    text = place.fwtop("export", "--help").stdout.decode()
    for name in (*FORMATS, "steps", "compile_events", "device_samples"):
        assert f"\n  {name} " in text
    assert max(map(len, text.splitlines())) <= 100


def test_a_run_s_id_makes_no_path(place: Place) -> None:
    path = build_plain(place.folder / "run.fwtop", steps=5, run_id="../../../tmp/.x y")
    assert place.fwtop("export", str(path), "--to", "markdown").status == 0
    assert names(place.folder) == {"run.fwtop", "_.._.._tmp_.x_y.md"}


@pytest.mark.parametrize("format", FORMATS)
def test_a_live_and_a_lost_run_are_exported_as_far_as_they_are(place: Place, format: str) -> None:
    for state in ("running", "lost"):
        path = build_plain(place.folder / f"{state}.fwtop", steps=80, state=state, exit_status=None)
        done = place.fwtop("export", str(path), "--to", format, "-o", f"out-{state}")
        assert done.status == 0, done.stderr.decode()
        assert (place.folder / f"out-{state}").exists()


@pytest.mark.parametrize("format", FORMATS)
def test_a_damaged_recording_leaves_nothing_and_no_traceback(
    place: Place, recording: Path, format: str
) -> None:
    path = place.folder / "run.fwtop"
    data = bytearray(recording.read_bytes())
    data[len(data) // 3 : len(data) // 3 + 20_000] = b"\xa5" * 20_000
    path.write_bytes(data)
    done = place.fwtop("export", str(path), "--to", format)
    said = done.stderr.decode()
    assert "Traceback" not in said
    assert done.status in (0, 104)
    if done.status:
        assert str(path) in said
        assert names(place.folder) == {"run.fwtop"}


def test_a_full_disk_is_told_and_leaves_nothing(place: Place, recording: Path) -> None:
    """The limit on a file's size stands for the disk's end: both fail in write()."""

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))

    for format in FORMATS:
        done = place.fwtop("export", str(recording), "--to", format, "-o", "out", preexec_fn=limit)
        said = done.stderr.decode()
        if (place.folder / "out").exists():
            (place.folder / "out").unlink()  # it is smaller
            assert done.status == 0
            continue
        assert done.status == 113, said
        assert "out: cannot be written: File too large" in said
        assert names(place.folder) == set()


@pytest.mark.parametrize(("format", "package"), [("parquet", "pyarrow"),
                                                 ("tensorboard", "tensorboardX")])  # fmt: skip
def test_a_package_that_lacks_is_told_with_the_command(
    place: Place, recording: Path, format: str, package: str
) -> None:
    code = (
        f"import sys; sys.modules[{package!r}] = None;"
        " from fwtop.cli.main import run; sys.exit(run(sys.argv[1:]))"
    )
    done = place.run([sys.executable, "-c", code, "export", str(recording), "--to", format])
    assert done.status == 113
    assert f"pip install 'fwtop[{format}]'" in done.stderr.decode()
    assert names(place.folder) == set()


def test_a_reader_that_has_enough_ends_it_in_peace(place: Place, recording: Path) -> None:
    command = f"{' '.join(FWTOP)} export {recording} --to json -o - | head -c 100"
    done = place.run(["bash", "-c", f"set -o pipefail; {command}"])
    assert (done.status, done.stderr) == (0, b"")
    assert len(done.stdout) == 100


@pytest.fixture(scope="module")
def long_recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Large enough that no export of it is done before a signal comes."""
    path = build_plain(tmp_path_factory.mktemp("long") / "long.fwtop", steps=10, log=False)
    with sqlite3.connect(path) as db:
        db.execute(
            "WITH RECURSIVE n(i) AS (SELECT 11 UNION ALL SELECT i + 1 FROM n WHERE i < 250000)"
            " INSERT INTO steps SELECT 1, i, 20000000000 + i * 1000000, 900000, 1, 1, 1, 1, 1, 0,"
            " NULL FROM n"
        )
    return path


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize(("format", "out"), [("chrome", "x.json"), ("csv", "tables"),
                                             ("json", "x.json.gz")])  # fmt: skip
def test_interrupted_it_leaves_nothing(
    place: Place, long_recording: Path, format: str, out: str, number: signal.Signals
) -> None:
    process = place.start([*FWTOP, "export", str(long_recording), "--to", format, "-o", out])
    wait_until(lambda: size_of(place.folder) > 50_000, "a part that has grown")
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert (stdout, stderr) == (b"", b"fwtop: ended before it was done: nothing was written\n")
    assert names(place.folder) == set()


def size_of(folder: Path) -> int:
    """Bytes of all files below, hidden ones too; what goes away meanwhile counts nothing."""
    total = 0
    for parent, _, files in os.walk(folder):
        for name in files:
            try:
                total += (Path(parent) / name).stat().st_size
            except OSError:
                pass
    return total


def test_killed_it_leaves_no_result(place: Place, long_recording: Path) -> None:
    process = place.start([*FWTOP, "export", str(long_recording), "--to", "csv", "-o", "tables"])
    wait_until(lambda: size_of(place.folder) > 50_000, "a part that has grown")
    process.kill()
    process.communicate(timeout=60)
    assert not (place.folder / "tables").exists()


def test_on_a_terminal_it_shows_how_far_it_is(place: Place, long_recording: Path) -> None:
    terminal = Terminal(place, [*FWTOP, "export", str(long_recording), "--to", "csv", "-o", "out"])
    terminal.shows(b"fwtop: exporting steps ")
    terminal.shows(b"%)")
    terminal.type(b"\x03")
    assert terminal.end() == 130
    assert b"nothing was written" in terminal.screen
    assert not (place.folder / "out").exists()


def test_a_trace_of_another_tool_is_exported_with_its_events(place: Place) -> None:
    from tests.export.rich import raw_trace

    (place.folder / "trace.json").write_bytes(raw_trace(5_000_000_000))
    done = place.fwtop("export", "trace.json", "--to", "chrome", "-o", "out.json")
    assert done.status == 0, done.stderr.decode()
    events = json.loads((place.folder / "out.json").read_bytes())["traceEvents"]
    found = {event["name"] for event in events if event.get("cat") in ("cpu_op", "kernel")}
    assert {"aten::linear", "aten::addmm", "gemm"} <= found
    done = place.fwtop("export", "trace.json", "--to", "folded", "-o", "-")
    assert b";aten::linear;aten::addmm;cudaLaunchKernel 5000\n" in done.stdout


def peak_mib(words: list[str]) -> float:
    """The most memory that a command took."""
    code = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, check=True)
    return int(done.stdout.split()[-1]) / 1024


@pytest.mark.parametrize("format", ["chrome", "csv", "json"])
def test_memory_does_not_grow_with_the_recording(
    tmp_path: Path, long_recording: Path, format: str
) -> None:
    """25 times as many steps: held, they would take some 80 MiB."""
    small = build_plain(tmp_path / "small.fwtop", steps=10, log=False)
    with sqlite3.connect(small) as db:
        db.execute(
            "WITH RECURSIVE n(i) AS (SELECT 11 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)"
            " INSERT INTO steps SELECT 1, i, 20000000000 + i * 1000000, 900000, 1, 1, 1, 1, 1, 0,"
            " NULL FROM n"
        )
    took = [
        peak_mib([*FWTOP, "export", str(path), "--to", format, "-o", str(tmp_path / path.stem)])
        for path in (small, long_recording)
    ]
    assert took[1] < took[0] + 24
