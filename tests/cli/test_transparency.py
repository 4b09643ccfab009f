"""A script under `fwtop record` sees what it sees under plain Python; its output is the same."""

from __future__ import annotations

import json
import os
import signal
import sys

import pytest

from tests.cli.commands import FWTOP, PATIENCE_S, Place, Terminal, wait_until

FACTS = """
import json, os, resource, signal, sys, threading

def facts():
    quiet = {"_", "SHLVL", "OLDPWD"}
    environ = {k: v for k, v in os.environ.items() if not k.startswith("FWTOP_") and k not in quiet}
    if "PYTHONPATH" in environ:
        parts = [p for p in environ["PYTHONPATH"].split(":") if "fwtop_profilers" not in p]
        environ["PYTHONPATH"] = ":".join(parts)
    environ = {k: v for k, v in environ.items() if k != "PYTHONPATH" or v}
    handlers = {s.name: str(signal.getsignal(s)) for s in signal.valid_signals()
                if isinstance(s, signal.Signals)}
    status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines()
                  if line.startswith("Sig") or line.startswith("Umask"))
    return {
        "argv": sys.argv, "orig_argv": sys.orig_argv[1:], "name": __name__,
        "file": globals().get("__file__"), "cwd": os.getcwd(), "path0": sys.path[0],
        "path": [p for p in sys.path if "fwtop_profilers" not in p],
        "executable": sys.executable, "environ": environ, "umask": status["Umask"].strip(),
        "tty": [os.isatty(n) for n in range(3)], "handlers": handlers,
        "ignored": status["SigIgn"].strip(), "blocked": status["SigBlk"].strip(),
        "nice": os.nice(0), "descriptors": sorted(int(n) for n in os.listdir("/proc/self/fd"))[:-1],
        "leads": os.getpgrp() == os.getpid(), "threads_in_python": threading.active_count() > 0,
        "limits": resource.getrlimit(resource.RLIMIT_NOFILE),
        "loose": sys.flags.ignore_environment, "stdin": os.isatty(0) or sys.stdin.read(),
        "size": list(os.get_terminal_size(1)) if os.isatty(1) else None,
        "foreground": os.tcgetpgrp(1) == os.getpgrp() if os.isatty(1) else None,
    }
"""
SAY = "\nprint(json.dumps(facts()))\n"


def differing(plain: dict[str, object], traced: dict[str, object]) -> dict[str, object]:
    return {
        key: (plain.get(key), traced.get(key))
        for key in plain.keys() | traced.keys()
        if plain.get(key) != traced.get(key)
    }


def test_script_with_arguments(place: Place) -> None:
    place.script(FACTS + SAY, "train.py")
    arguments = ["train.py", "--lr", "3e-4", "--", "-m", "--deep", "a b", "", "ü", "--python"]
    plain = place.run([sys.executable, *arguments], input=b"some input")
    traced = place.fwtop(
        "record", "-q", "--python", sys.executable, *arguments, input=b"some input"
    )
    differences = differing(plain.said, traced.said)
    assert differences.pop("leads", None) in (
        None,
        (False, True),
    )  # a group of its own, as in a shell
    assert differences == {}
    assert traced.said["stdin"] == "some input"
    assert (traced.status, traced.stderr) == (0, b"")


@pytest.mark.parametrize(
    "words",
    [
        ["-m", "pack.mod", "x"],
        ["pack", "x"],
        ["-c", FACTS + SAY, "x"],
        ["--", sys.executable, "train.py", "x"],
        [sys.executable, "-u", "train.py", "x"],
        ["--", "sh", "-c", f"cd pack && exec {sys.executable} ../train.py x"],
    ],
    ids=["module", "folder", "code", "dashes", "python", "shell"],
)
def test_forms_of_a_target(place: Place, words: list[str]) -> None:
    place.script(FACTS + SAY, "train.py")
    (place.folder / "pack").mkdir()
    place.script("", "pack/__init__.py")
    place.script(FACTS + SAY, "pack/mod.py")
    place.script(FACTS + SAY, "pack/__main__.py")
    own = words[1:] if words[0] == "--" else words
    plain = place.run(own if own[0] in ("sh", sys.executable) else [sys.executable, *own])
    traced = place.fwtop("record", "-q", "--python", sys.executable, *words)
    differences = differing(plain.said, traced.said)
    differences.pop("leads", None)
    assert differences == {}
    assert traced.status == 0


def test_executable_script_and_its_shebang(place: Place) -> None:
    path = place.script(f"#!{sys.executable} -u\nimport sys; print(sys.argv, sys.flags.unbuffered)")
    path.chmod(0o755)
    plain = place.run(["./script.py", "1"])
    assert place.fwtop("record", "-q", "--", "./script.py", "1").stdout == plain.stdout


