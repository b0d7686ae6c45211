"""The last step before an engine's own program: give up root, bind its life to ours, and become it.

Run as a script by `data.embedded.processes`, in a fresh single-threaded interpreter, because what it does is unsafe between
fork and exec of a threaded one. It imports nothing of Agora, so it starts in some 15 ms.
"""

import ctypes
import json
import os
import sys

PR_SET_PDEATHSIG = 1
PR_SET_KEEPCAPS = 8
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAPABILITY_VERSION_3 = 0x20080522
CAP_DAC_OVERRIDE = 1
CAP_DAC_READ_SEARCH = 2


def main(arguments: str, program: list[str]) -> None:
    """Becomes the program; arguments are JSON with parent, death_signal, uid, gid and reach (see `processes.launch`)."""
    options = json.loads(arguments)
    linux = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
    if options["uid"] is not None:
        give_up_root(options["uid"], options["gid"], linux if options["reach"] else None)
    if linux is not None:
        # Any change of credentials clears the death signal, hence after them.
        check(linux.prctl(PR_SET_PDEATHSIG, options["death_signal"], 0, 0, 0))
        if os.getppid() != options["parent"]:
            sys.exit("The process that started this engine is gone.")
    os.execv(program[0], program)  # noqa: S606 - the launcher names the program; no shell wanted.


def give_up_root(uid: int, gid: int, reaching: ctypes.CDLL | None) -> None:
    """Becomes an ordinary user; with `reaching` (the C library) one who may still enter and read folders closed to others."""
    if reaching:
        check(reaching.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0))
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    if reaching:
        # Reading is the lesser right; containers commonly grant only the greater one.
        if not keep_capability(reaching, CAP_DAC_READ_SEARCH) and not keep_capability(reaching, CAP_DAC_OVERRIDE):
            sys.exit(
                f"User {uid} cannot enter a parent folder of the data or of the programs; choose a home it can enter."
            )
        check(reaching.prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0))


def keep_capability(linux: ctypes.CDLL, capability: int) -> bool:
    """Keeps exactly one capability across exec (an ambient one); False when this process may not."""
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    mask = 1 << capability
    sets = (ctypes.c_uint32 * 6)(mask, mask, mask, 0, 0, 0)
    if linux.capset(header, sets) != 0:
        return False
    return bool(linux.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) == 0)


def check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
