# cython: language_level=3, boundscheck=False, wraparound=False
"""Records that wait for their turn: taken in, and put behind their order keys once they are decoded."""

from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_CheckExact

from math import inf

cdef object NEVER = -inf


cdef inline bint later(object left, object right):
    """Whether one moment is after another."""
    if PyFloat_CheckExact(left) and PyFloat_CheckExact(right):
        return PyFloat_AS_DOUBLE(left) > PyFloat_AS_DOUBLE(right)
    return left > right


cdef class PartitionOrder:
    """See `stream_app.features.engine.order`."""

    cdef readonly object rank
    cdef object known_at, event_time, next_offset

    def __init__(self, rank):
        self.rank = rank
        self.known_at = self.event_time = NEVER
        self.next_offset = -1

    @property
    def bound(self):
        """No later key of the partition is lower than this one."""
        return self.known_at, self.event_time, self.rank, self.next_offset

    def key(self, known_at, event_time, offset):
        """Key of the partition's next record; times in seconds since the epoch."""
        self.move(known_at, event_time, offset)
        return self.known_at, self.event_time, self.rank, offset

    cdef int move(self, object known_at, object event_time, object offset) except -1:
        if later(known_at, self.known_at):
            self.known_at = known_at
            self.event_time = event_time
        elif later(event_time, self.event_time):
            self.event_time = event_time
        self.next_offset = offset + 1
        return 0


def hold(records, list held, known_at, rank):
    """See `stream_app.alignment.turns`."""
    cdef Py_ssize_t taken = 0
    for record in records:
        moment = record.known_at
        if later(moment, known_at):
            known_at = moment
        held.append((known_at, rank, record.offset, record))
        taken += <Py_ssize_t>record.size
    return known_at, taken


def keyed(items, list tied, dict lanes, Py_ssize_t room):
    """See `stream_app.alignment.turns`."""
    cdef PartitionOrder order
    cdef Py_ssize_t decoded = 0
    for item in items:
        record, offset = item.record, item.offset
        order = <PartitionOrder?>lanes[record.partition].order
        order.move(record.known_at, NEVER if item.event is None else item.event_time, offset)
        if decoded < room:
            decoded += 1
        else:
            item = None
        tied.append((order.known_at, order.event_time, order.rank, offset, item, record))
    return decoded

