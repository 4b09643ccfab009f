"""Arguments and file names that are no UTF-8: every view of the run is valid UTF-8 all the same."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from fwtop import json_output
from fwtop.cli.main import run
from fwtop.queries.run import get_run
from fwtop.recording.store import open_recording
from tests.cli.commands import FWTOP, Place
from tests.recordings import build

ODD = b"x\xff.py"


def test_a_real_run_of_one(place: Place) -> None:
    script = os.fsencode(place.folder) + b"/" + ODD
    with open(script, "w") as file:
        file.write("import sys; print(ascii(sys.argv[1]))")
    words = [*FWTOP, "record", os.fsdecode(ODD), os.fsdecode(b"a\xfe")]
    done = place.run(words)
    assert (done.status, done.stdout) == (0, b"'a\\udcfe'\n")  # the script's own is as it was
    (path,) = place.recordings
    summary = place.fwtop("summary", "--json", str(path))
    assert summary.said["run"]["command"] == ["x?.py", "a?"]
    assert json.loads(place.fwtop("ls", "--json").stdout)[0]["command"] == ["x?.py", "a?"]
    for words in (["summary", str(path)], ["ls"]):
        shown = place.fwtop(*words)
        assert shown.status == 0, shown.stderr
        assert b"'x?.py' 'a?'" in shown.stdout


@pytest.mark.parametrize("format", ["json", "csv", "html", "markdown", "chrome", "parquet"])
def test_exports(tmp_path: Path, format: str) -> None:
    command = ("x\udcff.py", "\ud800")  # the second from a recording that somebody made
    recording = build(tmp_path / "run.fwtop", command=command, steps=10)
    out = tmp_path / "out"
    assert run(["export", str(recording), "--to", format, "-o", str(out)]) == 0
    files = [out] if out.is_file() else list(out.rglob("*"))
    data = b"".join(file.read_bytes() for file in files if file.is_file())
    assert data
    if format != "parquet":
        assert data.decode()  # strictly
    if format in ("json", "html", "markdown", "csv"):
        assert b"x?.py" in data


def test_what_the_recording_spells_is_read_as_valid_text(tmp_path: Path) -> None:
    pair = "\U0001f600"  # whose JSON has two surrogates, and rightly
    with open_recording(build(tmp_path / "r.fwtop", command=("\udcff", pair), steps=5)) as one:
        assert get_run(one).command == ("?", pair)


def test_a_recording_with_such_a_name(place: Place) -> None:
    folder = place.state / "fwtop"
    folder.mkdir(parents=True)
    path = build(folder / "plain.fwtop", steps=10)
    path.rename(folder / "y\udcff.fwtop")
    (listed,) = json.loads(place.fwtop("ls", "--json").stdout)
    assert listed["path"] == f"{folder}/y?.fwtop"
    for words in (["summary"], ["summary", "--json"]):
        done = place.fwtop(*words, f"{folder}/y\udcff.fwtop")
        assert (done.status, done.stderr) == (0, b"")


def test_json_is_as_the_encoder_writes_it_where_that_can() -> None:
    assert json_output.encode({"a": [1, None, "é"]}) == '{"a":[1,null,"é"]}'.encode()
    assert json_output.encode({"a": [1, None, "é\udcff"]}) == '{"a":[1,null,"é?"]}'.encode()
