# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Kinds whose numbers decay: a time, a weight, and what is weighed, all doubles."""

from cpython.tuple cimport PyTuple_GET_ITEM, PyTuple_GET_SIZE
from libc.math cimport exp2

from stream_app.compiled.arithmetic cimport MOST, float_time, number


cdef inline bint take_decayed(double* v, int doubles, int given, double half_life, tuple update):
    """See `stream_app.features.kinds.decay`; before place `given`, an addend that is always 1."""
    cdef double[MOST] addends
    cdef double time, half_lives, weight
    cdef int at
    if PyTuple_GET_SIZE(update) != doubles + 1 - given or not float_time(update, &time):
        return False
    addends[1] = 1.0
    for at in range(given, doubles):
        if not number(<object>PyTuple_GET_ITEM(update, at + 1 - given), &addends[at]):
            return False
    half_lives = (time - v[0]) / half_life
    if half_lives >= 0.0:
        weight = exp2(-half_lives)
        v[0] = time
        for at in range(1, doubles):
            v[at] = v[at] * weight + addends[at]
    else:
        weight = exp2(half_lives)
        for at in range(1, doubles):
            v[at] += addends[at] * weight
    return True


cdef inline bint take_moments(double* v, int doubles, double half_life, tuple update):
    """See `stream_app.features.kinds.decayed_moments`: a mean, its rest and squares a field."""
    cdef double[MOST] values
    cdef double time, half_lives, weight, before, total, gap, mean, rest
    cdef double keep = 1.0
    cdef int at
    if PyTuple_GET_SIZE(update) != (doubles + 1) // 3 or not float_time(update, &time):
        return False
    for at in range(2, doubles, 3):
        if not number(<object>PyTuple_GET_ITEM(update, (at + 1) // 3), &values[at]):
            return False
    half_lives = (time - v[0]) / half_life
    if half_lives >= 0.0:
        keep = exp2(-half_lives)
        weight, before = 1.0, v[1] * keep
    else:
        weight, before = exp2(half_lives), v[1]
    total = before + weight
    if total == 0.0:
        return False  # Python says what it does not divide by
    if half_lives >= 0.0:
        v[0] = time
        for at in range(2, doubles, 3):
            v[at + 2] *= keep
    v[1] = total
    for at in range(2, doubles, 3):
        gap = values[at] - v[at] - v[at + 1]
        if weight > before:
            mean, rest = values[at], -gap * (before / total)
        else:
            mean, rest = v[at], v[at + 1] + gap * (weight / total)
        v[at] = mean + rest
        v[at + 1] = rest - (v[at] - mean)
        v[at + 2] += gap * gap * (before / total * weight)
    return True
