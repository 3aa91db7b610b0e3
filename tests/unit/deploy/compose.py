"""docker-compose.yml as the program docker-compose parses it. This needs no Docker Engine."""

import functools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
COMPOSE = Path(sys.executable).parent / "docker-compose"


def run_compose(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **environment}
    return subprocess.run(
        [str(COMPOSE), *arguments], cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=60
    )


@functools.cache
def composed(profile: str) -> dict[str, Any]:
    answer = run_compose("--profile", profile, "config", "--format", "json")
    assert answer.returncode == 0, answer.stderr
    read: dict[str, Any] = json.loads(answer.stdout)
    return read
