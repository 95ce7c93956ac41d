# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Distinct values: the newest time in each of many cells, all doubles."""

from cpython.long cimport PyLong_AsUnsignedLongLongMask
from cpython.tuple cimport PyTuple_GET_ITEM, PyTuple_GET_SIZE
from libc.stdint cimport uint64_t

from stream_app.compiled.arithmetic cimport exact


cdef inline bint take_distinct(double* v, int cells, object hash64, tuple update):
    """See `stream_app.features.kinds.distinct`."""
    cdef double time
    cdef uint64_t hash
    if PyTuple_GET_SIZE(update) != 2 or not exact(<object>PyTuple_GET_ITEM(update, 0), &time):
        return False
    hash = PyLong_AsUnsignedLongLongMask(hash64(<object>PyTuple_GET_ITEM(update, 1)))
    if time > v[hash % <uint64_t>cells]:
        v[hash % <uint64_t>cells] = time
    return True


cdef inline int later_than(const double* v, int cells, double moment) noexcept nogil:
    cdef int at, found = 0
    for at in range(cells):
        found += v[at] > moment
    return found
