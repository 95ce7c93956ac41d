# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""States of entities, the arithmetic of some kinds of state, and the loop that takes events into them.

A state keeps its numbers as they are packed, and so is loaded and packed by a copy. The arithmetic here
takes what is usual: times that are floats, numbers that a double holds, counters that fit. For all else,
and for kinds that have no arithmetic here, a state becomes a list of Python's values, and the kind's own
functions work on it, as they do where nothing is compiled. A state that has become a list remains one
until it is packed and loaded again. Its fences may likewise become a dictionary.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.dict cimport PyDict_GetItemWithError
from cpython.float cimport PyFloat_CheckExact
from cpython.list cimport PyList_New, PyList_SET_ITEM
from cpython.long cimport PyLong_AsUnsignedLongLongMask, PyLong_CheckExact
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF
from libc.math cimport INFINITY, NAN, exp2, isfinite, pow
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy

from struct import Struct

from stream_app.compiled.arithmetic cimport FAR, MOST, double_at
from stream_app.compiled.cells cimport later_than, take_distinct
from stream_app.compiled.decay cimport take_decayed, take_moments
from stream_app.compiled.newest cimport (
    kept_age, kept_count, kept_extreme, kept_mean, take_extremes, take_last_n, take_newest,
)
from stream_app.compiled.rings cimport (
    Rows, Span, counted, extreme, overdue, span_of, summed_up, take_open, take_windows,
)

cdef enum:
    HEAD = 32  # version, updates, account, newest event time
    FENCE = 12  # source, offset

cdef enum:  # operations; 0: the kind's own function in Python
    DECAYED_SUMS = 1, DECAYED_SHARE, DECAYED_MOMENTS, NEWEST_WINS, EXTREMES, LAST_N, DISTINCT
    OPEN_ITEMS, WINDOWS
    DECAYED = 21, RATIO, ROOT, KNOWN, AGE, VALUE, FINITE
    KEPT_MEAN = 31, KEPT_LEAST, KEPT_GREATEST, KEPT_COUNT, KEPT_AGE
    OVERDUE = 41, CELLS
    COUNT = 51, TOTAL, MEAN, LEAST, GREATEST

PACKED_FENCE = Struct("<Iq")

OPERATIONS = {
    "decayed-sums": DECAYED_SUMS, "decayed-share": DECAYED_SHARE, "decayed-moments": DECAYED_MOMENTS,
    "newest-wins": NEWEST_WINS, "extremes": EXTREMES, "last-n": LAST_N, "distinct": DISTINCT,
    "open-items": OPEN_ITEMS, "windows": WINDOWS,
    "decayed": DECAYED, "ratio": RATIO, "root": ROOT, "known": KNOWN, "age": AGE, "value": VALUE,
    "finite": FINITE,
    "kept-mean": KEPT_MEAN, "kept-least": KEPT_LEAST, "kept-greatest": KEPT_GREATEST,
    "kept-count": KEPT_COUNT, "kept-age": KEPT_AGE,
    "overdue": OVERDUE, "cells": CELLS,
    "window-count": COUNT, "window-sum": TOTAL, "window-mean": MEAN, "window-minimum": LEAST,
    "window-maximum": GREATEST,
}


