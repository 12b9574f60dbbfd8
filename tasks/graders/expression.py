"""The arithmetic of `calculate_output`: numbers, grader names, + - * / **, and a few functions. Nothing is executed.

The text is parsed into Python's syntax tree and walked by hand; every node that is not listed here is refused.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Collection, Mapping

MAX_CHARACTERS = 1_000
FUNCTIONS: dict[str, Callable[..., float]] = {
    "min": min,
    "max": max,
    "abs": abs,
    "floor": math.floor,
    "ceil": math.ceil,
    "exp": math.exp,
    "sqrt": math.sqrt,
    "log": math.log,
}
_BINARY: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: math.pow,
}


class ExpressionError(Exception):
    """The expression cannot be read or has no value; the message is for people."""


def check(text: str, names: Collection[str]) -> None:
    """Raises `ExpressionError` when the expression could never be evaluated over `names`."""
    _walk(_parsed(text), dict.fromkeys(names, 0.5), dry=True)


def evaluate(text: str, values: Mapping[str, float]) -> float:
    """Its value. Raises `ExpressionError`, also for a division by zero."""
    try:
        return float(_walk(_parsed(text), values, dry=False))
    except (ArithmeticError, ValueError, TypeError) as error:
        raise ExpressionError(f"calculate_output has no value here: {error}.") from error


def _parsed(text: str) -> ast.expr:
    if not text.strip() or len(text) > MAX_CHARACTERS:
        raise ExpressionError(f"calculate_output must have 1 to {MAX_CHARACTERS} characters.")
    try:
        return ast.parse(text.strip().replace("^", "**"), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ExpressionError("calculate_output cannot be read.") from error


def _walk(node: ast.expr, values: Mapping[str, float], *, dry: bool) -> float:
    match node:
        case ast.Constant(value=bool()):
            raise ExpressionError("calculate_output may only hold numbers.")
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.Name(id=name) if name in values:
            return values[name]
        case ast.Name(id=name):
            raise ExpressionError(
                f"calculate_output names {name}, which is none of the graders: {', '.join(values)}."
            )
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            return -_walk(inner, values, dry=dry)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            one, other = _walk(left, values, dry=dry), _walk(right, values, dry=dry)
            return 0.5 if dry else _BINARY[type(op)](one, other)
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in FUNCTIONS and arguments:
            given = [_walk(argument, values, dry=dry) for argument in arguments]
            return 0.5 if dry else FUNCTIONS[name](*given)
    raise ExpressionError(
        "calculate_output may use numbers, grader names, + - * / ^ and " + ", ".join(FUNCTIONS) + "."
    )
