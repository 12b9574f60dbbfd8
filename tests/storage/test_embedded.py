"""The embedded server is shared, private, durable, and gone when its last user leaves."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from redis import Redis

from storage import embedded

JOIN = "import sys, pathlib; from storage import embedded; embedded.start(pathlib.Path(sys.argv[1])); print('in', flush=True); input()"


def server_pid(url: str) -> int:
    with Redis.from_url(url) as client:
        return int(client.info("server")["process_id"])


def test_many_starters_at_once_share_one_server(data_dir: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        servers = list(pool.map(embedded.start, [data_dir] * 8))
    assert len({server_pid(server.url) for server in servers}) == 1
    for server in servers[1:]:
        server.stop()
        server.stop()
    assert server_pid(servers[0].url)
    servers[0].stop()
    assert not Path(servers[0].url.removeprefix("unix://")).exists()


def test_the_socket_is_for_its_owner_only(data_dir: Path) -> None:
    server = embedded.start(data_dir)
    path = Path(server.url.removeprefix("unix://"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    with Redis.from_url(server.url) as client:
        wanted = {
            "appendonly": "yes",
            "appendfsync": "everysec",
            "maxmemory-policy": "noeviction",
            "port": "0",
        }
        assert {name: client.config_get(name)[name] for name in wanted} == wanted
    server.stop()


@pytest.mark.parametrize("end", [lambda s: s.stop(), lambda s: os.kill(server_pid(s.url), signal.SIGKILL)])
def test_what_was_written_is_there_after_a_stop_and_after_a_kill(
    data_dir: Path, end: Callable[[embedded.EmbeddedServer], None]
) -> None:
    server = embedded.start(data_dir)
    with Redis.from_url(server.url) as client:
        for number in range(500):
            client.rpush("written", number)
    end(server)
    again = embedded.start(data_dir)
    with Redis.from_url(again.url) as client:
        assert client.llen("written") == 500
    again.stop()
    server.stop()


def test_a_killed_server_is_started_again_by_any_user(data_dir: Path) -> None:
    first, second = embedded.start(data_dir), embedded.start(data_dir)
    old = server_pid(first.url)
    os.kill(old, signal.SIGKILL)
    second.ensure()
    first.ensure()
    assert server_pid(first.url) == server_pid(second.url) != old
    first.stop()
    second.stop()


def test_a_server_outlives_the_killed_process_that_started_it(data_dir: Path) -> None:
    starter = subprocess.Popen(
        [sys.executable, "-c", JOIN, str(data_dir)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert starter.stdout and starter.stdout.readline() == b"in\n"
    mine = embedded.start(data_dir)
    pid = server_pid(mine.url)
    starter.kill()
    starter.wait()
    mine.ensure()
    assert server_pid(mine.url) == pid
    mine.stop()
    assert not Path(mine.url.removeprefix("unix://")).exists(), (
        "the last user shut it down, though it did not start it"
    )


def test_a_folder_with_a_very_long_name_works(tmp_path: Path) -> None:
    server = embedded.start(tmp_path / ("long-" * 20))
    assert server_pid(server.url)
    server.stop()
