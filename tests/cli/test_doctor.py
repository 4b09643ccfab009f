"""The doctor on this machine, and on machines that are not well: seen through real processes."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fwtop.cli.doctor import host, interpreter, lines, terminal
from fwtop.cli.doctor.check import Check, Status, ok, problem, warning
from fwtop.formatting import cell_width


def doctor(*words: str, **environment: str) -> tuple[int, list[dict[str, Any]]]:
    done = subprocess.run(
        [sys.executable, "-m", "fwtop.cli.main", "doctor", "--json", *words],
        env={**os.environ, **environment},
        capture_output=True,
        check=False,
    )
    return done.returncode, json.loads(done.stdout)


def executable(path: Path, text: str) -> str:
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


@pytest.mark.torch
def test_this_machine(tmp_path: Path) -> None:
    status, found = doctor("--python", sys.executable, XDG_STATE_HOME=str(tmp_path))
    by_subject = {one["subject"]: one for one in found}
    assert status == int(any(one["status"] == "problem" for one in found))
    version = ".".join(map(str, sys.version_info[:3]))
    assert by_subject["interpreter"]["details"]["version"] == version
    assert by_subject["PYTHONPATH"]["status"] == "ok"
    torch = by_subject["torch"]["details"]
    assert torch["windows"] is True
    assert torch["steps"] is True
    assert torch["compile_events"] is True
    assert by_subject["state folder"]["status"] in ("ok", "warning")
    assert "configuration" in by_subject
    assert all(one["next"] for one in found if one["status"] != "ok"), "a trouble has a remedy"


def test_an_interpreter_that_ignores_pythonpath_is_a_problem(tmp_path: Path) -> None:
    isolated = executable(tmp_path / "python", f'#!/bin/sh\nexec {sys.executable} -I "$@"\n')
    found = {one.subject: one for one in interpreter.of_script(isolated)}
    assert found["PYTHONPATH"].status is Status.PROBLEM
    assert "-I" in found["PYTHONPATH"].next


def test_an_interpreter_that_is_none_is_a_problem(tmp_path: Path) -> None:
    (found,) = interpreter.of_script(executable(tmp_path / "python", "#!/bin/sh\nexit 3\n"))
    assert found.status is Status.PROBLEM
    assert "status 3" in found.text
    (found,) = interpreter.of_script(str(tmp_path / "absent"))
    assert found.status is Status.PROBLEM


def test_an_interpreter_that_hangs_is_left_after_its_deadline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interpreter, "INTERPRETER_S", 0.2)
    (found,) = interpreter.of_script(executable(tmp_path / "python", "#!/bin/sh\nexec sleep 60\n"))
    assert "no answer within" in found.text


def test_a_framework_that_cannot_be_imported_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "torch.py").write_text("print('noise'); raise OSError('libcudart.so not found')")
    (tmp_path / "tensorflow.py").write_text("import os; print('dies', flush=True); os._exit(9)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = {one.subject: one for one in interpreter.of_script(sys.executable)}
    assert found["torch"].status is Status.WARNING
    assert "libcudart.so not found" in found["torch"].text
    assert "status 9" in found["tensorflow"].text


def test_folders_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.touch()
    monkeypatch.setenv("XDG_STATE_HOME", "/proc/self")
    (found,) = host.state_folder(None)
    assert found.status is Status.PROBLEM
    assert "-o FILE" in found.next
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    (found,) = host.state_folder(None)
    assert found.status is not Status.PROBLEM
    assert list(tmp_path.iterdir()) == [in_the_way], "the doctor leaves nothing behind"


def test_logind_that_kills_and_the_file_that_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    main, extra = tmp_path / "logind.conf", tmp_path / "logind.conf.d"
    extra.mkdir()
    monkeypatch.setattr(host, "LOGIND_FILES", (str(main), str(extra)))
    monkeypatch.setattr(host, "_lingers", lambda: False)
    main.write_text("[Login]\n#KillUserProcesses=yes\n")
    assert [one.status for one in host.detaching(None)] == [Status.OK]
    main.write_text("[Login]\nKillUserProcesses=yes\n")
    (found,) = host.detaching(None)
    assert found.status is Status.WARNING
    assert str(main) in found.text
    assert "enable-linger" in found.next
    (extra / "50-site.conf").write_text("[Login]\nKillUserProcesses=no\n")
    assert [one.status for one in host.detaching(None)] == [Status.OK]


def test_a_slurm_job_ends_its_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    assert list(host.batch_job(None)) == []
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    (found,) = host.batch_job(None)
    assert "--jobid=4711" in found.next


def test_a_dumb_terminal_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "dumb")
    assert next(terminal.terminal(None)).status is Status.WARNING
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("LINES", "40")
    monkeypatch.setenv("TMUX", "/tmp/tmux")
    found = next(terminal.terminal(None))
    assert found.status is Status.OK
    assert "120x40" in found.text
    assert "in tmux" in found.text
    monkeypatch.setenv("COLUMNS", "60")
    assert "enlarge" in next(terminal.terminal(None)).next


def test_lines_fit_80_columns_and_say_what_to_do() -> None:
    some: list[Check] = [
        ok("a", "fine"),
        warning("b", "word " * 40, "do this " * 20),
        problem("c", "\x1b[31mred\n", "remedy"),
    ]
    for one in some:
        out = lines(one)
        assert out[0].startswith(one.status.value)
        assert max(map(cell_width, out)) <= 80
        assert all(line.isprintable() for line in out)
    assert any("→ do this" in line for line in lines(some[1]))
