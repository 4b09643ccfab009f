"""Speaks to the recorder as a probe would, as fast as it is heard: STEPS steps in batches.

    step_stream.py STEPS

Every step carries its phases; a thousand of them are a second of the training that it plays, with
an allocator's reading each second.
"""

from __future__ import annotations

import os
import random
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "..", "profilers"))

from fwtop_profilers import wire

STEPS_A_MESSAGE = 500
STEP_NS = 1_000_000

count = int(sys.argv[1])
random.seed(0)
connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
connection.connect(os.environ["FWTOP_SOCKET"])
began = time.monotonic_ns()


def send(message: object) -> None:
    connection.sendall(wire.encode(message))


send(
    wire.Hello(
        wire_version=wire.WIRE_VERSION,
        process_key=f"{os.getpid()}-{began}",
        pid=os.getpid(),
        parent_pid=os.getppid(),
        started_ns=began,
        anchor_monotonic_ns=began,
        anchor_unix_ns=time.time_ns(),
        host="localhost",
        argv=sys.argv,
        executable=sys.executable,
        python_version="3.11",
    )
)
send(wire.Framework("torch", "2.13.0", {"steps": "optimizer hooks"}))
send(wire.StepSource("optimizer"))
for first in range(0, count, STEPS_A_MESSAGE):
    size = min(STEPS_A_MESSAGE, count - first)
    durations = [int(STEP_NS * random.uniform(0.8, 1.2)) for _ in range(size)]
    starts = [began + (first + number) * STEP_NS for number in range(size)]
    shares = {"input": 0.1, "forward": 0.3, "backward": 0.4, "optimizer": 0.15}
    phases = {name: [int(d * share) for d in durations] for name, share in shares.items()}
    send(wire.Steps(first, starts, durations, phases, [0] * size, [32] * size))
    if first % 1000 == 0:
        send(wire.Memory(starts[0], "cuda:0", 1 << 30, 2 << 30, 1 << 30, 1 << 30, 2 << 30))
send(wire.Goodbye(began + count * STEP_NS, "end"))
connection.shutdown(socket.SHUT_WR)
connection.recv(1)  # the recorder has read everything when it closes
