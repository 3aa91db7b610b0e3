"""Files that are generated from the saga definitions: a command writes them, or checks the committed files."""

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from machines.discovery import discover
from machines.saga import Saga

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, kw_only=True)
class GeneratedFiles:
    """A set of generated files, and the command that writes them.

    module: the Python module of the command. description: the help text of the command.
    folders: the folders that hold only generated files; paths are relative to the root of the repository.
    render: returns path → content of each file.
    outdated: text of the error for a file that differs. obsolete: text for a file that is no longer generated.
    fix: text of the remedy, after both.
    """

    module: str
    description: str
    folders: tuple[Path, ...]
    render: Callable[[Iterable[Saga]], dict[Path, str]]
    outdated: str
    obsolete: str
    fix: str

    def main(self, arguments: list[str] | None = None) -> int:
        """Run the command and return its exit code."""
        parser = argparse.ArgumentParser(prog=f"python -m {self.module}", description=self.description)
        parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a file differs")
        parser.add_argument("--root", type=Path, default=ROOT, help="the repository (default: this one)")
        options = parser.parse_args(arguments)
        expected = self.render(discover())
        if options.check:
            found = self.differences(options.root, expected)
            sys.stderr.writelines(f"{line}\n" for line in found)
            return 1 if found else 0
        sys.stdout.write(f"{self.write(options.root, expected)} files written\n")
        return 0

    def differences(self, root: Path, expected: Mapping[Path, str]) -> list[str]:
        """Return one line for each file that is missing, out of date or no longer generated."""
        found = []
        for path, content in sorted(expected.items()):
            file = root / path
            if not file.exists():
                found.append(f"{path} is missing: {self.fix}")
            elif file.read_bytes() != content.encode():
                found.append(f"{path} {self.outdated}: {self.fix}")
        return found + [f"{path} {self.obsolete}: {self.fix}" for path in self._obsolete(root, expected)]

    def write(self, root: Path, expected: Mapping[Path, str]) -> int:
        """Write the files, remove those that are no longer generated, and return the number of files."""
        for path in self._obsolete(root, expected):
            (root / path).unlink()
        for path, content in expected.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(content.encode())
        return len(expected)

    def _obsolete(self, root: Path, expected: Mapping[Path, str]) -> list[Path]:
        present = [file.relative_to(root) for folder in self.folders for file in (root / folder).glob("*.*")]
        return sorted(path for path in present if path not in expected)
