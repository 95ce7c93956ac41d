# cython: language_level=3
"""An event of its class, made of what a decoder that knows no pydantic found in a value."""

from cpython.object cimport PyObject, PyObject_GenericSetAttr, PyTypeObject
from cpython.dict cimport PyDict_Copy, PyDict_SetItem


cdef tuple NOTHING = ()


cdef class Builder:
    """Makes the events of one class, as pydantic makes them of a value without unknown fields."""

    cdef object event_type  # a class, of pydantic's metaclass
    cdef tuple fields
    cdef object unset
    cdef dict blank
    cdef frozenset all

    def __init__(self, event_type, fields, dict blank, unset):
        """`fields`: (name, function that converts it or None) of each that a value may have.

        `blank` has all fields in pydantic's order, with their defaults and with what is always the same;
        `unset` is what a field holds that the value does not have.
        """
        self.event_type = event_type
        self.fields = tuple(fields)
        self.unset = unset
        self.blank = blank
        self.all = frozenset(blank)

    def __call__(self, given):
        """The event of an object with these fields as attributes; raises what a conversion raises."""
        cdef dict values = PyDict_Copy(self.blank)
        cdef set names = set(self.all)
        cdef tuple field
        for field in self.fields:
            name, convert = field
            value = getattr(given, name)
            if value is self.unset:
                names.discard(name)
                continue
            if convert is not None and value is not None:
                value = convert(value)
            PyDict_SetItem(values, name, value)
        event = (<PyTypeObject*>self.event_type).tp_new(self.event_type, <PyObject*>NOTHING, NULL)
        PyObject_GenericSetAttr(event, "__dict__", values)
        PyObject_GenericSetAttr(event, "__pydantic_fields_set__", names)
        PyObject_GenericSetAttr(event, "__pydantic_extra__", {})
        PyObject_GenericSetAttr(event, "__pydantic_private__", None)
        return event
