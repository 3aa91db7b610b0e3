"""The runs of a saga that waits for a callback, a signal and a time, and the boundaries between their stages."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

#: The folder with the saga `parcel`.
SAGAS = Path(__file__).parents[1] / "support" / "patient_sagas"


@dataclass(frozen=True, kw_only=True)
class PatientRun:
    """One complete run of the saga `parcel` without a crash."""

    name: str
    end: str
    commits: int
    sends: int
    #: The number of signals and answers that arrive.
    arrivals: int
    #: The participant answers the call that it has accepted. False: the wait for its answer ends.
    answers: bool = True
    #: What the signal says. None: no signal comes, and the wait for it ends.
    agrees: bool | None = True
    #: The signal comes before the saga waits for it.
    early: bool = False

    def __str__(self) -> str:
        return self.name

    def boundaries(self) -> Iterator[tuple["PatientRun", str, int]]:
        for what, count in (("commit", self.commits), ("send", self.sends), ("arrival", self.arrivals)):
            for number in range(1, count + 1):
                yield from ((self, f"{when}_{what}", number) for when in ("before", "after"))


RUNS = [
    PatientRun(name="answered", end="PAID", commits=7, sends=2, arrivals=2),
    PatientRun(name="signalled-early", end="PAID", commits=6, sends=2, arrivals=2, early=True),
    PatientRun(name="disagreed", end="CALLED_OFF", commits=6, sends=2, arrivals=2, agrees=False),
    PatientRun(name="never-signalled", end="CALLED_OFF", commits=6, sends=2, arrivals=1, agrees=None),
    PatientRun(name="never-answered", end="CALLED_OFF", commits=5, sends=2, arrivals=0, answers=False),
]
BOUNDARIES = [boundary for run in RUNS for boundary in run.boundaries()]