cdef class Kind:
    """A kind of state: how states of it begin, are packed and take updates in."""

    cdef readonly object struct
    cdef object apply, empty, hash64
    cdef bytes begin  # the packed values of a new state, where there is an operation
    cdef int width  # bytes of the packed numbers
    cdef int doubles  # how many of them there are, where all are doubles
    cdef int sums_at  # bytes before those of them that have to be finite
    cdef int operation
    cdef double parameter  # seconds of a half-life or of a slot, or doubles of an update
    cdef Rows rows  # where it is a ring
    cdef bint sums_up

    def __init__(self, struct, empty, apply, operation, bint sums_up):
        """`struct` packs the values of a state, `empty` gives those of a new one.

        `apply` takes an update in, in Python; `operation` is None, or what does the same here: a name
        and what it is about.
        """
        name, parameter = operation or (None, 0.0)
        self.struct = struct
        self.apply = apply
        self.empty = empty
        self.width = struct.size
        self.operation = OPERATIONS[name] if name is not None else 0
        self.sums_up = sums_up
        self.sums_at = 8
        packed = f"<{self.width // 8}d"
        if self.operation == DISTINCT:
            self.hash64 = parameter
            packed = f"<{self.width}s"
        elif self.operation == OPEN_ITEMS:
            self.rows.seconds = parameter
            self.rows.slots = (self.width - 8) // 4
            packed = f"<q{self.rows.slots}i"
        elif self.operation == WINDOWS:
            packed = self.windows(parameter)
        else:
            self.parameter = parameter
        if struct.format == f"<{self.width // 8}d" or self.operation == DISTINCT:
            self.doubles = self.width // 8
        if struct.format != packed or self.takes_more_than(MOST):
            self.operation = 0
        if self.operation:
            self.begin = struct.pack(*empty())

    cdef str windows(self, parameter):
        """Set the rows, and return how they are packed; the last two say which of an update's values
        they are of."""
        seconds, slots, summed, ranged = parameter
        self.rows.seconds, self.rows.slots = seconds, slots
        self.rows.sums, self.rows.extremes = len(summed), len(ranged)
        self.rows.values = len({*summed, *ranged})
        self.sums_at = 8 + 4 * slots
        if self.rows.values <= MOST:
            for at, value in enumerate(summed):
                self.rows.summed[at] = value
            for at, value in enumerate(ranged):
                self.rows.ranged[at] = value
        return f"<q{slots}I{(len(summed) + 2 * len(ranged)) * slots}d"

    cdef bint takes_more_than(self, int most):
        """Whether an update has more numbers."""
        if self.operation == WINDOWS:
            return self.rows.values > most
        if self.operation == LAST_N:
            return self.parameter > most
        return self.operation not in (OPEN_ITEMS, DISTINCT) and self.doubles > most

    cdef EntityState new(self):
        cdef EntityState state = EntityState.__new__(EntityState)
        state.kind = self
        state.room = 2
        state.data = <char*>malloc(self.width + state.room * FENCE)
        if state.data == NULL:
            raise MemoryError
        state.batch = -1
        return state

    def absent(self):
        """The state of an entity of which nothing is known."""
        return self.beginning()

    cdef EntityState beginning(self):
        cdef EntityState state = self.new()
        state.newest = -INFINITY
        if self.operation:
            memcpy(state.data, PyBytes_AS_STRING(self.begin), self.width)
        else:
            state.list_of_values = list(self.empty())
        return state

    def unpack(self, packed):
        """The states of packed values, each of which has a possible length."""
        cdef EntityState state
        cdef const char* data
        cdef bytes value
        cdef list states = []
        for value in packed:
            state = self.new()
            data = PyBytes_AS_STRING(value)
            memcpy(&state.version, data, 8)
            memcpy(&state.count, data + 8, 8)
            memcpy(&state.account, data + 16, 8)
            memcpy(&state.newest, data + 24, 8)
            state.fences_held = (len(value) - HEAD - self.width) // FENCE
            if state.fences_held > state.room:
                state.grow(state.fences_held)
            memcpy(state.data, data + HEAD, self.width + state.fences_held * FENCE)
            if not self.operation:
                state.listed()
            states.append(state)
        return states


