"""`python -m server.probe [live|ready|worker]`: what a container asks itself, in a tenth of a second and without a shell."""

import http.client
import os
import sys
import time
from pathlib import Path

PATIENCE_SECONDS = 3.0
BEAT_FILE = "worker.beat"
SILENT_SECONDS = 30.0


def main(what: str) -> int:
    """Give 0 where the server, or the worker, in this container does its work."""
    return int(not (_worker_beats() if what == "worker" else _server_answers(f"/health/{what}")))


def _server_answers(path: str) -> bool:
    port = int(os.environ.get("AGORA_PORT", "8000"))
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except OSError:
        return False
    finally:
        connection.close()


def _worker_beats() -> bool:
    file = Path(os.environ["AGORA_HOME"]) / BEAT_FILE
    return file.exists() and time.time() - file.stat().st_mtime < SILENT_SECONDS


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:] or ["ready"]))
