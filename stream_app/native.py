"""Instructions that numba has no word for, for compiled loops. They check no bounds: the caller knows them.

``put`` spares what an index costs that may be negative; ``copy`` is memcpy, ``copy_16`` of a fixed length, a load and a
store; ``prefetch`` asks for memory before it is needed. Without JIT they are plain Python.
"""

from typing import Any

from llvmlite import ir
from numba import config, types
from numba.extending import intrinsic

BLOCK = 16
"""Bytes that ``copy_16`` copies."""
_BYTE: Any = ir.IntType(8)
_INT: Any = ir.IntType(32)


def _address(context: Any, builder: Any, kind: Any, array: Any, at: Any) -> Any:  # noqa: ANN401  (llvmlite's)
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [at]), ir.PointerType(_BYTE))


def _memcpy(builder: Any, to: Any, of: Any, size: Any) -> None:  # noqa: ANN401  (llvmlite's)
    name, flag = "llvm.memcpy", ir.IntType(1)
    function = builder.module.declare_intrinsic(name, [to.type, of.type, size.type])
    builder.call(function, [to, of, size, ir.Constant(flag, 0)])


def _put(_: Any, array: Any, at: Any, value: Any) -> Any:  # noqa: ANN401  (types of numba's)
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ANN401
        place = _address(context, builder, signature.args[0], arguments[0], arguments[1])
        builder.store(context.cast(builder, arguments[2], signature.args[2], types.uint8), place)
        return context.get_dummy_value()

    return types.void(array, types.intp, value), codegen


def _copy(_: Any, to: Any, at: Any, of: Any, start: Any, size: Any) -> Any:  # noqa: ANN401  (types of numba's)
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ANN401
        kinds = signature.args
        place = _address(context, builder, kinds[0], arguments[0], arguments[1])
        _memcpy(builder, place, _address(context, builder, kinds[2], arguments[2], arguments[3]), arguments[4])
        return context.get_dummy_value()

    return types.void(to, types.intp, of, types.intp, types.intp), codegen


def _copy_16(_: Any, to: Any, at: Any, of: Any, start: Any) -> Any:  # noqa: ANN401  (types of numba's)
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ANN401
        kinds = signature.args
        place = _address(context, builder, kinds[0], arguments[0], arguments[1])
        source = _address(context, builder, kinds[2], arguments[2], arguments[3])
        _memcpy(builder, place, source, ir.Constant(ir.IntType(64), BLOCK))
        return context.get_dummy_value()

    return types.void(to, types.intp, of, types.intp), codegen


def _prefetch(_: Any, row: Any, at: Any) -> Any:  # noqa: ANN401  (types of numba's)
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ANN401
        place = _address(context, builder, signature.args[0], arguments[0], arguments[1])
        kind = ir.FunctionType(ir.VoidType(), [place.type, _INT, _INT, _INT])
        function = builder.module.declare_intrinsic("llvm.prefetch", [place.type], kind)
        for_writing, kept, data = (ir.Constant(_INT, value) for value in (1, 3, 1))
        builder.call(function, [place, for_writing, kept, data])
        return context.get_dummy_value()

    return types.void(row, types.intp), codegen


if config.DISABLE_JIT:  # type: ignore[attr-defined]  # set from the environment

    def put(array: Any, at: int, value: Any) -> None:  # noqa: ANN401  (of bytes)
        """Write a byte."""
        array[at] = value

    def copy(to: Any, at: int, of: Any, start: int, size: int) -> None:  # noqa: ANN401  (of bytes)
        """Copy bytes."""
        to[at : at + size] = of[start : start + size]

    def copy_16(to: Any, at: int, of: Any, start: int) -> None:  # noqa: ANN401  (of bytes)
        """Copy sixteen bytes."""
        to[at : at + BLOCK] = of[start : start + BLOCK]

    def prefetch(row: Any, at: int) -> None:  # noqa: ANN401  (of anything)
        """Do nothing."""

else:
    put, copy, copy_16, prefetch = (intrinsic(function) for function in (_put, _copy, _copy_16, _prefetch))