@cython.no_gc
@cython.final
@cython.freelist(512)
cdef class EntityState:
    """The state of one entity in one view, as `stream_app.features.engine.state` describes it."""

    cdef Kind kind
    cdef public uint64_t version
    cdef public uint64_t count
    cdef uint64_t account
    cdef public double newest
    cdef public int64_t batch
    cdef char* data  # the packed numbers, then the packed fences
    cdef int fences_held, room
    cdef list list_of_values  # None while the numbers in `data` are the state
    cdef dict fences_by_source  # None while those in `data` are its fences

    def __dealloc__(self):
        free(self.data)

    @property
    def digest(self):
        """Sum of the hashes of the updates applied, modulo 2**64."""
        return self.account

    @digest.setter
    def digest(self, value):
        self.account = PyLong_AsUnsignedLongLongMask(value)

    @property
    def values(self):
        """The values as a list, which from now on is the state."""
        return self.listed()

    @values.setter
    def values(self, list values not None):
        self.list_of_values = values

    @property
    def fences(self):
        """Last offset applied by source id, in a dictionary which from now on holds them."""
        return self.by_source()

    def applied(self, source):
        """The last offset of a source that is applied; -1 for none."""
        cdef Py_ssize_t at
        if self.fences_by_source is None:
            if not 0 <= source < <int64_t>1 << 32:
                return -1
            at = self.find(source)
            return -1 if at < 0 else self.offset_at(at)
        return self.fences_by_source.get(source, -1)

    def packed(self):
        """The packed state with the version it carries; raises what `struct` does for what does not fit."""
        cdef bytes value
        cdef char* to
        cdef Py_ssize_t fences
        if self.list_of_values is not None:
            copied(self.data, self.kind.struct.pack(*self.list_of_values), self.kind.width)
        if self.fences_by_source is not None:
            self.keep_fences()
        fences = self.fences_held * FENCE
        value = PyBytes_FromStringAndSize(NULL, HEAD + self.kind.width + fences)
        to = PyBytes_AS_STRING(value)
        memcpy(to, &self.version, 8)
        memcpy(to + 8, &self.count, 8)
        memcpy(to + 16, &self.account, 8)
        memcpy(to + 24, &self.newest, 8)
        memcpy(to + HEAD, self.data, self.kind.width + fences)
        return value

    cdef bint sums_are_finite(self):
        cdef int at
        for at in range(self.kind.sums_at, self.kind.width, 8):
            if not isfinite(double_at(self.data + at)):
                return False
        return True

    cdef bytes numbers(self):
        return PyBytes_FromStringAndSize(self.data, self.kind.width)

    cdef list listed(self):
        if self.list_of_values is None:
            self.list_of_values = list(self.kind.struct.unpack(self.numbers()))
        return self.list_of_values

    cdef dict by_source(self):
        cdef int at
        if self.fences_by_source is None:
            self.fences_by_source = {
                self.source_at(at): self.offset_at(at) for at in range(self.fences_held)
            }
        return self.fences_by_source

    cdef int keep_fences(self) except -1:
        """Write the fences of the dictionary into `data`; raises `struct.error` for what does not fit."""
        cdef int held = len(self.fences_by_source)
        if held > self.room:
            self.grow(held)
        self.fences_held = 0
        for key, last in self.fences_by_source.items():
            copied(self.fence(self.fences_held), PACKED_FENCE.pack(key, last), FENCE)
            self.fences_held += 1
        return 0

    cdef int grow(self, int room) except -1:
        cdef char* data = <char*>realloc(self.data, self.kind.width + room * FENCE)
        if data == NULL:
            raise MemoryError
        self.data = data
        self.room = room
        return 0

    cdef inline char* fence(self, Py_ssize_t at) noexcept:
        return self.data + self.kind.width + at * FENCE

    cdef inline uint32_t source_at(self, Py_ssize_t at) noexcept:
        cdef uint32_t source
        memcpy(&source, self.fence(at), 4)
        return source

    cdef inline int64_t offset_at(self, Py_ssize_t at) noexcept:
        cdef int64_t offset
        memcpy(&offset, self.fence(at) + 4, 8)
        return offset

    cdef inline void set_fence(self, Py_ssize_t at, uint32_t source, int64_t offset) noexcept:
        memcpy(self.fence(at), &source, 4)
        memcpy(self.fence(at) + 4, &offset, 8)

    cdef inline Py_ssize_t find(self, uint32_t source) noexcept:
        cdef Py_ssize_t at
        for at in range(self.fences_held):
            if self.source_at(at) == source:
                return at
        return -1


cdef int copied(char* to, bytes value, int width) except -1:
    memcpy(to, PyBytes_AS_STRING(value), width)
    return 0


