"""A process that takes a backup, or restores one, and is gone as soon as it comes to the boundary that it was told."""

import json
import sys
from pathlib import Path
from typing import Any

from server import backup, restoring
from server.backup import Wanted
from server.settings import Settings
from tests.crash.buyers import Fuse


def main(told: dict[str, Any]) -> None:
    fuse = Fuse(told.pop("point"), 1)
    verb, source = told.pop("verb"), told.pop("source")
    settings = Settings(**told | {"home": Path(told["home"])})
    if verb == "backup":
        backup.run(settings, Wanted(output=source), fuse)
    else:
        restoring.run(settings, source, force=True, crash_point=fuse)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
