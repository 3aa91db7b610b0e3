"""The model of the engine's own protocol, and its check by SPIN.

Each `.pml` file is a model. A line `/* search TEXT: MACROS */` declares a size in which the assertions are checked, and
`/* live TEXT: MACROS */` a size in which the liveness is checked. A line `#ifndef NAME /* breaks PROPERTY: text */`
declares a guard, which is on. The check searches each model completely in each size. Then it takes out one guard after
the other, in the first size of its kind: each time the search must find that the named property is broken.
"""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
#: Programs that the check needs, and the Debian package of each.
PROGRAMS: Mapping[str, str] = {"spin": "spin", "gcc": "gcc"}
#: Name of the property that is checked under weak fairness; every other property is an assertion.
LIVENESS = "ends"
_SIZE = re.compile(r"^/\* (search|live) (.+): (-D.+) \*/$", re.MULTILINE)
_GUARD = re.compile(r"^#ifndef (\w+) /\* breaks (\w+): (.+) \*/$", re.MULTILINE)
_STATES = re.compile(r"(\d+) states, stored")
_ERRORS = re.compile(r"errors: (\d+)")
#: Largest memory of one search, in MB, and its longest time, in seconds.
_MEMORY_MB, _TIME_S = 1000, 900


@dataclass(frozen=True, kw_only=True)
class Guard:
    """A guard of the protocol, which a model can do without."""

    model: Path
    name: str
    #: Property that is broken without the guard.
    breaks: str
    #: What the guard says.
    says: str


@dataclass(frozen=True, kw_only=True)
class Size:
    """A size in which a model is searched completely."""

    model: Path
    #: What is in the model, in words.
    says: str
    macros: Sequence[str]
    #: True: the liveness is checked, under weak fairness; False: the assertions are checked.
    live: bool


@dataclass(frozen=True, kw_only=True)
class Found:
    """The result of one search."""

    #: Property that is broken; None: none is.
    broken: str | None
    states: int


class SearchError(Exception):
    """A search did not come to its end."""


def missing() -> list[str]:
    """Return the Debian packages of the programs that are not installed."""
    return [package for program, package in PROGRAMS.items() if shutil.which(program) is None]


def models() -> list[Path]:
    return sorted(FOLDER.glob("*.pml"))


def guards(model: Path) -> list[Guard]:
    return [
        Guard(model=model, name=name, breaks=breaks, says=says)
        for name, breaks, says in _GUARD.findall(model.read_text())
    ]


def sizes(model: Path) -> list[Size]:
    """Return the sizes that a model declares. Guards are taken out in the first size of each kind."""
    return [
        Size(model=model, says=says, macros=macros.split(), live=kind == "live")
        for kind, says, macros in _SIZE.findall(model.read_text())
    ]


def search(model: Path, *macros: str, live: bool = False) -> Found:
    """Search a model completely, or up to the first broken property. Raise SearchError when neither is reached.

    live: check that every saga ends, under weak fairness; otherwise check the assertions.
    """
    with tempfile.TemporaryDirectory() as folder:
        for part in (model, *FOLDER.glob("*.h")):
            shutil.copy(part, folder)
        options = ["-DNFAIR=5"] if live else ["-DSAFETY", "-DNOCLAIM"]
        _run(folder, "spin", *macros, "-a", model.name)
        _run(folder, "gcc", "-O1", "-w", *options, f"-DMEMLIM={_MEMORY_MB}", "-o", "pan", "pan.c")
        output = _run(folder, "./pan", "-m100000", *(("-a", "-f") if live else ()))
        errors, states = _ERRORS.search(output), _STATES.search(output)
        if errors is None or states is None or (errors[1] == "0" and "not completed" in output):
            raise SearchError(f"{model.name} {' '.join(macros)}: {output[-2000:]}")
        broken = None if errors[1] == "0" else _broken(output, _run(folder, "spin", *macros, "-t", model.name), model)
        return Found(broken=broken, states=int(states[1]))


def check() -> Iterator[tuple[str, bool]]:
    """Search every model in every size, and then without each guard. Yield a line and whether it is as it must be."""
    with ThreadPoolExecutor(2) as pool:
        for model in models():
            whole = [(size, pool.submit(search, model, *size.macros, live=size.live)) for size in sizes(model)]
            out = [(guard, pool.submit(without, guard)) for guard in guards(model)]
            for size, future in whole:
                found, what = future.result(), "every saga ends" if size.live else "safe"
                text = f"{model.name}, {size.says}: {what}: {found.broken or 'holds'}, {found.states} states"
                yield text, found.broken is None
            for guard, less in out:
                broken = less.result().broken
                yield f"{model.name} without {guard.name}: {broken or 'holds'}", broken == guard.breaks


def without(guard: Guard) -> Found:
    """Search the model of a guard without the guard."""
    live = guard.breaks == LIVENESS
    size = next(size for size in sizes(guard.model) if size.live == live)
    return search(guard.model, f"-D{guard.name}=0", *size.macros, live=live)


def _broken(output: str, trail: str, model: Path) -> str:
    """Return the name of the property that a search has found broken. trail: the counterexample, as SPIN prints it."""
    if "acceptance cycle" in output:
        return LIVENESS
    if at := re.search(r"\.pml:(\d+), Error: assertion violated", trail):
        line = model.read_text().splitlines()[int(at[1]) - 1]
        if name := re.search(r"assert\((\w+)\)", line):
            return name[1]
    return "deadlock" if "invalid end state (" in output else "unknown"


def _run(folder: str, *command: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603
            command, cwd=folder, capture_output=True, text=True, check=False, timeout=_TIME_S
        )
    except subprocess.TimeoutExpired as error:
        raise SearchError(f"{' '.join(command)}: not done after {_TIME_S} s") from error
    if done.returncode and command[0] == "gcc":
        raise SearchError(done.stderr)
    return done.stdout + done.stderr