cdef int take(Kind kind, EntityState state, object update, object rank, object offset) except -1:
    """Take an update in, here where it can be done, else by the kind's own function."""
    cdef bint done = False
    cdef double* v = <double*>state.data
    cdef int doubles = kind.doubles
    if kind.operation and state.list_of_values is None and type(update) is tuple:
        if kind.operation == DECAYED_SUMS:
            done = take_decayed(v, doubles, 2, kind.parameter, <tuple>update)
        elif kind.operation == DECAYED_SHARE:
            done = take_decayed(v, doubles, 1, kind.parameter, <tuple>update)
        elif kind.operation == DECAYED_MOMENTS:
            done = take_moments(v, doubles, kind.parameter, <tuple>update)
        elif kind.operation == NEWEST_WINS:
            done = take_newest(v, doubles, <tuple>update, rank, offset)
        elif kind.operation == EXTREMES:
            done = take_extremes(v, doubles, <tuple>update)
        elif kind.operation == LAST_N:
            done = take_last_n(v, doubles, <int>kind.parameter, <tuple>update, rank, offset)
        elif kind.operation == DISTINCT:
            done = take_distinct(v, doubles, kind.hash64, <tuple>update)
        elif kind.operation == OPEN_ITEMS:
            done = take_open(state.data, kind.rows.seconds, kind.rows.slots, <tuple>update)
        else:
            done = take_windows(state.data, &kind.rows, <tuple>update)
    if not done:
        kind.apply(state.listed(), update, rank, offset)
    return 0


cdef class Column:
    """A column of a view: how it is read."""

    cdef object read, absent, missing
    cdef list counts
    cdef int operation
    cdef int index, divisor, stride  # numbers of a state
    cdef int row, slots, back  # of a ring
    cdef double parameter

    def __init__(self, Kind kind, read, operation, absent, missing):
        """`read` reads a column of `kind` in Python; `operation` is None, or what does the same here.

        `absent`: its value where nothing is known, or None where `read` says; `missing`: what stands for
        None, or None where None stands for itself.
        """
        name, parameter = operation or (None, 0)
        self.read, self.absent, self.missing = read, absent, missing
        self.operation = OPERATIONS[name] if name is not None else 0
        # A column may have been made of another kind than its view's; Python says what comes of it.
        if not self.fits(kind, parameter):
            self.operation = 0

    cdef bint fits(self, Kind kind, parameter) except -1:
        cdef int doubles = 0 if kind.operation == DISTINCT else kind.doubles
        if self.operation == OVERDUE:
            self.parameter, of_slot, slots = parameter
            return (
                kind.operation == OPEN_ITEMS and kind.rows.slots == slots
                and kind.rows.seconds == of_slot and self.parameter < FAR
            )
        if self.operation == CELLS:
            self.parameter, self.counts = parameter
            return kind.operation == DISTINCT and kind.doubles == len(self.counts) - 1
        if self.operation >= COUNT:
            of_slot, slots, self.row, self.slots, self.back = parameter
            return (
                kind.operation == WINDOWS and kind.rows.slots == slots
                and kind.rows.seconds == of_slot
                and self.row <= kind.rows.sums + 2 * kind.rows.extremes
            )
        if self.operation in (KEPT_MEAN, KEPT_LEAST, KEPT_GREATEST, KEPT_COUNT):
            self.index, self.stride = parameter
            return kind.operation == LAST_N and kind.parameter == self.stride
        if self.operation == DECAYED:
            self.parameter, self.index = parameter
        elif self.operation in (RATIO, ROOT):
            self.index, self.divisor = parameter
        else:
            self.index = parameter
        return doubles > max(self.index, self.divisor, 1)

    cdef object in_python(self, list values, object at):
        value = self.read(values, at)
        return self.missing if value is None else value

    cdef object of(self, EntityState state, double at, object moment):
        cdef Kind kind = state.kind
        cdef const double* v = <const double*>state.data
        cdef double found
        if not self.operation or state.list_of_values is not None:
            return self.in_python(state.listed(), moment)
        if self.operation == RATIO:
            return v[self.index] / v[self.divisor] if v[self.divisor] > 0.0 else NAN
        if self.operation == VALUE:
            return v[self.index]
        if self.operation == FINITE:
            return v[self.index] if isfinite(v[self.index]) else NAN
        if self.operation == KNOWN:
            return v[self.index] if v[1] > 0.0 else NAN
        if self.operation == AGE:
            return at - v[0] if at > v[0] else 0.0
        if self.operation == DECAYED:
            if at > v[0]:
                return v[self.index] * exp2(-(at - v[0]) / self.parameter)
            return v[self.index]
        if self.operation == ROOT:
            if not v[self.divisor] > 0.0:
                return NAN
            found = v[self.index] / v[self.divisor]
            if found >= 0.0:
                return pow(found, 0.5)
        elif self.operation == KEPT_AGE:
            return kept_age(v[self.index], at)
        elif self.operation == KEPT_MEAN:
            return kept_mean(v, kind.doubles, self.index, self.stride)
        elif self.operation == KEPT_COUNT:
            return kept_count(v, kind.doubles, self.stride)
        elif self.operation == KEPT_LEAST or self.operation == KEPT_GREATEST:
            return kept_extreme(
                v, kind.doubles, self.index, self.stride, self.operation == KEPT_GREATEST
            )
        elif self.operation == CELLS:
            if PyFloat_CheckExact(moment):
                return self.counts[later_than(v, kind.doubles, at - self.parameter)]
        elif self.operation == OVERDUE:
            if overdue(
                state.data, kind.rows.seconds, kind.rows.slots, self.parameter, at, &found
            ):
                return found
        elif self.of_window(state.data, &kind.rows, at, &found):
            return found
        return self.in_python(state.listed(), moment)

    cdef bint of_window(self, char* data, const Rows* rows, double at, double* found) noexcept:
        """Set `found`, unless that is left to Python."""
        cdef Span span
        if not span_of(data, rows, self.slots, self.back, at, &span):
            return False
        if self.operation == COUNT:
            found[0] = counted(data, rows, &span)
        elif self.operation == TOTAL:
            found[0] = summed_up(data, rows, self.row, &span)
        elif self.operation == MEAN:
            found[0] = counted(data, rows, &span)
            found[0] = summed_up(data, rows, self.row, &span) / found[0] if found[0] else NAN
        else:
            found[0] = extreme(data, rows, self.row, &span, self.operation == GREATEST)
        return True


