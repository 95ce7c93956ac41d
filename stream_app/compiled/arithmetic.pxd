# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""What the arithmetic of several kinds of state is made of, as Python has it."""

from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_CheckExact
from cpython.tuple cimport PyTuple_GET_ITEM
from libc.math cimport fabs, floor, fmod, isfinite
from libc.stdint cimport int64_t
from libc.string cimport memcpy

cdef extern from "Python.h":
    const int PY_VERSION_HEX
    double PyLong_AsDouble(object number) except? -1.0
    bint PyLong_Check(object value)

cdef extern from *:
    """
    #define STREAM_APP_FAR ((int64_t)1 << 60)
    #define STREAM_APP_EXACT 9007199254740992.0
    """
    const int64_t FAR "STREAM_APP_FAR"  # slots and offsets beyond it are left to Python
    const double EXACT "STREAM_APP_EXACT"  # up to 2**53 a double holds every whole number

cdef enum:
    MOST = 64  # numbers of an update that is taken in here


cdef inline bint number(object value, double* found):
    """Set `found` to a float or an integer and return True; False for all else."""
    if PyFloat_CheckExact(value):
        found[0] = PyFloat_AS_DOUBLE(value)
        return True
    if not PyLong_Check(value):
        return False
    try:
        found[0] = PyLong_AsDouble(value)
    except OverflowError:
        return False
    return True


cdef inline bint exact(object value, double* found):
    """As `number`, for a number that compares as its double does; no NaN."""
    if not number(value, found):
        return False
    if PyFloat_CheckExact(value):
        return found[0] == found[0]
    return -EXACT < found[0] < EXACT


cdef inline bint float_time(tuple update, double* time):
    """Set `time` to the update's if that is a float; what is kept as it is, an integer, is left to Python."""
    first = <object>PyTuple_GET_ITEM(update, 0)
    if not PyFloat_CheckExact(first):
        return False
    time[0] = PyFloat_AS_DOUBLE(first)
    return True


cdef inline int64_t modulo(int64_t number, int64_t by) noexcept nogil:
    """As Python's: never below 0."""
    cdef int64_t left = number % by
    return left + by if left < 0 else left


cdef inline double floor_divided(double number, double by) noexcept nogil:
    """As Python's `//` of floats, `by` above 0."""
    cdef double rest = fmod(number, by)
    cdef double whole = (number - rest) / by
    cdef double down
    if rest < 0.0:
        whole -= 1.0
    down = floor(whole)
    return down + 1.0 if whole - down > 0.5 else down


cdef inline double double_at(const char* place) noexcept nogil:
    """A packed number need not lie where a double may."""
    cdef double found
    memcpy(&found, place, 8)
    return found


cdef struct Sum:
    double total, lost


cdef inline void add(Sum* sum, double number) noexcept nogil:
    """As the `sum` of Python: from 3.12 on it makes up for what rounding loses."""
    cdef double total = sum.total + number
    if PY_VERSION_HEX >= 0x030C0000:
        if fabs(sum.total) >= fabs(number):
            sum.lost += (sum.total - total) + number
        else:
            sum.lost += (number - total) + sum.total
    sum.total = total


cdef inline double summed(const Sum* sum) noexcept nogil:
    return sum.total + sum.lost if sum.lost != 0.0 and isfinite(sum.lost) else sum.total
