"""Arrays that a kernel reads and writes without counting who holds them.

numba counts references to an array wherever a name is bound to it or to a slice of it, with an
instruction that locks the memory: a loop over patients that cuts a dozen slices of two rows each
spends half of its time on that. An array that is lent has no count, and neither have its slices.
"""

from __future__ import annotations

from typing import Any, cast

from numba import types
from numba.core import imputils
from numba.extending import intrinsic


@intrinsic
def _lent(typing_context, array):
    """The same array, whose memory is kept by somebody else.

    For what a function was given by its caller, who holds it until the function returns; what it
    made itself it holds until it says `kept`. Never returned.

    Parameters
    ----------
    array : ndarray, or namedtuple of arrays and such namedtuples

    Returns
    -------
    The same, with the same memory.
    """

    def without_owner(context, builder, type_, value):
        if isinstance(type_, types.NamedTuple | types.NamedUniTuple):
            parts = [
                without_owner(context, builder, part, builder.extract_value(value, k))
                for k, part in enumerate(type_)
            ]
            return context.make_tuple(builder, type_, parts)
        struct = context.make_array(type_)(context, builder, value)
        struct.meminfo = context.get_constant_null(types.MemInfoPointer(type_.dtype))
        struct.parent = context.get_constant_null(types.pyobject)
        return struct._getvalue()

    def generate(context, builder, signature, arguments):
        return without_owner(context, builder, array, arguments[0])

    return array(array), generate


@intrinsic
def _kept(typing_context, array):
    """Says that an array that was lent is held until here.

    Parameters
    ----------
    array : ndarray, or namedtuple of arrays and such namedtuples
    """

    def generate(context, builder, signature, arguments):
        return context.get_dummy_value()

    return types.none(array), generate


@intrinsic
def _only_read(typing_context, array):
    """The same array as one that is only read, which is another type.

    A function that is given data, which are only read, and room of its caller's is compiled for
    each; with this for one.

    Parameters
    ----------
    array : ndarray

    Returns
    -------
    The same, with the same memory.
    """
    given = array.copy(readonly=True)

    def generate(context, builder, signature, arguments):
        return imputils.impl_ret_borrowed(context, builder, given, arguments[0])

    return given(array), generate


# any: only compiled code calls them, with arrays whose types numba finds out
lent = cast("Any", _lent)
kept = cast("Any", _kept)
only_read = cast("Any", _only_read)
