"""`python -m deploy.lock`: write requirements.lock, the packages of the image with the SHA-256 of each file that fits.

The hashes come from pip, which asks the package index. `--check` needs no network: it compares requirements.lock with
requirements.txt, and ends with exit code 1 when they differ.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from deploy.sbom import REQUIREMENTS, pinned

LOCK = REQUIREMENTS.with_suffix(".lock")
#: Versions of Python that the service supports, because the base image can have any of them, and the processors that
#: the image is built for.
PYTHONS = ("3.11", "3.12", "3.13")
PROCESSORS = ("x86_64", "aarch64")
_GLIBC = ("manylinux2014", "manylinux_2_17", "manylinux_2_24", "manylinux_2_27", "manylinux_2_28")
_HEAD = """\
# The packages of the image, each with the SHA-256 of its files for {}, written by `python -m deploy.lock`.
# pip installs no other file: `pip install --require-hashes --only-binary=:all: -r requirements.lock`.
"""
_LINE = re.compile(r"([\w.-]+)==(\S+)((?: --hash=sha256:[0-9a-f]{64})+)")


def hashes_for(processor: str, python: str) -> Mapping[str, str]:
    """Return the SHA-256 of the file of each pinned package, by name in lower case. python: version, such as `3.13`."""
    platforms = [f"--platform={glibc}_{processor}" for glibc in _GLIBC]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        command = [
            sys.executable, "-m", "pip", "install", "-qq", "--dry-run", "--ignore-installed", "--no-deps",
            "--only-binary=:all:", f"--python-version={python}", *platforms, "--platform=any", f"--target={folder}",
            f"--report={report}", f"--requirement={REQUIREMENTS}",
        ]  # fmt: skip
        subprocess.run(command, check=True)  # noqa: S603  a fixed command
        found = json.loads(report.read_text(encoding="utf-8"))["install"]
    return {_key(each["metadata"]["name"]): each["download_info"]["archive_info"]["hashes"]["sha256"] for each in found}


def locked(packages: list[tuple[str, str]], hashes: list[Mapping[str, str]]) -> str:
    """Return the text of requirements.lock. hashes: of each processor and Python."""
    lines = [
        " ".join([f"{name}=={version}", *sorted({f"--hash=sha256:{of_one[_key(name)]}" for of_one in hashes})])
        for name, version in packages
    ]
    return _HEAD.format(f"Python {' '.join(PYTHONS)} on {' and '.join(PROCESSORS)}") + "\n".join(lines) + "\n"


def problems_of(lock: str, packages: list[tuple[str, str]]) -> list[str]:
    """Return how requirements.lock differs from the pinned packages."""
    lines = [line for line in lock.splitlines() if line and not line.startswith("#")]
    found = [_LINE.fullmatch(line) for line in lines]
    problems = [
        f"no package with its hashes: {line[:60]}" for line, match in zip(lines, found, strict=True) if not match
    ]
    known, wanted = {(match[1], match[2]) for match in found if match}, set(packages)
    problems += [f"{name} {version} is missing" for name, version in sorted(wanted - known)]
    return problems + [f"{name} {version} is not in requirements.txt" for name, version in sorted(known - wanted)]


def _key(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def main(arguments: list[str]) -> int:
    packages = sorted(pinned(REQUIREMENTS.read_text(encoding="utf-8")), key=lambda package: package[0].lower())
    if "--check" in arguments:
        problems = problems_of(LOCK.read_text(encoding="utf-8"), packages)
        sys.stderr.writelines(f"requirements.lock: {problem}; run `python -m deploy.lock`\n" for problem in problems)
        return 1 if problems else 0
    hashes = [hashes_for(processor, python) for processor in PROCESSORS for python in PYTHONS]
    LOCK.write_text(locked(packages, hashes), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
