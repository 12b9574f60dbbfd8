"""The process in which JavaScript graders run: `python -I javascript_child.py`, a request a line in, an answer a line out.

It knows nothing of the house and has an empty environment. Each request gets a context of its own, made before it is needed; what
takes bytes outside V8's heap limit (buffers, typed arrays, WebAssembly) is taken away before the script is read. What is asked
of the script's answer is asked by functions captured before the script ran, so a script that rewrites the built-in ones changes nothing.
The parent kills this process when it does not answer in time.

request  {"source", "input", "seconds", "bytes"}      answer  {"value": [number or null, reasoning]} or {"error", "line"}
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import resource
import signal
import sys
from contextlib import suppress
from typing import Any

_DATA_BYTES = 1 << 30  # less, and V8 crashes at the start
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_LONGEST_REASONING = 2_000

_PRELUDE = """
(function () {
  const parse = JSON.parse, slice = Function.prototype.call.bind(String.prototype.slice);
  const kept = new Set(%s);
  for (const name of Object.getOwnPropertyNames(globalThis)) {
    if (!kept.has(name)) delete globalThis[name];
  }
  return function (evaluate, text) {
    const found = evaluate(parse(text));
    const isObject = typeof found === "object" && found !== null;
    const score = isObject ? found.score : found;
    const reasoning = isObject ? found.reasoning : "";
    const number = typeof score === "number" ? score : typeof score === "boolean" ? (score ? 1 : 0) : "none";
    return number + "\\n" + (typeof reasoning === "string" ? slice(reasoning, 0, %d) : "");
  };
})()
"""
_KEPT = """
Object Function Array Number parseFloat parseInt Infinity NaN undefined Boolean String Symbol Date Promise RegExp Error AggregateError
EvalError RangeError ReferenceError SyntaxError TypeError URIError globalThis JSON Math Intl Map BigInt Set Iterator WeakMap WeakSet
Proxy Reflect decodeURI decodeURIComponent encodeURI encodeURIComponent escape unescape eval isFinite isNaN
"""


def main() -> None:
    parent = os.getppid()
    _alone(parent)
    from py_mini_racer import MiniRacer

    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_DATA, (_DATA_BYTES, _DATA_BYTES))
    spare = MiniRacer()
    for line in sys.stdin.buffer:
        request = json.loads(line)
        answer = _answer(spare, request)
        sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n")
        sys.stdout.buffer.flush()
        spare.close()
        spare = MiniRacer()
    os._exit(0)  # V8's threads need not be waited for


def _alone(parent: int) -> None:
    """Die with the parent; no core files; no network where the system lets us leave it."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(1, signal.SIGKILL)
        libc.unshare(
            _CLONE_NEWUSER | _CLONE_NEWNET
        )  # refused in many containers; V8 offers no sockets anyway
    if os.getppid() != parent:
        os._exit(0)


def _answer(context: Any, request: dict[str, Any]) -> dict[str, Any]:
    from py_mini_racer import JSEvalException, JSFunction, JSOOMException, JSTimeoutException

    seconds = float(request["seconds"])
    try:
        context.set_hard_memory_limit(int(request["bytes"]))
        judge = context.eval(_PRELUDE % (json.dumps(_KEPT.split()), _LONGEST_REASONING))
        context.eval(request["source"], timeout_sec=seconds)
        evaluate = context.eval("typeof evaluate === 'function' ? evaluate : null")
        if not isinstance(evaluate, JSFunction):
            return {"error": "It must define function evaluate(input).", "line": 0}
        if request["input"] is None:
            return {"value": [None, ""]}
        said = str(judge(evaluate, request["input"], timeout_sec=seconds))
    except JSTimeoutException:
        return {"error": f"It ran longer than {seconds:g} seconds.", "line": 0}
    except JSOOMException:
        return {"error": f"It used more than {int(request['bytes']) >> 20} MiB.", "line": 0}
    except JSEvalException as error:
        return _told(str(error))
    number, _, reasoning = said.partition("\n")
    return {"value": [None if number == "none" else float(number), reasoning]}


def _told(text: str) -> dict[str, Any]:
    """`<anonymous>:3: SyntaxError: Unexpected token …` as words and a line."""
    found = re.match(r"<anonymous>:(\d+): (.*)", text)
    line = int(found[1]) if found else 0
    return {"error": (found[2] if found else text.partition("\n")[0])[:300], "line": line}


if __name__ == "__main__":
    main()
