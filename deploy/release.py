"""`make release VERSION=1.1.0 [DRY=1] [IMAGE=no]`: release the commit that is checked out.

The release is made in a clone: the version and the CHANGELOG are written, committed and tagged there, and the wheel,
the image, the list of packages and the chart are built from that tag. When all of this has worked, the commit and the
tag come into this repository, and the files into `dist/`. So a release that fails leaves nothing behind, and a dry run
does everything except this last step.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parents[1]
NAME = "saga-orchestrator"
#: Each place of the version: file, pattern, and how often the pattern occurs.
PLACES = (
    ("app/version.py", r'(?<=^VERSION = ")[^"]+', 1),
    ("deploy/helm/Chart.yaml", r"(?<=^version: ).+|(?<=^appVersion: ).+", 2),
    ("Dockerfile", r'(?<=image\.version=")[^"]+', 1),
    ("docs/openapi.json", r'(?<=^    "version": ")[^"]+', 1),
)
_UNRELEASED = re.compile(r"^## Unreleased\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)


class RefusedError(Exception):
    """The release cannot be made; the text is the one line that says why."""


def ran(folder: Path, *command: str) -> str:
    """Run a command in a folder and return its output; raise RefusedError with the last line of its errors."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603  no shell
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no output"]
        raise RefusedError(f"{' '.join(command[:3])} failed: {lines[-1]}")
    return done.stdout.strip()


def unreleased(changelog: str) -> str:
    """Return the entries of the section Unreleased, without the headings."""
    found = _UNRELEASED.search(changelog)
    return found[1].strip() if found else ""


def with_section(changelog: str, version: str, day: str) -> str:
    """Return the CHANGELOG with the entries of Unreleased below a heading for the version."""
    return changelog.replace("## Unreleased\n", f"## Unreleased\n\n## {version} - {day}\n", 1)


def problems(root: Path, version: str) -> Iterator[str]:
    """Yield each reason for which this version cannot be released from this tree."""
    if not re.fullmatch(r"(0|[1-9]\d*)(\.(0|[1-9]\d*)){2}", version):
        yield f"VERSION must be three numbers, such as 1.1.0, not {version[:40]!r}"
        return
    now = re.search(PLACES[0][1], (root / PLACES[0][0]).read_text("utf-8"), re.MULTILINE)
    if now and _numbers(version) < _numbers(now[0]):
        yield f"VERSION {version} is below {now[0]}, the version of app/version.py"
    if changed := ran(root, "git", "status", "--porcelain"):
        yield f"the tree has changes, such as {changed.splitlines()[0][2:].strip()}; commit or remove them first"
    if ran(root, "git", "tag", "--list", f"v{version}"):
        yield f"the tag v{version} exists; choose the next version"
    if not re.search(r"^- ", unreleased((root / "CHANGELOG.md").read_text("utf-8")), re.MULTILINE):
        yield "the section Unreleased of CHANGELOG.md has no entries; write what changes for users"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in version.split("."))


def commit(clone: Path, version: str, day: str) -> str:
    """Write the version and the CHANGELOG, commit, and tag the commit. Return the commit's id."""
    for name, pattern, count in PLACES:
        text, replaced = re.subn(pattern, version, (clone / name).read_text("utf-8"), flags=re.MULTILINE)
        if replaced != count:
            raise RefusedError(f"{name} has the version {replaced} times instead of {count}; see deploy/release.py")
        (clone / name).write_text(text, "utf-8")
    changelog = (clone / "CHANGELOG.md").read_text("utf-8")
    (clone / "CHANGELOG.md").write_text(with_section(changelog, version, day), "utf-8")
    ran(clone, "git", "commit", "--quiet", "--all", "--message", f"chore: release {version}")
    message = f"Release {version}\n\n{unreleased(changelog)}"
    # `verbatim`: git would remove the headings of the section as comments.
    ran(clone, "git", "tag", "--annotate", f"v{version}", "--cleanup=verbatim", "--message", message)
    return ran(clone, "git", "rev-parse", "HEAD")


def build(clone: Path, target: Path, version: str) -> None:
    """Build the wheel, the list of packages and the chart of the clone into a folder."""
    target.mkdir()
    packages = ran(clone, sys.executable, "-m", "deploy.sbom")
    (target / f"{NAME}-{version}.cdx.json").write_text(packages + "\n", "utf-8")
    package = "import helm_python, sys; helm_python.package(sys.argv[1], destination=sys.argv[2])"
    ran(clone, sys.executable, "-c", package, "deploy/helm", str(target))
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet", "--no-deps")
    # From a copy: building leaves files beside the sources.
    with tempfile.TemporaryDirectory(prefix="wheel") as copy:
        shutil.copytree(clone, copy, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".git"))
        ran(Path(copy), *pip, "--wheel-dir", str(target), ".")


def labels(version: str, revision: str, created: str) -> dict[str, str]:
    """Return the labels of the OCI image specification that only a release knows."""
    found = {"version": version, "revision": revision, "created": created, "ref.name": f"v{version}"}
    return {f"org.opencontainers.image.{name}": value for name, value in found.items()}


def build_image(clone: Path, version: str, revision: str, created: str) -> None:
    given = [f"--label={name}={value}" for name, value in labels(version, revision, created).items()]
    ran(clone, "docker", "build", "--quiet", f"--tag={NAME}:{version}", *given, ".")


def _docker_runs() -> bool:
    found = shutil.which("docker")
    return found is not None and not subprocess.run([found, "info"], capture_output=True, check=False).returncode  # noqa: S603


def release(root: Path, version: str, *, dry: bool, image: bool) -> list[str]:
    """Release a version. Return the lines to print."""
    for problem in problems(root, version):
        raise RefusedError(problem)
    if image and not _docker_runs():
        raise RefusedError("no Docker Engine answers; start one, or add IMAGE=no for a release without the image")
    now = datetime.now(UTC)
    with tempfile.TemporaryDirectory(prefix="release") as folder:
        clone, target = Path(folder) / "clone", Path(folder) / "dist"
        ran(root, "git", "clone", "--quiet", "--no-hardlinks", ".", str(clone))
        for name in ("user.name", "user.email"):
            ran(clone, "git", "config", name, ran(root, "git", "config", name))
        revision = commit(clone, version, now.date().isoformat())
        build(clone, target, version)
        if image:
            build_image(clone, version, revision, now.isoformat(timespec="seconds"))
        lines = [f"dist/{file.name}" for file in sorted(target.iterdir())] + [f"image {NAME}:{version}"] * image
        if dry:
            return [*lines, f"dry run: {version} can be released; nothing was kept" + " but the image" * image]
        ran(root, "git", "fetch", "--quiet", str(clone), f"refs/tags/v{version}:refs/tags/v{version}")
        ran(root, "git", "merge", "--quiet", "--ff-only", revision)
        shutil.copytree(target, root / "dist", dirs_exist_ok=True)
    return [*lines, f"released {version}; now `git push --follow-tags`, and push the image and the files of dist/"]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="make release", description=__doc__)
    parser.add_argument("version")
    parser.add_argument("--dry", action="store_true")
    parser.add_argument("--no-image", action="store_true")
    given = parser.parse_args(arguments)
    try:
        lines = release(ROOT, given.version, dry=given.dry, image=not given.no_image)
    except RefusedError as refused:
        sys.stderr.write(f"release: {refused}\n")
        return 2
    sys.stdout.writelines(f"{line}\n" for line in lines)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
