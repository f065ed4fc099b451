"""The mutants of a line of code, for `benchmarks.mutants`.

Signs and operators are replaced, comparisons reversed or moved by one, masks and checks removed,
neighbouring arguments of a call swapped, and constants changed by one.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.common import ROOT

OPERATORS: dict[
    type, tuple[str, tuple[str, ...]]
] = {  # its pattern in the source, its replacements
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
# Calls that mean the same with their arguments swapped.
SYMMETRIC = {"min", "max", "minimum", "maximum", "samestat", "isclose", "equal", "suppress"}
NOT_TESTED = {"__repr__", "__str__", "_LOG", "warnings", "warn"}  # texts for debugging


@dataclass(frozen=True)
class Mutant:
    """One change of one file: `text` replaces the bytes `start` to `end`, which begin in `line`."""

    file: str
    line: int
    start: int
    end: int
    text: str
    before: str  # the changed lines, in one line, before the change
    after: str  # and after it

    def broken(self, source: bytes) -> bytes:
        return source[: self.start] + self.text.encode() + source[self.end :]


def mutants(file: str) -> list[list[Mutant]]:
    """For each place of a file that can be changed, its mutants."""
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
        """The mutants that replace the operator between two expressions."""
        if type(kind) not in OPERATORS:
            return []
        written, others = OPERATORS[type(kind)]
        begin = where(left)[1]
        match = re.search(written, source[begin : where(right)[0]].decode())
        assert match is not None
        at = [begin + len(match.string[:end].encode()) for end in match.span()]
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
                numbers = {node.value + 1, node.value - 1} - {node.value}  # 1e100 + 1 is 1e100
                yield [change(*where(node), f"({number!r})") for number in sorted(numbers)[::-1]]
            case ast.Call(func=func, args=arguments) if _name(func) not in SYMMETRIC:
                for one, two in zip(arguments, arguments[1:], strict=False):
                    if ast.dump(one) != ast.dump(two) and not _starred(one, two):
                        between = source[where(one)[1] : where(two)[0]].decode()
                        swapped = text(two) + between + text(one)
                        yield [change(where(one)[0], where(two)[1], swapped)]

    return [ways for node in _mutable_nodes(ast.parse(source)) for ways in broken(node) if ways]


def _mutable_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes to change: not those of annotations, f-strings, log messages and warnings.

    Before Python 3.12 the nodes within an f-string have wrong positions.
    """
    match node:
        case ast.JoinedStr() | ast.arg():
            return
        case ast.FunctionDef(name=name) if name in NOT_TESTED:
            return
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name))) if name in NOT_TESTED:
            return
    yield node
    for name, value in ast.iter_fields(node):
        if name not in ("annotation", "returns"):
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from _mutable_nodes(child)


def _name(func: ast.expr) -> str:
    return getattr(func, "attr", getattr(func, "id", ""))


def _starred(*nodes: ast.expr) -> bool:
    return any(isinstance(node, ast.Starred) for node in nodes)


def _flat(code: bytes) -> str:
    return " ".join(code.decode().split())
