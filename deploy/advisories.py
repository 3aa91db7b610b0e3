"""`python -m deploy.advisories`: look for known weaknesses of the packages of the image, with pip-audit.

It ends with exit code 1 when a package has an advisory. It names the packages that the service does not know. Without a
network it says that nothing was looked up. Both end with 0, so that `make check` works offline and with any index.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from deploy.lock import LOCK

#: Longest time for all look-ups, in seconds. pip-audit itself waits 15 s for each answer.
_LONGEST_S = 300.0
_SKIPPED = "advisories: skipped, because the advisory service does not answer"


def audited() -> str:
    """Return the report of pip-audit as JSON; "" when it could not ask the advisory service."""
    command = [
        sys.executable, "-m", "pip_audit", "--requirement", str(LOCK), "--disable-pip", "--require-hashes",
        "--format=json", "--progress-spinner=off",
    ]  # fmt: skip
    try:
        return subprocess.run(  # noqa: S603  a fixed command
            command, capture_output=True, text=True, timeout=_LONGEST_S, check=False
        ).stdout
    except subprocess.TimeoutExpired:
        return ""


def verdict(report: str) -> tuple[int, list[str]]:
    """Return the exit code and the lines to show. report: see `audited`."""
    packages = json.loads(report)["dependencies"] if report.strip() else []
    unknown = [f"advisories: {each['name']}: {each['skip_reason']}" for each in packages if "skip_reason" in each]
    if len(unknown) == len(packages):
        return 0, [_SKIPPED]
    found = list(_advisories(packages))
    return (1 if found else 0), found + unknown or [f"advisories: none for {len(packages)} packages"]


def _advisories(packages: list[dict[str, Any]]) -> Iterator[str]:
    for each in packages:
        for found in each.get("vulns", ()):
            mended = ", ".join(found["fix_versions"]) or "no release"
            yield f"advisories: {each['name']} {each['version']}: {found['id']}, mended in {mended}"


def main() -> int:
    code, lines = verdict(audited())
    sys.stderr.writelines(f"{line}\n" for line in lines)
    return code


if __name__ == "__main__":
    sys.exit(main())