@pytest.mark.parametrize("status", [0, 1, 3, 255])
def test_exit_status(place: Place, status: int) -> None:
    done = place.fwtop("record", "-q", sys.executable, "-c", f"raise SystemExit({status})")
    assert (done.status, done.stdout, done.stderr) == (status, b"", b"")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM, signal.SIGINT])
def test_death_by_signal(place: Place, number: signal.Signals) -> None:
    code = (
        "import os, signal; print('here', flush=True);"
        f"signal.signal({number:d}, signal.SIG_DFL) if {number:d} != 9 else 0;"
        f"os.kill(os.getpid(), {number:d})"
    )
    done = place.fwtop("record", "-q", sys.executable, "-c", code)
    assert (done.status, done.stdout) == (-number, b"here\n")


def test_command_that_cannot_be_executed(place: Place) -> None:
    place.script("no program", "thing").chmod(0o755)
    (place.folder / "bad").write_bytes(b"#!/nowhere/at/all\n")
    (place.folder / "bad").chmod(0o755)
    assert place.fwtop("record", "-q", "--", "./bad").status == 127
    assert place.fwtop("record", "-q", "--", "./thing").status == 127  # sh: no: not found


def test_output_is_the_same_byte_for_byte(place: Place) -> None:
    """Much of it, on both streams, without newlines, with every byte there is."""
    place.script(
        "import os, sys\n"
        "block = bytes(range(256)) * 97\n"
        "for n in range(300):\n"
        "    for fd in (1, 2):\n"
        "        view = memoryview(block[n:])\n"
        "        while view: view = view[os.write(fd, view):]\n"
        "os.write(1, b'end without newline')\n"
    )
    plain = place.run([sys.executable, "script.py"])
    traced = place.fwtop("record", "-q", "--python", sys.executable, "script.py")
    assert len(plain.stdout) > 7_000_000
    assert traced.stdout == plain.stdout
    assert traced.stderr == plain.stderr


def test_output_into_files_is_complete_at_the_end(place: Place) -> None:
    out = place.folder / "out"
    with out.open("wb") as file:
        code = "print('x' * 5_000_000)"
        place.fwtop("record", "-q", sys.executable, "-c", code, stdout=file)
    assert out.stat().st_size == 5_000_001


def test_reader_that_goes_away(place: Place) -> None:
    """`fwtop record … | head -1`: the copy ends, the script does not."""
    code = "import sys\nfor n in range(200_000): print(n)\nopen('done', 'w').close()"
    process = place.start([*FWTOP, "record", "-q", sys.executable, "-c", code])
    assert process.stdout is not None
    assert process.stdout.readline() == b"0\n"
    process.stdout.close()
    assert process.wait(PATIENCE_S) == 0
    assert (place.folder / "done").exists()


def test_slow_reader_holds_the_script_back(place: Place) -> None:
    """Back-pressure as through any pipe: the script waits, nothing is lost, nothing piles up."""
    code = (
        "import os\n"
        "for n in range(2000):\n"
        "    os.write(1, b'x' * 4096)\n"
        "    open('written', 'w').write(str(n))\n"
    )
    process = place.start([*FWTOP, "record", "-q", sys.executable, "-c", code])
    written = place.folder / "written"
    wait_until(lambda: written.exists() and written.read_text(), "the first writes")
    sizes = [-1]

    def stands_still() -> bool:
        sizes.append(int(written.read_text() or 0))
        return len(sizes) > 30 and len(set(sizes[-25:])) == 1

    wait_until(stands_still, "a script that waits")
    assert sizes[-1] < 200
    stdout, _ = process.communicate(timeout=PATIENCE_S)
    assert len(stdout) == 2000 * 4096


def test_terminal(place: Place) -> None:
    """On a terminal: the same facts, size and foreground, and what is typed arrives."""
    place.script(FACTS + "\nwith open('facts', 'w') as f: json.dump(facts(), f)\n")
    plain = Terminal(place, [sys.executable, "script.py"])
    assert plain.end() == 0
    expected = (place.folder / "facts").read_text()
    (place.folder / "facts").unlink()
    traced = Terminal(place, [*FWTOP, "record", "-q", "--python", sys.executable, "script.py"])
    assert traced.end() == 0
    assert differing(json.loads(expected), json.loads((place.folder / "facts").read_text())) == {}
    assert '"tty": [true, true, true]' in expected


def test_terminal_shows_the_same(place: Place) -> None:
    place.script(
        "import sys\nname = input('name? ')\nprint('hello', name)\nsys.stderr.write('bye\\n')\n"
    )
    screens = []
    for argv in ([], [*FWTOP, "record", "-q", "--python"]):
        terminal = Terminal(place, [*argv, sys.executable, "script.py"])
        terminal.shows(b"name? ")
        terminal.type(b"Ada\n")
        assert terminal.end() == 0
        screens.append(terminal.screen)
    assert screens[0] == screens[1]
    assert screens[0].endswith(b"name? Ada\r\nhello Ada\r\nbye\r\n")


