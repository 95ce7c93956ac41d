# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Kinds that are rings of slots of time: the newest slot, a counter a slot, and rows of doubles."""

from cpython.long cimport PyLong_AsLongLongAndOverflow, PyLong_CheckExact
from cpython.tuple cimport PyTuple_GET_ITEM, PyTuple_GET_SIZE
from libc.math cimport NAN, floor
from libc.stdint cimport int32_t, int64_t, uint32_t
from libc.string cimport memcpy, memset

from stream_app.compiled.arithmetic cimport (
    FAR, MOST, Sum, add, double_at, floor_divided, modulo, number, summed,
)

cdef extern from *:
    """
    #define STREAM_APP_BEYOND 1e300
    """
    const double BEYOND "STREAM_APP_BEYOND"  # the least value of an empty slot


cdef struct Rows:
    double seconds  # of a slot
    int slots, values, sums, extremes
    int[MOST] summed, ranged  # which of an update's values each row, and each pair of rows, is of


cdef inline bint usual_slot(int64_t newest) noexcept nogil:
    """Whether the newest slot is one from which another one can be taken away: none is -2**62."""
    return -4 * FAR <= newest < FAR


cdef inline bint take_open(char* data, double seconds, int slots, tuple update):
    """See `stream_app.features.kinds.open_items`."""
    cdef int64_t* newest = <int64_t*>data
    cdef int32_t* counters = <int32_t*>(data + 8)
    cdef int64_t slot, passed, count, counted
    cdef int overflow = 0
    cdef double due
    if PyTuple_GET_SIZE(update) != 2 or not number(<object>PyTuple_GET_ITEM(update, 0), &due):
        return False
    change = <object>PyTuple_GET_ITEM(update, 1)
    due = floor(due / seconds)
    if not -FAR < due < FAR or not usual_slot(newest[0]) or not PyLong_CheckExact(change):
        return False
    count = PyLong_AsLongLongAndOverflow(change, &overflow)
    if overflow or not -FAR < count < FAR:
        return False
    slot = <int64_t>due
    counted = count
    if slot <= newest[0]:
        if newest[0] - slot >= slots:
            return True  # its slot has expired: whoever came first, it is not counted
        counted += counters[modulo(slot, slots)]
    if counted != <int32_t>counted:
        return False
    if slot > newest[0]:
        if slot - newest[0] >= slots:
            memset(counters, 0, 4 * slots)
        else:
            for passed in range(newest[0] + 1, slot + 1):
                counters[modulo(passed, slots)] = 0
        newest[0] = slot
    counters[modulo(slot, slots)] = <int32_t>counted
    return True


cdef inline bint overdue(
    const char* data, double seconds, int slots, double span, double at, double* found
) noexcept nogil:
    """What was due in the last `span` slots; False where that is left to Python."""
    cdef int64_t newest = (<const int64_t*>data)[0]
    cdef int64_t first, last, total = 0
    at = floor(at / seconds)
    if not -FAR < at < FAR or not usual_slot(newest):
        return False
    last = min(<int64_t>at, newest)
    first = max(<int64_t>at - <int64_t>span, newest - slots) + 1
    while first <= last:
        total += (<const int32_t*>(data + 8))[modulo(first, slots)]
        first += 1
    found[0] = <double>total
    return True


cdef inline void put(char* data, const Rows* rows, int row, int64_t slot, double value) noexcept nogil:
    memcpy(row_of(data, rows, row) + 8 * slot, &value, 8)


cdef inline char* row_of(char* data, const Rows* rows, int row) noexcept nogil:
    """Where a row of doubles begins; the first one is row 1, as counters are row 0."""
    return data + 8 + 4 * rows.slots + 8 * <int64_t>rows.slots * (row - 1)


cdef inline void clear(char* data, const Rows* rows, int64_t slot, int64_t slots) noexcept nogil:
    """Make so many slots empty, from the place `slot` on."""
    cdef int at
    while slots > 0:
        (<uint32_t*>(data + 8))[slot] = 0
        for at in range(1, rows.sums + 1):
            put(data, rows, at, slot, 0.0)
        for at in range(rows.sums + 1, rows.sums + 2 * rows.extremes + 1, 2):
            put(data, rows, at, slot, BEYOND)
            put(data, rows, at + 1, slot, -BEYOND)
        slots -= 1
        slot += 1
        if slot == rows.slots:
            slot = 0