cdef class View:
    """A view as one event type reads it."""

    cdef Py_ssize_t place, key
    cdef double ttl
    cdef list columns

    def __init__(self, place, key, ttl, list columns):
        """`place` of the view among the tables, `key` among an arrival's keys, `ttl` in seconds."""
        self.place, self.key, self.ttl, self.columns = place, key, ttl, columns


cdef class Plan:
    """What one event type reads and updates."""

    cdef list views, updated
    cdef Py_ssize_t width
    cdef list kinds
    cdef object failed

    def __init__(self, list kinds, list views, list updated):
        """`kinds` of all views, `views` that it reads, `updated`: (place of a view, of its key)."""
        self.kinds, self.views, self.updated = kinds, views, updated
        self.width = sum([len((<View>view).columns) for view in views])
        self.failed = None

    def failure(self, error):
        """(place of the view, number of the column or None) of what raised this error here, or None."""
        if self.failed is None or self.failed[0] != id(error):
            return None
        return self.failed[1:]

    def read(self, list tables, keys, moment):
        """The columns read and the newest event time in the states; `moment` in seconds."""
        cdef double newest = -INFINITY
        row = self.row(tables, keys, moment, &newest)
        return row, newest

    cdef list row(self, list tables, object keys, object moment, double* newest):
        cdef double at = moment
        cdef list row = PyList_New(self.width)
        cdef Py_ssize_t filled = 0, number = 0
        cdef View view
        cdef Column column
        cdef EntityState state
        cdef PyObject* found
        view = None
        try:
            for view in self.views:
                found = PyDict_GetItemWithError(<dict>tables[view.place], keys[view.key])
                state = None if found == NULL else <EntityState?>found
                if state is not None:
                    if at - state.newest > view.ttl:
                        state = None
                    elif state.newest > newest[0]:
                        newest[0] = state.newest
                number = 0
                for column in view.columns:
                    if state is not None:
                        value = column.of(state, at, moment)
                    elif column.absent is not None:
                        value = column.absent
                    else:
                        value = column.in_python(None, moment)
                    Py_INCREF(value)
                    PyList_SET_ITEM(row, filled, value)
                    filled += 1
                    number += 1
        except BaseException as error:
            if view is not None:
                self.failed = id(error), view.place, number
            fill(row, filled)
            raise
        return row

    def update(self, arrival, list tables, batch, bint create):
        """Apply an arrival's updates; without `create` to states alone that are there."""
        cdef EntityState state
        cdef Kind kind
        cdef PyObject* found
        cdef Py_ssize_t at, place, key
        cdef double event_time = arrival.event_time
        keys, updates = arrival.keys, arrival.updates
        source, rank, offset = arrival.source, arrival.rank, arrival.offset
        cdef uint64_t digest = PyLong_AsUnsignedLongLongMask(arrival.digest)
        cdef int64_t number = batch
        at = 0
        for place, key in self.updated:
            update, entity = updates[at], keys[key]
            at += 1
            if update is None or entity is None:
                continue
            kind = <Kind>self.kinds[place]
            found = PyDict_GetItemWithError(<dict>tables[place], entity)
            if found != NULL:
                state = <EntityState?>found
            elif create:
                state = kind.beginning()
                (<dict>tables[place])[entity] = state
            else:
                continue
            if not passes(state, source, offset):
                arrival.ahead = True
                continue
            try:
                take(kind, state, update, rank, offset)
            except BaseException as error:
                self.failed = id(error), place, None
                raise
            put_fence(state, source, offset)
            state.count += 1
            state.account += digest
            if event_time > state.newest:
                state.newest = event_time
            state.batch = number


