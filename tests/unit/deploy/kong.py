"""The gateway's configuration, deploy/kong/kong.yml."""

import copy
from typing import Any

import yaml

from tests.unit.deploy.compose import ROOT

KONG = ROOT / "deploy" / "kong"


def table() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((KONG / "kong.yml").read_text())
    return copy.deepcopy(read)
