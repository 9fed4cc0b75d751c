"""Who listens where: for the message when a port is taken. Knows as much as /proc shows us."""

from __future__ import annotations

from pathlib import Path

_LISTEN = "0A"


def listener(port: int) -> str:
    """Return who listens on *port*, such as `process 12 (python -m http.server)`, or ``."""
    sockets = {f"socket:[{inode}]" for inode in _inodes(port)}
    if not sockets:
        return ""
    for process in Path("/proc").glob("[0-9]*"):
        if sockets & _open_files(process):
            return f"process {process.name} ({_command(process)})"
    return "another user's process"


def _inodes(port: int) -> set[str]:
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                found.add(fields[9])
    return found


def _open_files(process: Path) -> set[str]:
    names = set()
    try:
        for entry in (process / "fd").iterdir():
            names.add(str(entry.readlink()))
    except OSError:
        pass  # it ended, or is not ours to look into
    return names


def _command(process: Path) -> str:
    try:
        words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return "ended"
    return " ".join(words).strip()[:80]
