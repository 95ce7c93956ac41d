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
from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_CheckExact
from cpython.list cimport PyList_New, PyList_SET_ITEM
from cpython.long cimport PyLong_AsLongLongAndOverflow, PyLong_AsUnsignedLongLongMask, PyLong_CheckExact
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF
from cpython.tuple cimport PyTuple_GET_ITEM, PyTuple_GET_SIZE
from libc.math cimport INFINITY, NAN, exp2, floor, isfinite
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy, memset

from struct import Struct

cdef extern from "Python.h":
    double PyLong_AsDouble(object number) except? -1.0
    bint PyLong_Check(object value)

cdef enum:
    HEAD = 32  # version, updates, account, newest event time
    FENCE = 12  # source, offset
    MOST = 64  # numbers of an update that is taken in here

cdef enum:  # operations; 0: the kind's own function in Python
    DECAYED_SUMS = 1, DECAYED_SHARE, NEWEST_WINS, EXTREMES, OPEN_ITEMS
    DECAYED = 11, RATIO, AGE, VALUE, FINITE, OVERDUE

cdef int64_t FAR = <int64_t>1 << 60  # slots and offsets beyond it are left to Python
cdef double EXACT = 9007199254740992.0  # up to 2**53 a double holds every whole number

PACKED_FENCE = Struct("<Iq")

OPERATIONS = {
    "decayed-sums": DECAYED_SUMS, "decayed-share": DECAYED_SHARE, "newest-wins": NEWEST_WINS,
    "extremes": EXTREMES, "open-items": OPEN_ITEMS,
    "decayed": DECAYED, "ratio": RATIO, "age": AGE, "value": VALUE, "finite": FINITE, "overdue": OVERDUE,
}


cdef class Kind:
    """A kind of state: how states of it begin, are packed and take updates in."""

    cdef readonly object struct
    cdef object apply, empty
    cdef bytes begin  # the packed values of a new state, where there is an operation
    cdef int width  # bytes of the packed numbers
    cdef int doubles  # how many of them there are, where all are doubles
    cdef int slots
    cdef int operation
    cdef double parameter
    cdef bint sums_up

    def __init__(self, struct, empty, apply, operation, bint sums_up):
        """`struct` packs the values of a state, `empty` gives those of a new one.

        `apply` takes an update in, in Python; `operation` is None, or what does the same here: a name
        and a number.
        """
        name, parameter = operation or (None, 0.0)
        self.struct = struct
        self.apply = apply
        self.empty = empty
        self.width = struct.size
        self.operation = OPERATIONS[name] if name is not None else 0
        self.parameter = parameter
        self.sums_up = sums_up
        self.doubles = self.width // 8 if struct.format == f"<{self.width // 8}d" else 0
        self.slots = (self.width - 8) // 4 if self.operation == OPEN_ITEMS else 0
        if self.operation == OPEN_ITEMS:
            fits = struct.format == f"<q{self.slots}i"
        else:
            fits = 0 < self.doubles <= MOST
        if not fits:
            self.operation = 0
        if self.operation:
            self.begin = struct.pack(*empty())

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
        cdef const double* v = <const double*>self.data
        cdef int at
        for at in range(1, self.kind.doubles):
            if not isfinite(v[at]):
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


cdef inline int64_t modulo(int64_t number, int64_t by) noexcept:
    """As Python's: never below 0."""
    cdef int64_t left = number % by
    return left + by if left < 0 else left


cdef int take(Kind kind, EntityState state, object update, object rank, object offset) except -1:
    """Take an update in, here where it can be done, else by the kind's own function."""
    cdef bint done = False
    if kind.operation and state.list_of_values is None and type(update) is tuple:
        if kind.operation == DECAYED_SUMS or kind.operation == DECAYED_SHARE:
            done = take_decayed(kind, <double*>state.data, <tuple>update)
        elif kind.operation == NEWEST_WINS:
            done = take_newest(kind, <double*>state.data, <tuple>update, rank, offset)
        elif kind.operation == EXTREMES:
            done = take_extremes(kind, <double*>state.data, <tuple>update)
        else:
            done = take_open(kind, state, <tuple>update)
    if not done:
        kind.apply(state.listed(), update, rank, offset)
    return 0


