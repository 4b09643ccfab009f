"""What the script gets, what is recorded, and where the recording may lie."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from fwtop.launch import filesystem
from fwtop.launch.environment import bootstrap_folder, for_script, recorded
from fwtop.launch.provenance import revision
from fwtop.launch.session_end import kills_user_processes, risk
from fwtop.launch.spec import LaunchSpec
from fwtop.run_folder import RunFolder


def spec(folder: Path) -> LaunchSpec:
    return LaunchSpec(
        run_id="20261123-101112-abcd", argv=["x"], command=["x"], cwd="/", recording="r",
        live_recording="r", terminal=False, budget_ratio=0.05, deep=True,
    )  # fmt: skip


def test_script_gets_its_own_environment_and_the_probe(tmp_path: Path) -> None:
    own = {"A": "1", "PYTHONPATH": "mine:yours"}
    got = for_script(own, spec(tmp_path), RunFolder(tmp_path))
    assert got["PYTHONPATH"] == f"{bootstrap_folder()}:mine:yours"
    assert (bootstrap_folder() / "sitecustomize.py").is_file()
    added = {name for name in got if name not in own}
    assert added == {
        "FWTOP_SOCKET", "FWTOP_WINDOWS", "FWTOP_RUN_ID", "FWTOP_OVERHEAD", "FWTOP_DEEP",
        "FWTOP_STEP_ON",
    }  # fmt: skip
    assert (got["FWTOP_OVERHEAD"], got["FWTOP_DEEP"], got["A"]) == ("0.05", "1", "1")
    assert own == {"A": "1", "PYTHONPATH": "mine:yours"}


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("CUDA_VISIBLE_DEVICES", "0,1", True),
        ("CUDA_VISIBLE_DEVICES", "GPU-8932f937-d72c-4106-c12f-20bd9faed9f6", True),
        ("OMP_NUM_THREADS", "8", True),
        ("NCCL_SOCKET_IFNAME", "eth0", True),
        ("PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True", True),
        ("TF_CONFIG", '{"cluster": {"worker": ["a:1", "b:2"]}}', True),
        ("TORCH_HOME", "/home/me/.cache/torch", True),
        ("LOCAL_RANK", "3", True),
        ("PATH", "/bin", False),
        ("HOME", "/home/me", False),
        ("WANDB_API_KEY", "x", False),
        ("TORCH_HUB_TOKEN", "short", False),
        ("TF_SECRET_THING", "1", False),
        ("NCCL_AUTH_KEY", "1", False),
        ("TORCH_INDEX", "https://me:pass@host/simple", False),
        ("TORCH_STORE", "hf_AbCdEfGhIjKlMnOpQrSt", False),
        ("TF_X", "AKIAIOSFODNN7EXAMPLE", False),
        ("TOKENIZERS_PARALLELISM", "false", True),
    ],
)
def test_what_is_recorded(name: str, value: str, kept: bool) -> None:
    assert (name in recorded({name: value})) is kept


@pytest.mark.parametrize(
    ("kind", "network"),
    [("nfs4", True), ("lustre", True), ("fuse.sshfs", True), ("ext4", False), ("overlay", False),
     ("tmpfs", False), (None, False), ("fuse.fuse-overlayfs", False)],
)  # fmt: skip
def test_network_file_systems(
    kind: str | None, network: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filesystem, "_mounts", lambda: {} if kind is None else {"/": kind})
    assert filesystem.is_network(tmp_path / "not" / "there" / "yet") is network


def test_file_system_of_this_machine(tmp_path: Path) -> None:
    assert filesystem.filesystem_type(Path("/proc/self")) == "proc"
    assert filesystem.filesystem_type(tmp_path)


def test_nearest_mount_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = {"/": "ext4", str(tmp_path): "nfs", str(tmp_path / "scratch"): "xfs"}
    monkeypatch.setattr(filesystem, "_mounts", lambda: mounts)
    (tmp_path / "scratch").mkdir()
    assert filesystem.is_network(tmp_path)
    assert not filesystem.is_network(tmp_path / "scratch" / "x")


def test_git_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert revision(str(tmp_path)).commit is None
    git = ["git", "-C", str(tmp_path), "-c", "user.name=x", "-c", "user.email=x@example.org"]
    (tmp_path / "a").write_text("1")
    for words in (["init", "-q"], ["add", "a"], ["commit", "-q", "-m", "x"]):
        subprocess.run([*git, *words], check=True)
    found = revision(str(tmp_path))
    assert found.commit is not None
    assert (len(found.commit), found.dirty) == (40, False)
    (tmp_path / "a").write_text("2")
    assert revision(str(tmp_path)).dirty is True
    monkeypatch.setenv("PATH", "/nowhere")
    assert revision(str(tmp_path)).commit is None


def test_hosts_that_kill_what_a_session_leaves(tmp_path: Path) -> None:
    main, drop = tmp_path / "logind.conf", tmp_path / "logind.conf.d"
    places = [tmp_path / "absent", main, drop]
    assert not kills_user_processes(places)
    main.write_text("[Login]\n#KillUserProcesses=yes\nKillUserProcesses=yes\n")
    assert kills_user_processes(places)
    drop.mkdir()
    (drop / "10-keep.conf").write_text("[Login]\nKillUserProcesses=no\n")
    assert not kills_user_processes(places)
    slurm = risk({"SLURM_JOB_ID": "7"})
    assert slurm is not None
    assert "7" in slurm.text
