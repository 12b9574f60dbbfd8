"""What must never happen, whoever writes the next module: secrets that leak, imports that act, keys without a tenant.

Static where reading the source is enough, dynamic where only running it tells. Cases that one feature owns are in its own tests.
"""

from __future__ import annotations

import ast
import inspect
import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from redis import Redis

from bot import logs
from bot.hands import Hands
from bot.lanes import Lanes
from bot.listeners import slack as listeners
from storage import keys, paths
from storage.memory import MemoryState
from storage.records import Change, InboxItem, OutboxEvent, Task, Tenant
from storage.redis_state import connect
from tasks.jobs import perform
from tasks.models.server import translated
from tasks.queue import RUN_TASK, Queue, job_id
from tasks.step import StepContext, StepReport
from tests.agent.scene import TENANT, Scene
from tests.bot.parts import hands
from tests.fakes import FakeQueue
from tests.tasks.toys import an_operation, begin, deps, workflow

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("storage", "tasks", "agent", "bot")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
TREES = {str(path.relative_to(ROOT)): ast.parse(path.read_text(encoding="utf-8")) for path in SOURCES}

SECRETS = (
    "xoxb-2384-2390-abcDEF",
    "xapp-1-A02-77-c0ffee",
    "sk-proj-AbC_123-xyz",
    "whsec_MfKQ9r8GKYqr",
    "Bearer eyJhbGciOi.J9.abc",
    "AKIAIOSFODNN7EXAMPLE",
    "redis://:hunter2hunter@cache:6379/0",
)
TELLING = (
    "2384-2390",
    "A02-77",
    "proj-AbC",
    "MfKQ9r8",
    "eyJhbGciOi",
    "IOSFODNN7",
    "hunter2",
)  # what may not be left of them

