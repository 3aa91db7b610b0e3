"""`python -m deploy.sbom`: the packages of the service as a CycloneDX document, and a check of their licences.

With `--check` it writes nothing, and ends with exit code 1 when an installed package is not the pinned one, or has a
licence that is not on the list. It reads the installed packages, and needs no network.
"""

import json
import re
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from app.version import VERSION

REQUIREMENTS = Path(__file__).parents[1] / "requirements.txt"
#: Licences that let anybody run and change the service. LGPL and MPL apply to the packages themselves alone.
ALLOWED = ("MIT", "BSD", "Apache", "PSF", "MPL", "Mozilla Public", "LGPL", "Lesser General", "ISC", "Dual License")
#: A licence under which the whole service would have to be given away.
_REFUSED = re.compile(r"\bA?GPL|(?<!Lesser )General Public|SSPL|Business Source|Commons Clause", re.IGNORECASE)


def pinned(text: str) -> Iterator[tuple[str, str]]:
    """Yield the name and the version of each package in a requirements file."""
    for line in text.splitlines():
        if line and not line.startswith(("#", "-")):
            name, _, version = line.partition("==")
            yield name.strip(), version.strip()


def licence_of(name: str) -> str:
    """Return the licence that a package declares."""
    about = distribution(name).metadata
    classifiers = [text for text in about.get_all("Classifier") or [] if text.startswith("License ::")]
    declared = about.get("License-Expression") or "; ".join(text.rpartition(":: ")[2] for text in classifiers)
    return declared or (about.get("License") or "").partition("\n")[0]


def problem_of(name: str, version: str) -> str | None:
    """Return what is wrong with a package; None when it is the pinned one and has an allowed licence."""
    try:
        installed = distribution(name).version
    except PackageNotFoundError:
        return f"{name} is not installed; run `make lint`"
    if installed != version:
        return f"{name} {installed} is installed, but {version} is pinned"
    licence = licence_of(name)
    if _REFUSED.search(licence) or not any(word in licence for word in ALLOWED):
        return f"{name} has the licence {licence!r}, which is not on the list of deploy/sbom.py"
    return None


def document(packages: list[tuple[str, str]]) -> dict[str, Any]:
    """Return the CycloneDX 1.5 document of packages."""
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": "saga-orchestrator", "version": VERSION}},
        "components": [
            {
                "type": "library",
                "name": name,
                "version": version,
                "purl": f"pkg:pypi/{name.lower().replace('_', '-')}@{version}",
                "licenses": [{"license": {"name": licence_of(name)}}],
            }
            for name, version in packages
        ],
    }


def main(arguments: list[str]) -> int:
    packages = sorted(pinned(REQUIREMENTS.read_text(encoding="utf-8")))
    problems = [found for name, version in packages if (found := problem_of(name, version))]
    sys.stderr.writelines(f"sbom: {problem}\n" for problem in problems)
    if "--check" not in arguments and not problems:
        sys.stdout.write(json.dumps(document(packages), indent=2) + "\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
