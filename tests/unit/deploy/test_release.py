"""`make release` in a small repository: what it refuses, writes, tags and builds, and that a failure leaves nothing."""

import json
import re
import shutil
import tarfile
import zipfile

import pytest

from deploy import release
from tests.unit.deploy.compose import ROOT

CHANGELOG = "# Changelog\n\n## Unreleased\n\n### Added\n- A thing.\n\n## 0.9.0 - 2026-01-01\n\n- The first.\n"
BUILT = "saga-orchestrator-1.2.3.tgz"


def git(folder, *arguments):
    return release.ran(folder, "git", *arguments)


@pytest.fixture
def repository(tmp_path):
    """Return a repository with the files that contain the version, and a CHANGELOG with one entry."""
    folder = tmp_path / "repository"
    for name, *_ in release.PLACES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    (folder / "CHANGELOG.md").write_text(CHANGELOG)
    (folder / ".gitignore").write_text("/dist/\n")
    for arguments in (
        ["init", "--quiet", "--initial-branch=main"], ["config", "user.name", "Ada"],
        ["config", "user.email", "ada@example.com"], ["add", "."], ["commit", "--quiet", "--message", "feat: begin"],
    ):  # fmt: skip
        git(folder, *arguments)
    return folder


@pytest.fixture
def built(monkeypatch):
    """Let the build write one file, so that a test takes no time."""

    def build(_clone, target, _version):
        target.mkdir()
        (target / BUILT).write_text("built")

    monkeypatch.setattr(release, "build", build)


def state(folder):
    return (
        git(folder, "rev-parse", "HEAD"),
        git(folder, "tag"),
        git(folder, "status", "--porcelain"),
        (folder / "dist").exists(),
    )


def edited(folder):
    (folder / "CHANGELOG.md").write_text("changed\n")


def new_file(folder):
    (folder / "notes.txt").write_text("new\n")


def tagged(folder):
    git(folder, "tag", "v1.2.3")


def nothing_to_say(folder):
    (folder / "CHANGELOG.md").write_text(CHANGELOG.replace("- A thing.\n", ""))
    git(folder, "commit", "--quiet", "--all", "--message", "docs: say nothing")


@pytest.mark.parametrize(
    ("spoil", "version", "line"),
    [
        (edited, "1.2.3", "the tree has changes, such as CHANGELOG.md; commit or remove them first"),
        (new_file, "1.2.3", "the tree has changes, such as notes.txt; commit or remove them first"),
        (tagged, "1.2.3", "the tag v1.2.3 exists; choose the next version"),
        (
            nothing_to_say,
            "1.2.3",
            "the section Unreleased of CHANGELOG.md has no entries; write what changes for users",
        ),
        (None, "", "VERSION must be three numbers, such as 1.1.0, not ''"),
        (None, "1.2", "VERSION must be three numbers, such as 1.1.0, not '1.2'"),
        (None, "0.9.9", "VERSION 0.9.9 is below 1.0.0, the version of app/version.py"),
    ],
)
def test_release_is_refused_and_nothing_is_changed(repository, built, spoil, version, line):
    (repository / "app/version.py").write_text('VERSION = "1.0.0"\n')
    git(repository, "commit", "--quiet", "--all", "--allow-empty", "--message", "chore: begin at 1.0.0")
    if spoil:
        spoil(repository)
    before = state(repository)
    with pytest.raises(release.RefusedError) as refused:
        release.release(repository, version, dry=False, image=False)
    assert str(refused.value) == line
    assert state(repository) == before


def test_refusal_is_one_line_and_exit_code_2(repository, monkeypatch, capsys):
    tagged(repository)
    monkeypatch.setattr(release, "ROOT", repository)
    assert release.main(["1.2.3", "--no-image"]) == 2
    assert capsys.readouterr().err == "release: the tag v1.2.3 exists; choose the next version\n"


def test_release_writes_commits_and_tags_the_version(repository, built):
    lines = release.release(repository, "1.2.3", dry=False, image=False)
    assert lines[0] == f"dist/{BUILT}"
    assert (repository / "dist" / BUILT).read_text() == "built"
    assert git(repository, "log", "-1", "--format=%s") == "chore: release 1.2.3"
    assert git(repository, "rev-parse", "v1.2.3^{commit}") == git(repository, "rev-parse", "HEAD")
    assert git(repository, "tag", "-l", "--format=%(contents)", "v1.2.3") == "Release 1.2.3\n\n### Added\n- A thing."
    assert git(repository, "status", "--porcelain") == ""
    for name, pattern, count in release.PLACES:
        assert re.findall(pattern, (repository / name).read_text(), re.MULTILINE) == ["1.2.3"] * count, name