cdef inline bint take_windows(char* data, const Rows* rows, tuple update):
    """See `stream_app.features.kinds.windows` and `stream_app.features.kinds.ring`."""
    cdef int64_t* newest = <int64_t*>data
    cdef uint32_t* counters = <uint32_t*>(data + 8)
    cdef double[MOST] values
    cdef double time
    cdef int64_t slot, ahead
    cdef int at, row
    if PyTuple_GET_SIZE(update) != 1 + rows.values:
        return False
    if not number(<object>PyTuple_GET_ITEM(update, 0), &time):
        return False
    for at in range(rows.values):
        if not number(<object>PyTuple_GET_ITEM(update, 1 + at), &values[at]):
            return False
    time = floor_divided(time, rows.seconds)
    if not -FAR < time < FAR or not usual_slot(newest[0]):
        return False
    slot = <int64_t>time
    ahead = slot - newest[0]
    if ahead <= -rows.slots:
        return True  # its slot is no longer kept
    slot = modulo(slot, rows.slots)
    if ahead <= 0 and counters[slot] == 0xFFFFFFFF:
        return False
    if ahead > 0:
        clear(data, rows, modulo(newest[0] + 1, rows.slots), min(ahead, <int64_t>rows.slots))
        newest[0] += ahead
    counters[slot] += 1
    for row in range(1, rows.sums + 1):
        put(
            data, rows, row, slot,
            double_at(row_of(data, rows, row) + 8 * slot) + values[rows.summed[row - 1]],
        )
    for at in range(rows.extremes):
        row = rows.sums + 1 + 2 * at
        time = values[rows.ranged[at]]
        if time < double_at(row_of(data, rows, row) + 8 * slot):
            put(data, rows, row, slot, time)
        if time > double_at(row_of(data, rows, row + 1) + 8 * slot):
            put(data, rows, row + 1, slot, time)
    return True


cdef struct Span:
    int64_t first, slots  # the place of the first slot in its row, and how many there are


cdef inline bint span_of(
    const char* data, const Rows* rows, int slots, int back, double at, Span* span
) noexcept nogil:
    """The last `slots` slots, `back` slots before a moment; False where that is left to Python."""
    cdef int64_t newest = (<const int64_t*>data)[0]
    cdef int64_t last
    at = floor_divided(at, rows.seconds)
    if not -FAR < at < FAR or not usual_slot(newest):
        return False
    last = <int64_t>at - back
    span.first = max(last - slots, newest - rows.slots) + 1
    span.slots = min(last, newest) - span.first + 1
    span.first = modulo(span.first, rows.slots)
    return True


cdef inline double counted(char* data, const Rows* rows, const Span* span) noexcept nogil:
    cdef const uint32_t* counters = <const uint32_t*>(data + 8)
    cdef int64_t at = span.first, left = span.slots, total = 0
    while left > 0:
        total += counters[at]
        at += 1
        left -= 1
        if at == rows.slots:
            at = 0
    return <double>total


cdef inline double summed_up(char* data, const Rows* rows, int row, const Span* span) noexcept nogil:
    cdef const char* begin = row_of(data, rows, row)
    cdef int64_t at = span.first, left = span.slots
    cdef Sum sum = Sum(0.0, 0.0)
    while left > 0:
        add(&sum, double_at(begin + 8 * at))
        at += 1
        left -= 1
        if at == rows.slots:
            at = 0
    return summed(&sum)


cdef inline double extreme(
    char* data, const Rows* rows, int row, const Span* span, bint greatest
) noexcept nogil:
    """As Python's `min` and `max`: the first of equal values; NAN where no slot has any."""
    cdef const char* begin = row_of(data, rows, row)
    cdef int64_t at = span.first, left = span.slots
    cdef double found = NAN, value
    while left > 0:
        value = double_at(begin + 8 * at)
        if left == span.slots or (value > found if greatest else value < found):
            found = value
        at += 1
        left -= 1
        if at == rows.slots:
            at = 0
    return found if -BEYOND < found < BEYOND else NAN
