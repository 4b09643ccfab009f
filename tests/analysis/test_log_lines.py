"""Lines as libraries write them, taken from real runs, and lines that only look like them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fwtop.analysis.log_lines import LEVELS, LibraryLine, find

LIBRARIES = [
    # TensorFlow 2.21
    ("I0000 00:00:1795424203.332617   25320 port.cc:153] oneDNN custom operations are on.", "info"),
    ("I0000 00:00:1795424960.023773    1681 service.cc:161]   StreamExecutor [0]: Host", "info"),
    ("W0000 00:00:1795424960.119138    1681 local_rendezvous.cc:412] Local rendezvous is aborting "
     "with status: INVALID_ARGUMENT: Matrix size-incompatible: In[0]: [2,3], In[1]: [2,3]",
     "warning"),
    ("E0000 00:00:1730210132.123456    4242 cuda_dnn.cc:8310] Unable to register cuDNN factory",
     "error"),
    ("F1122 10:11:12.345678    4242 log.cc:1] Check failed: ok", "fatal"),
    # TensorFlow before 2.18
    ("2026-11-22 10:11:12.345678: I tensorflow/core/util/port.cc:153] oneDNN custom operations",
     "info"),
    ("2026-11-22 10:11:12.345678: W tensorflow/compiler/tf2tensorrt/utils/py_utils.cc:38] TF-TRT "
     "Warning: Could not find TensorRT", "warning"),
    ("2026-11-22 10:11:12.345678: E external/local_xla/xla/stream_executor/cuda/cuda_fft.cc:477] "
     "Unable to register cuFFT factory", "error"),
    ("2026-11-22 10:11:12.345678: F tensorflow/core/framework/tensor.cc:715] Check", "fatal"),
    ("WARNING: All log messages before absl::InitializeLog() is called are written to STDERR",
     "warning"),
    ("To enable the following instructions: AVX2 FMA, in other operations, rebuild TensorFlow with "
     "the appropriate compiler flags.", "info"),
    # PyTorch 2.13 and older
    ("[I1123 09:09:08.518169907 socket.cpp:955] [c10d] The client socket has connected", "info"),
    ("[W1122 10:11:12.3456 file.cpp:12] Warning: …", "warning"),
    ("[rank1]:[E1122 10:11:12.345678901 ProcessGroupNCCL.cpp:616] [Rank 1] Watchdog caught",
     "error"),
    ("[W TensorImpl.h:1156] Warning: Named tensors are experimental", "warning"),
    ("W1123 09:09:12.686000 1389 torch/_dynamo/convert_frame.py:1994] [0/2] torch._dynamo hit "
     "config.recompile_limit (2)", "warning"),
    ("[rank0]:V1123 09:09:12.686000 1389 torch/fx/x.py:1] [0/0] create_env", "info"),
    ("C1123 09:09:12.686000 1389 torch/x.py:1] over", "fatal"),
    # NCCL 2.18 and 2.28
    ("node-1.lan:4711:4712 [0] NCCL INFO Bootstrap : Using eth0:10.0.0.1<0>", "info"),
    ("node-1:4711:4712 [1] misc/socket.cc:484 NCCL WARN socketStartConnect: Connect failed",
     "warning"),
    ("[2026-11-22 10:11:12] node-1:4711:4712 [0] init.cc:9 (ncclInit) NCCL WARN Cuda failure",
     "warning"),
    ("node-1:4711:4712 NCCL CALL ncclCommInitRank(…)", "info"),
    ("NCCL version 2.28.3+cuda12.9", "info"),
]  # fmt: skip
OWN = [
    "",
    "epoch 3: loss 0.52 [W: 3, I: 4]",
    "I0000",
    "W 3] of 5]",
    "2026-11-22 10:11:12.345678: loss 0.5 [ok]",
    "2026-11-22 10:11:12,345 INFO train.py:12] epoch 3",
    "[INFO train.py:3] x",
    "[W12] a.b:3]",
    "INFO:tensorflow:Using MirroredStrategy",
    "/lib/graph.py:979: UserWarning: Using backward() with create_graph=True",
    "set NCCL_DEBUG=INFO to see NCCL INFO lines",
    "To enable the following instructions: press enter",
    'Traceback (most recent call last):\n  File "x.py", line 3, in [0]',
]


@pytest.mark.parametrize(("line", "level"), LIBRARIES)
def test_a_librarys_line(line: str, level: str) -> None:
    assert find(line) == LibraryLine(level, 0)  # type: ignore[arg-type]


@pytest.mark.parametrize("line", OWN)
def test_the_scripts_own(line: str) -> None:
    assert find(line) is None


@pytest.mark.parametrize(("line", "level"), [one for one in LIBRARIES if "]" in one[0][:80]])
def test_after_a_bar_that_has_not_ended_its_line(line: str, level: str) -> None:
    bar = " 45%|####5     | 9/20 [00:01<00:01, 8.1it/s]"
    assert find(bar + line) == LibraryLine(level, len(bar))  # type: ignore[arg-type]


@settings(deadline=None)
@given(st.text())
def test_any_text_is_read(text: str) -> None:
    found = find(text)
    assert found is None or (found.level in LEVELS and 0 <= found.start < len(text))


FRAGMENTS = st.lists(
    st.sampled_from(
        ["I0000 ", "[W1122 ", "10:11:12.345678", "00:00:1.2", " 12 ", "a.cc:3]", "host:1:2 ",
         "[0] ", "NCCL ", "INFO", "WARN ", "2026-11-22 ", ": I ", "x/y.cc:1] ", "[rank0]:", " "]
    ),
    max_size=12,
).map("".join)  # fmt: skip


@settings(deadline=None)
@given(FRAGMENTS, FRAGMENTS)
def test_what_comes_before_changes_only_where_it_begins(before: str, line: str) -> None:
    """A library's line stays one, of the same level, whatever lines end before it."""
    alone = find(line)
    after = find(before + line)
    if alone is not None and "]" in line and "NCCL" not in before + line:
        assert after is not None
        assert after.start <= len(before) + alone.start