cdef int fill(list row, Py_ssize_t filled) except -1:
    """A list must not be freed with places that nothing was put into."""
    cdef Py_ssize_t at
    for at in range(filled, len(row)):
        Py_INCREF(None)
        PyList_SET_ITEM(row, at, None)
    return 0


cdef inline bint usual_fence(object source, object offset):
    """Whether the two are what packed fences hold."""
    return (
        PyLong_CheckExact(source) and PyLong_CheckExact(offset)
        and 0 <= source <= 0xFFFFFFFF and -FAR < offset < FAR
    )


cdef bint passes(EntityState state, object source, object offset):
    """Whether the state has not taken in this record of a source, or a later one."""
    cdef Py_ssize_t at
    if state.fences_by_source is None and usual_fence(source, offset):
        at = state.find(<uint32_t>source)
        return (-1 if at < 0 else state.offset_at(at)) < <int64_t>offset
    return not state.by_source().get(source, -1) >= offset


cdef int put_fence(EntityState state, object source, object offset) except -1:
    cdef Py_ssize_t at
    if state.fences_by_source is not None:
        state.fences_by_source[source] = offset
        return 0
    at = state.find(<uint32_t>source)
    if at < 0:
        if state.fences_held == state.room:
            state.grow(2 * state.room)
        at = state.fences_held
        state.fences_held += 1
    state.set_fence(at, <uint32_t>source, <int64_t>offset)
    return 0


def staged(Py_ssize_t view, keys, dict table, int64_t number, few, prune, next_version, pack, write):
    """The writes of the states of `keys` that batch `number` updated; lets go of what was only read.

    `prune` drops fences where there are more than `few`; `pack` packs, or refuses, what is not usual.
    """
    cdef EntityState state
    cdef PyObject* found
    cdef Py_ssize_t many = few
    cdef list writes = []
    for entity in keys:
        found = PyDict_GetItemWithError(table, entity)
        if found == NULL:
            continue
        state = <EntityState?>found
        if state.batch == number:
            if state.fences_by_source is not None or state.fences_held > many:
                prune(state.by_source())
            expected, state.version = state.version, next_version()
            usual = state.list_of_values is None and state.fences_by_source is None
            if usual and (not state.kind.sums_up or state.sums_are_finite()):
                packed = state.packed()
            else:
                packed = pack(view, state)
            writes.append(write(view, entity, expected, packed))
        elif state.batch < 0:
            del table[entity]
    return writes