def test_half_a_terminal(place: Place) -> None:
    """stdout into a file, stderr on the terminal: isatty says so, as it does without fwtop."""
    place.script(
        "import os, sys\nprint([os.isatty(n) for n in range(3)])\nprint('shown', file=sys.stderr)\n"
    )
    out = place.folder / "out"
    line = f"{' '.join(FWTOP)} record -q --python {sys.executable} script.py > {out}"
    terminal = Terminal(place, ["sh", "-c", line])
    assert terminal.end() == 0
    assert out.read_text() == "[True, False, True]\n"
    assert terminal.screen == b"shown\r\n"


pytestmark = pytest.mark.timeout(100)

COUNTS_INTERRUPTS = """
import os, signal, sys, time
count = 0
told = os.open('interrupts', os.O_WRONLY | os.O_CREAT)
def seen(number, frame):
    global count
    count += 1
    os.write(told, b'.')
    os.write(1, b'interrupt %d\\n' % count)  # the next one may come within: print would raise then
    if count == 3: sys.exit(9)
signal.signal(signal.SIGINT, seen)
print('ready', flush=True)
while True: time.sleep(0.01)
"""


def test_control_c_on_a_terminal_reaches_the_script_once_each_press(place: Place) -> None:
    """Told by a file: after a Ctrl-C the kernel drops what waits on the terminal, and that may be
    the script's answer (3 of 390,000 times on a busy machine, without fwtop)."""
    place.script(COUNTS_INTERRUPTS)
    interrupts = place.folder / "interrupts"
    interrupts.write_text("")
    terminal = Terminal(place, [*FWTOP, "record", "-q", "--python", sys.executable, "script.py"])
    terminal.shows(b"ready")
    for press in (1, 2, 3):
        terminal.type(b"\x03")
        wait_until(
            lambda: terminal.read() and len(interrupts.read_text()) >= press,  # noqa: B023
            f"interrupt {press}",
        )
    assert terminal.end() == 9
    assert interrupts.read_text() == "..."


def test_control_c_with_output_on_a_pipe(place: Place) -> None:
    place.script(COUNTS_INTERRUPTS)
    argv = [*FWTOP, "record", "-q", "--python", sys.executable, "script.py"]
    process = place.start(argv, start_new_session=True)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    for press in (1, 2, 3):
        os.killpg(process.pid, signal.SIGINT)
        assert process.stdout.readline() == b"interrupt %d\n" % press
    assert process.wait(PATIENCE_S) == 9


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2])
def test_signals_are_passed_on(place: Place, number: signal.Signals) -> None:
    """Slurm and others send SIGUSR1 before the time is up; SIGTERM asks for the end."""
    place.script(
        "import signal, sys, time\n"
        f"signal.signal({number:d}, lambda *_: sys.exit(5))\n"
        "print('ready', flush=True)\n"
        "while True: time.sleep(0.01)\n"
    )
    argv = [*FWTOP, "record", "-q", "--python", sys.executable, "script.py"]
    process = place.start(argv)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(number)
    assert process.wait(PATIENCE_S) == 5


def test_what_the_script_leaves_in_the_background_lives_on(place: Place) -> None:
    """It keeps the terminal, too: nobody hangs up on it."""
    place.script(
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', '''\n"
        "import os, time\n"
        "open('child', 'w').write(str(os.getpid()))\n"
        "while not os.path.exists('go'): time.sleep(0.01)\n"
        "os.write(1, b'still here')\n"
        "open('survived', 'w').close()\n"
        "'''])\n"
        "print('script ends', flush=True)\n"
    )
    done = Terminal(place, [*FWTOP, "record", "-q", "--python", sys.executable, "script.py"])
    wait_until(lambda: done.read() and done.process.poll() is not None, "the command's end")
    assert done.process.returncode == 0
    assert not place.run_folders
    (place.folder / "go").touch()
    wait_until((place.folder / "survived").exists, "the child's end")
    os.close(done.master)


def test_detach_by_hangup(place: Place) -> None:
    place.script(
        "import os, time\n"
        "print('ready', flush=True)\n"
        "while not os.path.exists('go'): time.sleep(0.01)\n"
        "print('after', flush=True)\n"
        "open('done', 'w').close()\n"
    )
    terminal = Terminal(place, [*FWTOP, "record", "-q", "--python", sys.executable, "script.py"])
    terminal.shows(b"ready")
    os.close(terminal.master)
    terminal.process.wait(PATIENCE_S)
    (place.folder / "go").touch()
    wait_until((place.folder / "done").exists, "the script's end")
    wait_until(lambda: not place.run_folders, "the recorder's end")
    assert len(place.recordings) == 1
