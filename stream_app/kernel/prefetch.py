"""Asks for memory before it is needed. Nothing that is computed depends on it.

Rows of different customers lie far apart: to wait for them would cost more than a third of the kernel's time.
"""

from typing import Any

from llvmlite import ir
from numba import config, types
from numba.extending import intrinsic

_INT: Any = ir.IntType(32)
_FOR_WRITING, _KEPT, _DATA = (ir.Constant(_INT, value) for value in (1, 3, 1))


def _codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ANN401  (numba's and llvmlite's)
    row = context.make_array(signature.args[0])(context, builder, arguments[0])
    place = builder.bitcast(builder.gep(row.data, [arguments[1]]), ir.PointerType(ir.IntType(8)))
    kind = ir.FunctionType(ir.VoidType(), [place.type, _INT, _INT, _INT])
    function = builder.module.declare_intrinsic("llvm.prefetch", [place.type], kind)
    builder.call(function, [place, _FOR_WRITING, _KEPT, _DATA])
    return context.get_dummy_value()


if config.DISABLE_JIT:  # type: ignore[attr-defined]  # set from the environment

    def prefetch(row: Any, at: int) -> None:  # noqa: ANN401  (as below)
        """Do nothing: there is no such instruction in Python."""

else:

    @intrinsic
    def prefetch(_: Any, row: Any, at: Any) -> Any:  # noqa: ANN401  (types of numba's)
        """Ask for the memory of ``row[at]``."""
        return types.void(row, at), _codegen
