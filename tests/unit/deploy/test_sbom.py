"""The list of packages: each is the pinned one, has an allowed licence, and is in the CycloneDX document."""

import json

import pytest

from deploy import sbom


def test_every_package_has_an_allowed_licence():
    assert sbom.main(["--check"]) == 0


@pytest.mark.parametrize(
    "licence", ["GPL-3.0-only", "AGPL-3.0", "GNU General Public License v3 (GPLv3)", "SSPL-1.0", "Proprietary", ""]
)
def test_other_licence_is_refused(monkeypatch, capsys, licence):
    monkeypatch.setattr(sbom, "licence_of", lambda name: licence if name == "Flask" else "MIT")
    assert sbom.main(["--check"]) == 1
    assert "Flask has the licence" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("version", "problem"), [("0.0.1", "Flask 3.1.3 is installed, but 0.0.1 is pinned"), (None, "is not installed")]
)
def test_package_that_is_not_the_pinned_one_is_refused(version, problem):
    assert problem in (sbom.problem_of("Flask", version) if version else sbom.problem_of("no-such-package", "1"))


def test_document_lists_each_package_with_its_licence(capsys):
    assert sbom.main([]) == 0
    document = json.loads(capsys.readouterr().out)
    found = {each["name"]: each for each in document["components"]}
    assert len(found) == len(list(sbom.pinned(sbom.REQUIREMENTS.read_text())))
    assert found["Flask"]["purl"] == "pkg:pypi/flask@3.1.3"
    assert found["psycopg2-binary"]["licenses"][0]["license"]["name"].startswith("GNU Library or Lesser")