# ---------------------------------------------------------------- secrets and logs


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What a process configured as in production writes to its log."""
    target = io.StringIO()
    root = logging.getLogger()
    before, levels = list(root.handlers), {name: logging.getLogger(name).level for name in logs._QUIET}
    level = root.level
    monkeypatch.setattr(sys, "stderr", target)
    logs.configure("json")
    yield target
    root.handlers[:] = before
    root.setLevel(level)
    for name, was in levels.items():
        logging.getLogger(name).setLevel(was)
    structlog.reset_defaults()


@pytest.mark.parametrize(("secret", "telling"), list(zip(SECRETS, TELLING, strict=True)))
def test_no_secret_is_logged_however_deep_it_stands(written: io.StringIO, secret: str, telling: str) -> None:
    log = structlog.get_logger("ours")
    log.warning(f"said {secret}", url=secret, nested={"headers": [{"x": secret}]}, error=ValueError(secret))
    logging.getLogger("theirs").warning("a library says %s", secret)
    for logger in (log, logging.getLogger("theirs")):
        try:
            raise RuntimeError(f"could not reach it with {secret}")
        except RuntimeError:
            logger.exception("failed")
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    assert len(lines) == 4 and telling not in written.getvalue()
    assert "Traceback" in lines[-1]["exception"] and "Traceback" in lines[-2]["exception"]


@pytest.mark.parametrize(
    "name", ["Authorization", "token", "bot_token", "api_key", "signing_secret", "Cookie"]
)
def test_what_is_called_a_secret_is_not_logged_whatever_it_looks_like(
    written: io.StringIO, name: str
) -> None:
    structlog.get_logger("ours").warning("sent", **{name: "plain words"}, headers={name: "plain words"})
    assert "plain words" not in written.getvalue()


def test_ordinary_lines_are_logged_as_they_are(written: io.StringIO) -> None:
    structlog.get_logger("ours").info("task-1234 is risk-free", input_tokens=12, channel="C1", lost=None)
    line = json.loads(written.getvalue())
    assert line["event"] == "task-1234 is risk-free"
    assert (line["input_tokens"], line["channel"], line["lost"]) == (12, "C1", None)


def test_secrets_are_opened_only_where_a_client_is_built() -> None:
    opened = {file for file, tree in TREES.items() if _names(tree) & {"get_secret_value"}}
    assert opened == {
        "bot/app.py",
        "bot/doctor.py",
        "bot/settings.py",
        "tasks/models/wire.py",
        "tasks/steps/common.py",  # only whether there is a key at all
        "tasks/trainers/__init__.py",
    }


def test_every_setting_that_is_secret_is_kept_as_one() -> None:
    from bot.settings import SlackSettings
    from tasks.settings import Settings

    given = {
        name: "s3cr3t-value"
        for model in (SlackSettings, Settings)
        for name in model.model_fields
        if name.endswith(("_token", "_secret", "_key"))
    }
    assert len(given) == 5
    for model in (SlackSettings, Settings):
        made: Any = model(**{name: value for name, value in given.items() if name in model.model_fields})
        assert "s3cr3t-value" not in f"{made!r} {made}" and "s3cr3t-value" not in made.model_dump_json()


def test_a_wrong_setting_is_named_without_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    from tasks.settings import SettingsError, load

    monkeypatch.setenv("BUDGET_USD", "sk-in-the-wrong-place")
    with pytest.raises(SettingsError) as refused:
        load()
    assert "BUDGET_USD" in str(refused.value) and "wrong-place" not in str(refused.value)


# ---------------------------------------------------------------- what people hear of errors

DETAIL = "xoxb-2384-secret at postgres://db/private"


def _broken(*args: object, **kwargs: object) -> Any:
    raise ZeroDivisionError(DETAIL)


@pytest.mark.anyio
async def test_a_step_that_breaks_tells_people_an_id_and_nothing_of_the_exception(tenant: Tenant) -> None:
    async def body(ctx: StepContext, params: dict[str, Any]) -> StepReport:
        return _broken()  # type: ignore[no-any-return]

    state, step = MemoryState(), an_operation(body)
    task = await begin(state, tenant, step)
    await perform(deps(state, FakeQueue()), {"toy": step}, lambda: state, tenant, task.id)
    shown = [event.data for event in await state.read(tenant, limit=99)]
    heard = [item.data for item in await state.waiting(tenant, "C1:1.0")]
    stored = await state.get(tenant, Task, task.id)
    assert stored is not None and "error " in stored.error
    assert "2384" not in f"{shown} {heard} {stored}" and "postgres" not in f"{shown} {heard} {stored}"


@pytest.mark.anyio
async def test_a_lane_that_breaks_tells_people_an_id_and_nothing_of_the_exception() -> None:
    scene = Scene()
    bot: Hands = hands(scene)
    lanes = Lanes(hands=bot, downloads=None, commands=None, posted=lambda: None)  # type: ignore[arg-type]
    item = InboxItem("m1", "message", "U1", "hello", 1.0, {"channel": "C1", "thread_ts": "1.0"})
    await scene.state.accept(TENANT, "C1:1.0", item)
    lease = await scene.state.claim(TENANT, "C1:1.0", seconds=60)
    assert lease
    await lanes.give_up(lease, "C1:1.0", ZeroDivisionError(DETAIL))
    (event,) = await scene.state.read(TENANT, limit=9)
    assert "went wrong" in event.data["text"] and "2384" not in str(event) and "postgres" not in str(event)


@pytest.mark.anyio
@pytest.mark.parametrize(
    "body",
    [
        {"event": {}},
        {"command": "/finetune"},
        {"type": "view_submission", "view": {"blocks": [{"type": "input", "block_id": "goal"}]}},
        {"type": "block_actions"},
    ],
)
async def test_a_request_that_breaks_is_answered_without_the_exception(body: dict[str, Any]) -> None:
    answer = await listeners._failed(ZeroDivisionError(DETAIL), body)
    assert "2384" not in str(answer.body) and "postgres" not in str(answer.body)


def test_a_key_that_a_server_repeats_is_not_passed_on() -> None:
    import httpx2
    import openai

    request = httpx2.Request("POST", "http://model.test/v1/chat/completions")
    body = {"error": {"message": "Incorrect API key provided: sk-live-abcdef"}}
    refusal = openai.AuthenticationError(
        "no", response=httpx2.Response(401, request=request), body=body["error"]
    )
    assert "abcdef" not in str(translated(refusal))


def test_text_of_unexpected_exceptions_is_never_made_into_words() -> None:
    """`except Exception as error` may log it or hand it on; `str(error)` or `f"{error}"` would end up before people."""
    wrong = [
        f"{file}:{handler.lineno}"
        for file, tree in TREES.items()
        if not file.startswith("bot/sandbox/")
        for handler in ast.walk(tree)
        if isinstance(handler, ast.ExceptHandler) and handler.name and _is_broad(handler)
        if _is_worded(handler, handler.name)
    ]
    assert wrong == []


def _is_broad(handler: ast.ExceptHandler) -> bool:
    return bool(_names(handler.type) & {"Exception", "BaseException"}) if handler.type else True


def _is_worded(handler: ast.ExceptHandler, name: str) -> bool:
    for node in ast.walk(handler):
        if isinstance(node, ast.FormattedValue) and _is_name(node.value, name):
            return True
        worded = isinstance(node, ast.Call) and _names(node.func) & {"str", "repr", "format_exc"}
        if worded and any(_is_name(argument, name) for argument in node.args):
            return True
    return False


def _is_name(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


# ---------------------------------------------------------------- what rests in queues and stores


@pytest.mark.anyio
async def test_the_queue_holds_ids_only(redis_url: str, tenant: Tenant) -> None:
    step = an_operation(_broken)
    given = {"prompt": "private words of a person", "upload_path": "private/path.jsonl"}
    task = await begin(MemoryState(), tenant, step, given)
    queue = Queue(redis_url)
    await queue.wake(task)
    queue.close()
    with Redis.from_url(redis_url) as redis:
        rested = {key.decode(): _everything(redis, key) for key in redis.keys("rq:*")}
        job = redis.hgetall(f"rq:job:{job_id(task)}")
    assert b"data" in job and not any("private" in text for text in rested.values())
    arguments = json.loads(_unpacked(job[b"data"]))
    assert arguments == [RUN_TASK, None, [keys.tenant_text(tenant), task.id, task.attempt], {}]


def _unpacked(data: bytes) -> str:
    import zlib

    return zlib.decompress(data).decode() if data[:1] == b"\x78" else data.decode()


def _everything(redis: Any, key: bytes) -> str:
    kind = redis.type(key)
    if kind == b"hash":
        found = redis.hgetall(key)
        return str({name: _unpacked(value) if name == b"data" else value for name, value in found.items()})
    readers = {b"list": lambda: redis.lrange(key, 0, -1), b"set": lambda: redis.smembers(key)}
    readers |= {b"zset": lambda: redis.zrange(key, 0, -1), b"string": lambda: redis.get(key)}
    return str(readers[kind]())


PROCESS_WIDE_KEYS = frozenset({"ft:tenants"})  # the tenants that ever wrote; `rq:` holds ids only
PROCESS_WIDE = frozenset({"turns"})  # numbers and random tickets under the name of a model server
NO_KEYS = frozenset({"tenant_text", "tenant_from_text", "lane", "click_lane", "index_names"})


def test_every_key_begins_with_its_tenant() -> None:
    tenant = Tenant(enterprise="E1", team="T1")
    made = _called(keys, tenant)
    assert made.keys() >= {"document", "inbox", "outbox", "lease", "journal", "checkpoints", "seen"}
    assert {name for name, key in made.items() if not key.startswith("ft:{E1.T1}")} <= PROCESS_WIDE
    others = {name for name, _ in inspect.getmembers(keys, inspect.isfunction) if name not in made}
    assert others <= NO_KEYS | PROCESS_WIDE
    assert {value for name, value in vars(keys).items() if name.isupper()} == PROCESS_WIDE_KEYS


def test_every_object_path_begins_with_its_tenant() -> None:
    tenant = Tenant(enterprise="E1", team="T1")
    made = _called(paths, tenant)
    assert made and {name for name, path in made.items() if not path.startswith("E1/T1/")} == set()


def _called(module: Any, tenant: Tenant) -> dict[str, str]:
    """What each public function of the module that takes a tenant first makes of plausible arguments."""
    made = {}
    for name, function in inspect.getmembers(module, inspect.isfunction):
        takes = list(inspect.signature(function).parameters.values())
        if function.__module__ != module.__name__ or name.startswith("_") or not takes:
            continue
        if takes[0].annotation == "Tenant" and name != "tenant_text":
            rest = [1 if parameter.annotation == "int" else "abc123" for parameter in takes[1:]]
            made[name] = function(tenant, *rest)
    return made


def test_keys_are_spelled_in_one_place() -> None:
    beginnings = ("ft:{", *PROCESS_WIDE_KEYS)  # "ft:" alone also begins the names of tuned models
    spelled = {
        file
        for file, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and node.value.startswith(beginnings)
    }
    assert spelled == {"storage/keys.py"}


@pytest.mark.anyio
async def test_what_is_written_to_redis_lies_under_its_tenant(redis_url: str, tenant: Tenant) -> None:
    state = connect(redis_url)
    lane = "C1:1.0"
    await state.accept(tenant, lane, InboxItem("m1", "message", "U1", "hello", 1.0, {}))
    lease = await state.claim(tenant, lane, seconds=60)
    assert lease
    await state.write(lease, lane, {"kind": "started"})
    await state.remember(tenant, "card", {"ts": "1.0"})
    event = OutboxEvent("notice", "C1", "1.0", {"text": "hello"}, key="k")
    said = (lane, ({"role": "user", "content": "hello", "o": 0, "at": 1.0},))
    await state.commit(
        tenant, Change(puts=(workflow(tenant),), events=(event,), lease=lease, transcript=said)
    )
    await state.close()
    with Redis.from_url(redis_url) as redis:
        written = {key.decode() for key in redis.keys("*")}
    mine = "ft:{" + keys.tenant_text(tenant) + "}:"
    assert len(written) > 8
    assert {key for key in written if not key.startswith(mine)} <= PROCESS_WIDE_KEYS


# ---------------------------------------------------------------- imports and the environment

READS_ENVIRONMENT = {
    "bot/sandbox/launch.py",  # passes the shell's settings on to the processes that it starts
    "bot/sandbox/workspace/__main__.py",  # the sandbox's own Slack, told its signing secret
}
SETTINGS = {"tasks/settings.py", "bot/settings.py"}


def test_only_settings_read_the_environment() -> None:
    reads = {
        file for file, tree in TREES.items() if _names(tree) & {"environ", "environb", "getenv", "getenvb"}
    }
    assert reads == READS_ENVIRONMENT
    declares = {file for file, tree in TREES.items() if "BaseSettings" in _names(tree)}
    assert declares == SETTINGS


def test_settings_are_made_by_composition_roots_only() -> None:
    makers = {
        file
        for file, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and _names(node.func) & {"Settings", "SlackSettings"}
    }
    assert makers == {"tasks/settings.py", "bot/cli.py"}


PROBE = """
import importlib, json, os, sys, threading
root, packages, modules = sys.argv[1], sys.argv[2].split(","), sys.argv[3].split(",")
ours = tuple(os.path.join(root, package) + os.sep for package in packages)
found, current = [], ""
ACTS = {"socket.connect", "socket.bind", "socket.getaddrinfo", "subprocess.Popen", "os.fork", "os.mkdir", "os.remove",
        "os.rename", "os.system", "os.posix_spawn", "shutil.rmtree", "tempfile.mkstemp", "tempfile.mkdtemp"}
