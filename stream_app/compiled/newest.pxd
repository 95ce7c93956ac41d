# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Kinds that keep some of the values that they are given, all doubles."""

from cpython.object cimport PyObject
from cpython.tuple cimport PyTuple_GET_ITEM, PyTuple_GET_SIZE
from libc.math cimport INFINITY, NAN
from libc.string cimport memcpy, memmove

from stream_app.compiled.arithmetic cimport MOST, Sum, add, exact, float_time, number, summed


cdef inline bint take_extremes(double* v, int doubles, tuple update):
    """See `stream_app.features.kinds.extremes`."""
    cdef double[MOST] values
    cdef double time
    cdef int at
    if PyTuple_GET_SIZE(update) != (doubles + 1) // 2 or not float_time(update, &time):
        return False
    for at in range(1, doubles, 2):
        value = <object>PyTuple_GET_ITEM(update, (at + 1) // 2)
        if value is None:
            values[at] = NAN  # neither less nor greater than anything
        elif not number(value, &values[at]):
            return False
    if time > v[0]:
        v[0] = time
    for at in range(1, doubles, 2):
        if values[at] < v[at]:
            v[at] = values[at]
        if values[at] > v[at + 1]:
            v[at + 1] = values[at]
    return True


cdef inline bint take_newest(double* v, int doubles, tuple update, object rank, object offset):
    """See `stream_app.features.kinds.newest_wins`: a rank, an offset and a value a field."""
    cdef double[MOST] values
    cdef double time, of_rank, of_offset
    cdef int at
    cdef PyObject* value
    if PyTuple_GET_SIZE(update) != (doubles + 2) // 3 or not float_time(update, &time):
        return False
    if not exact(rank, &of_rank) or not exact(offset, &of_offset):
        return False
    for at in range(1, doubles, 3):
        value = <PyObject*>PyTuple_GET_ITEM(update, (at + 2) // 3)
        if <object>value is not None and not number(<object>value, &values[at]):
            return False
    if time > v[0]:
        v[0] = time
        for at in range(1, doubles, 3):
            if <object>PyTuple_GET_ITEM(update, (at + 2) // 3) is None:
                v[at], v[at + 1], v[at + 2] = -1.0, -1.0, NAN
            else:
                v[at], v[at + 1], v[at + 2] = of_rank, of_offset, values[at]
    elif time == v[0]:
        for at in range(1, doubles, 3):
            if <object>PyTuple_GET_ITEM(update, (at + 2) // 3) is not None and (
                of_rank > v[at] or (of_rank == v[at] and of_offset > v[at + 1])
            ):
                v[at], v[at + 1], v[at + 2] = of_rank, of_offset, values[at]
    return True


cdef inline bint take_last_n(
    double* v, int doubles, int stride, tuple update, object rank, object offset
):
    """See `stream_app.features.kinds.last_n`: an update is `stride` doubles."""
    cdef double[MOST] newer
    cdef int at
    if PyTuple_GET_SIZE(update) != stride - 2:
        return False
    if not exact(<object>PyTuple_GET_ITEM(update, 0), &newer[0]):
        return False
    if not exact(rank, &newer[1]) or not exact(offset, &newer[2]):
        return False
    for at in range(3, stride):
        value = <object>PyTuple_GET_ITEM(update, at - 2)
        if value is None:
            newer[at] = NAN
        elif not number(value, &newer[at]):
            return False
    at = 0
    while at < doubles and is_before(newer, v + at):
        at += stride
    if at < doubles:
        memmove(v + at + stride, v + at, 8 * (doubles - at - stride))
        memcpy(v + at, newer, 8 * stride)
    return True


cdef inline bint is_before(const double* left, const double* right) noexcept nogil:
    """Whether one (time, rank, offset) is less than another, as tuples are."""
    cdef int at
    for at in range(2):
        if left[at] != right[at]:
            return left[at] < right[at]
    return left[2] < right[2]


cdef inline double kept_mean(const double* v, int doubles, int first, int stride) noexcept nogil:
    cdef Sum sum = Sum(0.0, 0.0)
    cdef int at = first, found = 0
    while at < doubles:
        if v[at] == v[at]:
            add(&sum, v[at])
            found += 1
        at += stride
    return summed(&sum) / found if found else NAN


cdef inline double kept_extreme(
    const double* v, int doubles, int first, int stride, bint greatest
) noexcept nogil:
    """As Python's `min` and `max`: the first of equal values, those that are missing left out."""
    cdef double found = NAN
    cdef int at = first
    while at < doubles:
        if found != found or (v[at] > found if greatest else v[at] < found):
            found = v[at]
        at += stride
    return found


cdef inline double kept_count(const double* v, int doubles, int stride) noexcept nogil:
    cdef int at = 0, absent = 0
    if not v[doubles - stride] > -INFINITY:
        while at < doubles:
            absent += v[at] == -INFINITY
            at += stride
    return doubles // stride - absent


cdef inline double kept_age(double time, double at) noexcept nogil:
    if not time > -INFINITY:
        return NAN
    return at - time if at > time else 0.0
