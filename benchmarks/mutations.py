"""The ways to break a line of code: what `benchmarks.mutants` does to it, one place at a time.

Signs and operators change, comparisons turn or are off by one, masks and checks are dropped,
neighbouring arguments of a call swap, constants are one more or less.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.common import ROOT

OPERATORS: dict[type, tuple[str, tuple[str, ...]]] = {  # how it is written, what it becomes
    ast.Add: (r"\+", ("-",)),
    ast.Sub: ("-", ("+",)),
    ast.Mult: (r"\*", ("/",)),
    ast.Div: ("/", ("*",)),
    ast.BitAnd: ("&", ("|",)),
    ast.BitOr: (r"\|", ("&",)),
    ast.And: ("and", ("or",)),
    ast.Or: ("or", ("and",)),
    ast.Lt: ("<", ("<=", ">=")),
    ast.LtE: ("<=", ("<", ">")),
    ast.Gt: (">", (">=", "<=")),
    ast.GtE: (">=", (">", "<")),
    ast.Eq: ("==", ("!=",)),
    ast.NotEq: ("!=", ("==",)),
    ast.Is: ("is", ("is not",)),
    ast.IsNot: (r"is\s+not", ("is",)),
    ast.In: ("in", ("not in",)),
    ast.NotIn: (r"not\s+in", ("in",)),
}
MASK = re.compile(r"mask|ended|covered|valid|keep", re.IGNORECASE)
SYMMETRIC = {"min", "max", "minimum", "maximum", "samestat", "isclose"}  # swapping changes nothing
UNSEEN = {"__repr__", "__str__", "_LOG", "warnings", "warn"}  # texts for people who debug


@dataclass(frozen=True)
class Mutant:
    """One change of one file: bytes `start` to `end`, first in `line`, become `text`."""

    file: str
    line: int
    start: int
    end: int
    text: str
    before: str  # the lines, before and after
    after: str

    def broken(self, source: bytes) -> bytes:
        return source[: self.start] + self.text.encode() + source[self.end :]


def mutants(file: str) -> list[list[Mutant]]:
    """For each place of a file that can be broken, the ways to break it."""
    source = (ROOT / file).read_bytes()
    starts = [0]
    for row in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(row))

    def where(node: Any) -> tuple[int, int]:
        start = starts[node.lineno - 1] + node.col_offset
        return start, starts[node.end_lineno - 1] + node.end_col_offset

    def text(node: Any) -> str:
        return source[slice(*where(node))].decode()

    def change(start: int, end: int, new: str) -> Mutant:
        first = source.rindex(b"\n", 0, start) + 1
        last = source.index(b"\n", end)
        before, broken = source[first:last], source[first:start] + new.encode() + source[end:last]
        line = source.count(b"\n", 0, start) + 1
        return Mutant(file, line, start, end, new, *(_flat(code) for code in (before, broken)))

    def operator(left: Any, kind: Any, right: Any) -> list[Mutant]:
        """The operator that stands between two expressions, replaced."""
        if type(kind) not in OPERATORS:
            return []
        written, others = OPERATORS[type(kind)]
        begin = where(left)[1]
        found = re.search(written, source[begin : where(right)[0]].decode())
        at = [begin + len(found.string[:end].encode()) for end in found.span()]
        return [change(*at, other) for other in others]

    def broken(node: Any) -> Iterator[list[Mutant]]:
        match node:
            case ast.BinOp(op=ast.Div(), right=ast.Constant(value=str()) | ast.JoinedStr()):
                pass  # a path
            case ast.BinOp(left=left, op=op, right=right):
                ways = operator(left, op, right)
                if isinstance(op, ast.Mult):
                    pairs = ((left, right), (right, left))
                    ways += [
                        change(*where(node), f"({text(kept)})")
                        for kept, mask in pairs
                        if MASK.search(text(mask))
                    ]
                yield ways
            case ast.BoolOp(op=op, values=values):
                for left, right in zip(values, values[1:], strict=False):
                    yield operator(left, op, right)
            case ast.Compare(left=first, ops=ops, comparators=others):
                for left, op, right in zip([first, *others], ops, others, strict=False):
                    yield operator(left, op, right)
            case ast.UnaryOp(op=ast.USub() | ast.Not() | ast.Invert(), operand=operand):
                yield [change(*where(node), f"({text(operand)})")]
            case ast.If(test=test, body=[*_, ast.Raise()]):
                yield [change(*where(test), "False")]
            case ast.Constant(value=int() | float()) if not isinstance(node.value, bool):
                numbers = (repr(node.value + 1), repr(node.value - 1))
                yield [change(*where(node), f"({number})") for number in numbers]
            case ast.Call(func=func, args=given) if _name(func) not in SYMMETRIC:
                for one, two in zip(given, given[1:], strict=False):
                    if ast.dump(one) != ast.dump(two) and not _starred(one, two):
                        between = source[where(one)[1] : where(two)[0]].decode()
                        swapped = text(two) + between + text(one)
                        yield [change(where(one)[0], where(two)[1], swapped)]

    return [ways for node in _seen(ast.parse(source)) for ways in broken(node) if ways]


def _seen(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes whose change somebody could see: no annotations, texts and lines of a log.

    Before Python 3.12 the nodes within an f-string do not know where they stand.
    """
    match node:
        case ast.JoinedStr() | ast.arg():
            return
        case ast.FunctionDef(name=name) if name in UNSEEN:
            return
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name))) if name in UNSEEN:
            return
    yield node
    for name, value in ast.iter_fields(node):
        if name not in ("annotation", "returns"):
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from _seen(child)


def _name(func: ast.expr) -> str:
    return getattr(func, "attr", getattr(func, "id", ""))


def _starred(*nodes: ast.expr) -> bool:
    return any(isinstance(node, ast.Starred) for node in nodes)


def _flat(code: bytes) -> str:
    return " ".join(code.decode().split())
