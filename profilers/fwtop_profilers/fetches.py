"""The batches fetched since training last did something, and which of them are training's own.

Owns the answer to "was that evaluation?". Knows no clock and no framework. A run is a stretch of
fetches from one iterator. It is evaluation when

- it was fetched with gradients switched off, or
- it was read to its end without a backward after its last batch, and another was read after it
  (a loop that fetches ahead may meet the end before it trains on the last batches), or
- it gave two batches or more before another iterator took over, without a backward.

So `zip(labelled, unlabelled)`, fetching several micro-batches ahead, and prefetching one batch
ahead remain training. Evaluation without a DataLoader cannot be seen here.
"""

from __future__ import annotations

from typing import List, NamedTuple, Optional

MAX_RUNS = 64


class Run:
    """Fetches from one iterator, one after the other."""

    __slots__ = ("batches", "begin", "end", "exhausted", "key", "samples", "training", "waited")

    def __init__(self, key: int, begin: int, training: bool) -> None:
        self.key = key
        self.begin = begin
        self.end = begin
        self.training = training
        self.exhausted = False
        self.batches = 0
        self.samples: Optional[int] = None
        self.waited = 0


class Own(NamedTuple):
    """What of the fetches belongs to the step that is about to compute."""

    evaluated: bool
    """Whether evaluation lay before it."""
    begin: Optional[int]
    """When its first fetch began; None without one."""
    end: Optional[int]
    """When its last fetch ended; after evaluation alone, when that was last seen."""
    input_ns: int
    samples: Optional[int]
    runs: List[Run]


class Fetches:
    """Runs since the last backward or optimizer step."""

    __slots__ = ("_overflowed", "runs")

    def __init__(self) -> None:
        self.runs: List[Run] = []
        self._overflowed = False

    def add(
        self, key: int, begin: int, end: int, training: bool, batch: bool, samples: Optional[int]
    ) -> None:
        """Note one fetch. `batch` is False where it only made the iterator."""
        runs = self.runs
        run = runs[-1] if runs else None
        if run is None or run.key != key or run.exhausted or run.training is not training:
            if len(runs) >= MAX_RUNS:  # nobody fetches that often for one backward
                del runs[: MAX_RUNS // 2]
                self._overflowed = True
            run = Run(key, begin, training)
            runs.append(run)
        run.end = end
        run.waited += end - begin
        if batch:
            run.batches += 1
            if samples is not None:
                run.samples = (run.samples or 0) + samples

    def exhausted(self, key: int, begin: int, end: int, training: bool) -> None:
        """Note that an iterator had no more (or raised)."""
        self.add(key, begin, end, training, False, None)
        self.runs[-1].exhausted = True

    def take(self) -> Own:
        """Split the runs, and start anew."""
        runs, self.runs = self.runs, []
        if len(runs) == 1 and not self._overflowed:  # nearly always
            run = runs[0]
            if run.training and run.batches:
                found = (False, run.begin, run.end, run.waited, run.samples, runs)
                return tuple.__new__(Own, found)  # past its constructor in Python
        last_evaluation = -1
        for at, run in enumerate(runs):
            if self._is_evaluation(run, runs):
                last_evaluation = at
        evaluated = last_evaluation >= 0 or self._overflowed
        self._overflowed = False
        own = runs[last_evaluation + 1 :]
        while own and own[0].exhausted and own[0].batches == 0:
            del own[0]  # the last epoch's iterator found its end: no fetch for this step
        if not own:
            return Own(evaluated, None, runs[-1].end if runs else None, 0, None, own)
        samples = [run.samples for run in own if run.samples is not None]
        return Own(
            evaluated,
            own[0].begin,
            own[-1].end,
            sum(run.waited for run in own),
            max(samples) if samples else None,  # zipped loaders feed one batch
            own,
        )

    def clear(self) -> None:
        """Forget them."""
        self.runs = []
        self._overflowed = False

    @staticmethod
    def _is_evaluation(run: Run, runs: List[Run]) -> bool:
        if not run.training:
            return True
        if run is runs[-1] or run.batches == 0:
            return False
        return run.exhausted or (run.batches > 1 and runs[-1].key != run.key)
