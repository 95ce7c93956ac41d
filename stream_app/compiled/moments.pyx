# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Moments of RFC 3339 to seconds: the form that nearly every producer writes.

That is `2013-12-04T11:20:00Z`, with a fraction or not, with `Z` or an offset, from 1900 to 2199.
Every other text, the refused ones too, is left to the function in Python.
"""

from cpython.unicode cimport PyUnicode_1BYTE_KIND, PyUnicode_DATA, PyUnicode_GET_LENGTH, PyUnicode_KIND

cdef int[16] DAYS = [0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31, 0, 0, 0]  # of a month


def seconds_or(otherwise):
    """A function of a text: its seconds since the epoch; `otherwise` is asked for unusual texts."""

    def seconds(str text not None):
        cdef double found
        if (
            PyUnicode_KIND(text) == PyUnicode_1BYTE_KIND
            and usual(<const unsigned char*>PyUnicode_DATA(text), PyUnicode_GET_LENGTH(text), &found)
        ):
            return found
        return otherwise(text)

    return seconds


cdef inline int two(const unsigned char* text) noexcept:
    """The number of two digits; -1 for anything else."""
    cdef unsigned int tens = text[0] - 48u, ones = text[1] - 48u
    return <int>(tens * 10 + ones) if tens < 10 and ones < 10 else -1


cdef bint usual(const unsigned char* text, Py_ssize_t length, double* found) noexcept:
    """Set `found` and return whether the text has the usual form."""
    cdef int century, year, month, day, hour, minute, second, last, offset = 0
    cdef Py_ssize_t at = 19
    cdef long long days, micros = 0, unit = 100000
    if length < 20 or length > 64:
        return False
    if text[4] != c'-' or text[7] != c'-' or text[10] != c'T' or text[13] != c':' or text[16] != c':':
        return False
    century, year = two(text), two(text + 2)
    month, day = two(text + 5), two(text + 8)
    hour, minute, second = two(text + 11), two(text + 14), two(text + 17)
    if century < 19 or century > 21 or year < 0 or month < 1 or month > 12 or day < 1:
        return False
    year += century * 100
    last = DAYS[month]
    if month == 2 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0):
        last = 29
    if day > last or hour < 0 or hour > 23 or minute < 0 or minute > 59 or second < 0 or second > 59:
        return False
    if text[at] == c'.':
        at += 1
        if at == length or not c'0' <= text[at] <= c'9':
            return False
        while at < length and c'0' <= text[at] <= c'9':
            micros += (text[at] - 48) * unit  # what is finer than a microsecond is cut off
            unit //= 10
            at += 1
    if at == length - 1 and text[at] == c'Z':
        pass
    elif at == length - 6 and (text[at] == c'+' or text[at] == c'-') and text[at + 3] == c':':
        if not 0 <= two(text + at + 1) <= 23 or not 0 <= two(text + at + 4) <= 59:
            return False
        offset = two(text + at + 1) * 3600 + two(text + at + 4) * 60
        if text[at] == c'-':
            offset = -offset
    else:
        return False
    days = days_from_civil(year, month, day)
    # Whole microseconds are exact in a double, and their division is rounded once, as Python's is.
    micros += (days * 86400 + hour * 3600 + minute * 60 + second - offset) * 1000000
    found[0] = <double>micros / 1e6
    return True


cdef inline long long days_from_civil(long long year, long long month, long long day) noexcept:
    """Days since 1970-01-01 of a date of the Gregorian calendar after the year 0.

    A year begins in March here, so that the day that leap years have is its last; an era has 400 years.
    """
    cdef long long era, of_era, of_year
    if month <= 2:
        year -= 1
    era = year // 400
    of_year = (153 * (month - 3 if month > 2 else month + 9) + 2) // 5 + day - 1
    of_era = (year % 400) * 365 + (year % 400) // 4 - (year % 400) // 100 + of_year
    return era * 146097 + of_era - 719468
