"""Whether a change of the public schema breaks clients that are out there: GraphQL Inspector compares it with an earlier one."""

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import orjson

from server.schema_files import COMPOSER, PUBLIC_SDL, ROOT, CompositionError, print_schema

ALLOWED = ROOT / "schema" / "breaking.txt"


def check(against: str, manifest: Path | None = None) -> list[str]:
    """Give what breaks clients of the schema that is committed at a revision, as sentences; deliberate breaks are left out.

    With a manifest of trusted documents, only what one of them uses counts.

    Raises: CompositionError without Node or git, or for a revision that there is not.
    """
    name = PUBLIC_SDL.relative_to(ROOT)
    before = _run(["git", "show", f"{against}:{name}"])
    return breaks(before, print_schema(), allowed=allowed(ALLOWED), documents=documents(manifest) if manifest else None)


def breaks(
    before: str, after: str, *, allowed: Sequence[str] = (), documents: Sequence[str] | None = None
) -> list[str]:
    """Give what breaks clients between two schemas, as sentences.

    Raises: CompositionError.
    """
    given = {"before": before, "after": after, "allowed": list(allowed), "documents": documents}
    return _run(["node", "check.mjs"], json.dumps(given), fine={0, 1}).splitlines()


def allowed(file: Path) -> list[str]:
    """Give the paths of changes that break clients on purpose: the first word of each line that is no comment."""
    lines = file.read_text().splitlines() if file.exists() else []
    return [line.split()[0] for line in lines if line.strip() and not line.startswith("#")]


def documents(manifest: Path) -> list[str]:
    """Give the trusted documents of a manifest: a list, or an object of documents by their hashes."""
    listed = orjson.loads(manifest.read_bytes())
    return list(listed.values() if isinstance(listed, dict) else listed)


def _run(command: Sequence[str], given: str = "", fine: frozenset[int] | set[int] = frozenset({0})) -> str:
    program = shutil.which(command[0])
    if program is None or not (COMPOSER / "node_modules").is_dir():
        raise CompositionError(f"run `npm ci` in {COMPOSER.relative_to(ROOT)} first; Node 20 and git are needed")
    folder = COMPOSER if command[0] == "node" else ROOT
    done = subprocess.run(  # noqa: S603 — our own script, our own input.
        [program, *command[1:]], cwd=folder, input=given, capture_output=True, text=True, check=False
    )
    if done.returncode not in fine or done.stderr:
        raise CompositionError(done.stderr.strip())
    return done.stdout
