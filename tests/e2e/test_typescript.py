"""A TypeScript client, made from the service's OpenAPI document, compiles strictly and works against the service."""

import fcntl
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.programs

SOURCE = Path(__file__).parent / "typescript"


@pytest.fixture
def folder(tmp_path):
    """Return a folder with the program and its packages. A lock lets only one process install the packages."""
    if shutil.which("npm") is None:
        pytest.fail("the TypeScript client needs Node.js: npm is not on the PATH", pytrace=False)
    with (SOURCE / "package.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (SOURCE / "node_modules" / ".bin" / "tsc").exists():
            run("npm", "ci", "--no-audit", "--no-fund", cwd=SOURCE)
    for name in ("client.ts", "package.json", "tsconfig.json"):
        shutil.copy(SOURCE / name, tmp_path)
    (tmp_path / "node_modules").symlink_to(SOURCE / "node_modules")
    return tmp_path


def run(*command, cwd):
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, f"{command}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout


def test_generated_client_compiles_strictly_and_works(folder, url_and_key):
    url, key = url_and_key
    run("node_modules/.bin/openapi-typescript", f"{url}/openapi.json", "-o", "schema.d.ts", cwd=folder)
    run("node_modules/.bin/tsc", "--project", ".", cwd=folder)
    assert run("node", "made/client.js", url, key, cwd=folder) == "the TypeScript client works\n"