def test_entries_move_below_the_version_and_unreleased_is_empty(repository, built):
    release.release(repository, "1.2.3", dry=False, image=False)
    text = (repository / "CHANGELOG.md").read_text()
    assert re.search(r"## Unreleased\n\n## 1\.2\.3 - \d{4}-\d\d-\d\d\n\n### Added\n- A thing\.\n\n## 0\.9\.0", text)
    with pytest.raises(release.RefusedError, match="has no entries"):
        release.release(repository, "1.2.4", dry=False, image=False)


def test_dry_run_does_everything_and_keeps_nothing(repository, built):
    before = state(repository)
    lines = release.release(repository, "1.2.3", dry=True, image=False)
    assert lines == [f"dist/{BUILT}", "dry run: 1.2.3 can be released; nothing was kept"]
    assert state(repository) == before


def test_release_that_cannot_be_built_leaves_nothing(repository, monkeypatch):
    def fails(*_):
        raise release.RefusedError("pip failed: no network")

    monkeypatch.setattr(release, "build", fails)
    before = state(repository)
    with pytest.raises(release.RefusedError, match="no network"):
        release.release(repository, "1.2.3", dry=False, image=False)
    assert state(repository) == before


def test_place_without_the_version_is_refused(repository, built):
    (repository / "Dockerfile").write_text("FROM scratch\n")
    git(repository, "commit", "--quiet", "--all", "--message", "fix: drop the labels")
    with pytest.raises(release.RefusedError, match="Dockerfile has the version 0 times instead of 1"):
        release.release(repository, "1.2.3", dry=False, image=False)


@pytest.fixture
def docker(tmp_path, monkeypatch):
    """Put a program `docker` in front of all others; return the file into which it writes its arguments."""
    calls, program = tmp_path / "calls", tmp_path / "bin" / "docker"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\n[ "$1" = info ] && exit ${{DOCKER_INFO:-0}}\nprintf "%s\\n" "$@" >{calls}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    return calls


def test_image_has_the_labels_of_the_release(repository, built, docker):
    lines = release.release(repository, "1.2.3", dry=False, image=True)
    given = docker.read_text().splitlines()
    assert "image saga-orchestrator:1.2.3" in lines
    assert "--tag=saga-orchestrator:1.2.3" in given
    labels = dict(
        each.removeprefix("--label=org.opencontainers.image.").split("=", 1) for each in given if "--label" in each
    )
    assert labels.pop("created").endswith("+00:00")
    assert labels == {"version": "1.2.3", "revision": git(repository, "rev-parse", "HEAD"), "ref.name": "v1.2.3"}


def test_release_without_a_docker_engine_must_be_asked_for(repository, built, docker, monkeypatch):
    monkeypatch.setenv("DOCKER_INFO", "1")
    with pytest.raises(release.RefusedError, match="no Docker Engine answers; start one, or add IMAGE=no"):
        release.release(repository, "1.2.3", dry=False, image=True)


@pytest.mark.programs
def test_wheel_packages_and_chart_are_built_from_the_tree(repository, tmp_path):
    whole = tmp_path / "whole"
    parts = (
        "app",
        "machines",
        "diagrams",
        "migrations",
        "deploy",
        "*.toml",
        "*.txt",
        "README.md",
        "LICENSE",
        "wsgi.py",
    )
    for name in git(ROOT, "ls-files", *parts).splitlines():
        (whole / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, whole / name)
    for name, pattern, _ in release.PLACES[:2]:
        (whole / name).write_text(re.sub(pattern, "1.2.3", (whole / name).read_text(), flags=re.MULTILINE))
    release.build(whole, tmp_path / "dist", "1.2.3")
    wheel, packages, chart = (tmp_path / "dist" / name for name in (
        "saga_orchestrator-1.2.3-py3-none-any.whl", "saga-orchestrator-1.2.3.cdx.json", BUILT))  # fmt: skip
    with zipfile.ZipFile(wheel) as archive:
        assert b'VERSION = "1.2.3"' in archive.read("app/version.py")
    with tarfile.open(chart) as archive:
        assert b"appVersion: 1.2.3" in archive.extractfile("saga-orchestrator/Chart.yaml").read()
    document = json.loads(packages.read_text())
    assert document["metadata"]["component"] == {"type": "application", "name": "saga-orchestrator", "version": "1.2.3"}
    assert not list(whole.glob("*.egg-info")) + list(whole.glob("build")), "the build leaves the tree as it was"