cdef bint take_decayed(Kind kind, double* v, tuple update):
    """See `stream_app.features.kinds.decay`; the parameter is the half-life."""
    cdef double[MOST] addends
    cdef double time, half_lives, weight
    cdef int at
    cdef int given = 2 if kind.operation == DECAYED_SUMS else 1  # before it, an addend that is always 1
    if PyTuple_GET_SIZE(update) != kind.doubles + 1 - given:
        return False
    first = <object>PyTuple_GET_ITEM(update, 0)
    if not PyFloat_CheckExact(first):
        return False  # kept as it is: an integer remains one
    time = PyFloat_AS_DOUBLE(first)
    addends[1] = 1.0
    for at in range(given, kind.doubles):
        if not number(<object>PyTuple_GET_ITEM(update, at + 1 - given), &addends[at]):
            return False
    half_lives = (time - v[0]) / kind.parameter
    if half_lives >= 0.0:
        weight = exp2(-half_lives)
        v[0] = time
        for at in range(1, kind.doubles):
            v[at] = v[at] * weight + addends[at]
    else:
        weight = exp2(half_lives)
        for at in range(1, kind.doubles):
            v[at] += addends[at] * weight
    return True


cdef bint take_extremes(Kind kind, double* v, tuple update):
    """See `stream_app.features.kinds.extremes`."""
    cdef double[MOST] values
    cdef int at
    if PyTuple_GET_SIZE(update) != (kind.doubles + 1) // 2:
        return False
    first = <object>PyTuple_GET_ITEM(update, 0)
    if not PyFloat_CheckExact(first):
        return False  # kept as it is: an integer remains one
    for at in range(1, kind.doubles, 2):
        value = <object>PyTuple_GET_ITEM(update, (at + 1) // 2)
        if value is None:
            values[at] = NAN  # neither less nor greater than anything
        elif not number(value, &values[at]):
            return False
    if PyFloat_AS_DOUBLE(first) > v[0]:
        v[0] = PyFloat_AS_DOUBLE(first)
    for at in range(1, kind.doubles, 2):
        if values[at] < v[at]:
            v[at] = values[at]
        if values[at] > v[at + 1]:
            v[at + 1] = values[at]
    return True


cdef bint take_newest(Kind kind, double* v, tuple update, object rank, object offset):
    """See `stream_app.features.kinds.newest_wins`: a rank, an offset and a value a field."""
    cdef double[MOST] values
    cdef double time, of_rank, of_offset
    cdef int at
    cdef PyObject* value
    if PyTuple_GET_SIZE(update) != (kind.doubles + 2) // 3:
        return False
    first = <object>PyTuple_GET_ITEM(update, 0)
    if not PyFloat_CheckExact(first) or not number(rank, &of_rank) or not number(offset, &of_offset):
        return False
    if not (-EXACT < of_rank < EXACT and -EXACT < of_offset < EXACT):
        return False
    for at in range(1, kind.doubles, 3):
        value = <PyObject*>PyTuple_GET_ITEM(update, (at + 2) // 3)
        if <object>value is not None and not number(<object>value, &values[at]):
            return False
    time = PyFloat_AS_DOUBLE(first)
    if time > v[0]:
        v[0] = time
        for at in range(1, kind.doubles, 3):
            if <object>PyTuple_GET_ITEM(update, (at + 2) // 3) is None:
                v[at], v[at + 1], v[at + 2] = -1.0, -1.0, NAN
            else:
                v[at], v[at + 1], v[at + 2] = of_rank, of_offset, values[at]
    elif time == v[0]:
        for at in range(1, kind.doubles, 3):
            if <object>PyTuple_GET_ITEM(update, (at + 2) // 3) is not None and (
                of_rank > v[at] or (of_rank == v[at] and of_offset > v[at + 1])
            ):
                v[at], v[at + 1], v[at + 2] = of_rank, of_offset, values[at]
    return True


cdef bint take_open(Kind kind, EntityState state, tuple update):
    """See `stream_app.features.kinds.open_items`; the parameter is the seconds of a slot."""
    cdef int64_t* newest = <int64_t*>state.data
    cdef int32_t* counters = <int32_t*>(state.data + 8)
    cdef int64_t slot, passed, count, counted
    cdef int overflow = 0
    cdef double due
    if PyTuple_GET_SIZE(update) != 2 or not number(<object>PyTuple_GET_ITEM(update, 0), &due):
        return False
    change = <object>PyTuple_GET_ITEM(update, 1)
    due = floor(due / kind.parameter)
    if not -FAR < due < FAR or not PyLong_CheckExact(change):
        return False
    count = PyLong_AsLongLongAndOverflow(change, &overflow)
    if overflow or not -FAR < count < FAR:
        return False
    slot = <int64_t>due
    counted = count
    if slot <= newest[0]:
        if newest[0] - slot >= kind.slots:
            return True  # its slot has expired: whoever came first, it is not counted
        counted += counters[modulo(slot, kind.slots)]
    if counted != <int32_t>counted:
        return False
    if slot > newest[0]:
        if slot - newest[0] >= kind.slots:
            memset(counters, 0, 4 * kind.slots)
        else:
            for passed in range(newest[0] + 1, slot + 1):
                counters[modulo(passed, kind.slots)] = 0
        newest[0] = slot
    counters[modulo(slot, kind.slots)] = <int32_t>counted
    return True


cdef class Column:
    """A column of a view: how it is read."""

    cdef object read, absent, missing
    cdef int operation
    cdef Py_ssize_t index, divisor
    cdef double parameter

    def __init__(self, Kind kind, read, operation, absent, missing):
        """`read` reads a column of `kind` in Python; `operation` is None, or what does the same here.

        `absent`: its value where nothing is known, or None where `read` says; `missing`: what stands for
        None, or None where None stands for itself.
        """
        name, parameter = operation or (None, 0)
        self.read, self.absent, self.missing = read, absent, missing
        self.operation = OPERATIONS[name] if name is not None else 0
        if self.operation == OVERDUE:
            self.parameter, of_slot, slots = parameter
            fits = kind.slots == slots and kind.parameter == of_slot and self.parameter < FAR
        elif self.operation == DECAYED:
            self.parameter, self.index = parameter
            fits = kind.doubles > self.index
        elif self.operation == RATIO:
            self.index, self.divisor = parameter
            fits = kind.doubles > max(self.index, self.divisor)
        else:
            self.index = parameter
            fits = kind.doubles > max(self.index, 1)
        # A column may have been made of another kind than its view's; Python says what comes of it.
        if not fits:
            self.operation = 0

    cdef object in_python(self, list values, object at):
        value = self.read(values, at)
        return self.missing if value is None else value

    cdef object of(self, EntityState state, double at, object moment):
        cdef Kind kind = state.kind
        cdef const double* v = <const double*>state.data
        cdef int64_t slot, first, last, total
        cdef double found
        if not self.operation or state.list_of_values is not None:
            return self.in_python(state.listed(), moment)
        if self.operation == RATIO:
            return v[self.index] / v[self.divisor] if v[self.divisor] > 0.0 else NAN
        if self.operation == VALUE:
            return v[self.index]
        if self.operation == FINITE:
            return v[self.index] if isfinite(v[self.index]) else NAN
        if self.operation == AGE:
            return at - v[0] if at > v[0] else 0.0
        if self.operation == DECAYED:
            if at > v[0]:
                return v[self.index] * exp2(-(at - v[0]) / self.parameter)
            return v[self.index]
        found = floor(at / kind.parameter)
        if not -FAR < found < FAR:
            return self.in_python(state.listed(), moment)
        slot = (<const int64_t*>state.data)[0]
        last = min(<int64_t>found, slot)
        first = max(<int64_t>found - <int64_t>self.parameter, slot - kind.slots) + 1
        total = 0
        while first <= last:
            total += (<const int32_t*>(state.data + 8))[modulo(first, kind.slots)]
            first += 1
        return <double>total


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