def hook(event, args):
    if event == "open":
        flags = args[2] if isinstance(args[2], int) else 0
        if args[0] != os.devnull and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            found.append([current, "writes " + str(args[0])])
    elif event in ACTS and not (event == "socket.bind" and args[1][:2] == ("::1", 0)):  # urllib3: is there IPv6?
        found.append([current, event])
class Watched(type(os.environ)):
    def __getitem__(self, name):
        frame = sys._getframe(1)
        while frame and frame.f_globals.get("__name__") in ("os", "collections.abc", "_collections_abc"):
            frame = frame.f_back
        if frame and frame.f_code.co_filename.startswith(ours):
            found.append([current, "reads the environment: " + str(name)])
        return super().__getitem__(name)
os.environ.__class__ = Watched
sys.addaudithook(hook)
for current in modules:
    importlib.import_module(current)
    if threading.active_count() > 1:
        found.append([current, "starts a thread"])
        break
current = ""
print(json.dumps({"found": found, "imported": len(modules)}))
"""


def test_importing_a_module_does_nothing() -> None:
    """All of them, in one process with an empty environment: nothing is read from it, written, connected to or started."""
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in SOURCES
    ]
    command = [sys.executable, "-B", "-c", PROBE, str(ROOT), ",".join(PACKAGES), ",".join(modules)]
    done = subprocess.run(command, cwd=ROOT, env={}, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-2_000:]
    answer = json.loads(done.stdout.splitlines()[-1])
    assert answer == {"found": [], "imported": len(modules)}
    assert len(modules) > 150 and done.stdout.count("\n") == 1  # and nothing was printed


# ---------------------------------------------------------------- the repository

REGISTRIES = (  # in pieces, so that this file is not the one that names them
    "py" + "pi.org",
    "python" + "hosted.org",
    "npm" + "js.org",
    "npm" + "js.com",
    "yarn" + "pkg.com",
    "js" + "delivr",
    "un" + "pkg.com",
    "crates" + ".io",
    "proxy.golang" + ".org",
    "anaconda" + ".org",
)
NOT_OURS = {".git", ".venv", "__pycache__", "node_modules", "benchmarks/results.json"}


def test_no_file_names_a_package_registry() -> None:
    named = [
        (str(path.relative_to(ROOT)), registry)
        for path in _files()
        for registry in REGISTRIES
        if registry in path.read_text(encoding="utf-8", errors="ignore").casefold()
    ]
    assert named == []


def _files() -> Iterator[Path]:
    for folder in sorted(ROOT.iterdir()):
        hidden = folder.name.startswith(".") and folder.name not in (".ci", ".gitignore")
        if hidden or folder.name in NOT_OURS or folder.name.endswith(".egg-info"):
            continue
        inside = [folder] if folder.is_file() else folder.rglob("*")
        yield from (path for path in inside if path.is_file() and not NOT_OURS & set(path.parts))


# ---------------------------------------------------------------- reading source


def _names(node: ast.AST | None) -> set[str]:
    """Every name and attribute that is used in the source."""
    if node is None:
        return set()
    used = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
    used |= {part.attr for part in ast.walk(node) if isinstance(part, ast.Attribute)}
    imported = (part for part in ast.walk(node) if isinstance(part, ast.ImportFrom))
    return used | {alias.name for part in imported for alias in part.names}
