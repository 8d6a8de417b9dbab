/* Identifiers and times of records: what riskbus/stamps.py makes once for each millisecond, compiled, and its counter.

   What changes once a second comes from there. */
#include "module.h"

#include "stamps.h"

enum { SECOND_TEXT = 19, REST = 11, PREFIX = 24, DIGITS = 12, UUID = PREFIX + DIGITS };

static struct {
    PyObject *second_of;         /* second -> (text, rest of the identifiers' prefix) */
    int64_t second;              /* of the texts below */
    char text[SECOND_TEXT];      /* 2026-01-15T08:00:00 */
    char rest[REST];             /* -7xxx-8xxx- */
    int64_t millisecond;         /* of what is below */
    PyObject *timestamp;         /* with milliseconds */
    Py_UCS1 prefix[PREFIX];      /* of its identifiers */
    uint64_t serial, begin, end; /* what counts up, and between what */
} self = {.second = -1, .millisecond = -1};

static int copy_text(char *to, PyObject *text, Py_ssize_t length)
{
    if (!PyUnicode_Check(text) || !PyUnicode_IS_COMPACT_ASCII(text) || PyUnicode_GET_LENGTH(text) != length)
        return PyErr_Format(PyExc_ValueError, "stamps.py and stamps.c disagree about a second's text"), -1;
    memcpy(to, PyUnicode_1BYTE_DATA(text), (size_t)length);
    return 0;
}

static int look_up_second(int64_t second)
{
    self.second = -1;
    PyObject *found = self.second_of == NULL ? PyErr_Format(PyExc_ValueError, "nobody has called begin_stamps")
                                             : PyObject_CallFunction(self.second_of, "L", (long long)second);
    PyObject *text, *rest;
    int status = -1;
    if (found != NULL && PyArg_ParseTuple(found, "UU", &text, &rest) && copy_text(self.text, text, SECOND_TEXT) == 0 &&
        copy_text(self.rest, rest, REST) == 0) {
        self.second = second;
        status = 0;
    }
    Py_XDECREF(found);
    return status;
}

static void put_hexadecimal(Py_UCS1 *to, int digits, uint64_t number)
{
    for (int place = digits - 1; place >= 0; place--, number >>= 4)
        to[place] = (Py_UCS1) "0123456789abcdef"[number & 15];
}

/* Make what all stamps of a millisecond begin with; -1 with an exception if that fails. */
static int look_up(int64_t millisecond)
{
    if (millisecond / 1000 != self.second && look_up_second(millisecond / 1000) < 0)
        return -1;
    PyObject *timestamp = PyUnicode_New(SECOND_TEXT + 5, 127);
    if (timestamp == NULL)
        return -1;
    Py_UCS1 *characters = PyUnicode_1BYTE_DATA(timestamp);
    int rest = (int)(millisecond % 1000);
    memcpy(characters, self.text, SECOND_TEXT);
    characters += SECOND_TEXT;
    *characters++ = '.';
    *characters++ = (Py_UCS1)('0' + rest / 100);
    *characters++ = (Py_UCS1)('0' + rest / 10 % 10);
    *characters++ = (Py_UCS1)('0' + rest % 10);
    *characters = 'Z';
    Py_XSETREF(self.timestamp, timestamp);
    put_hexadecimal(self.prefix, 8, (uint64_t)millisecond >> 16);
    self.prefix[8] = '-';
    put_hexadecimal(self.prefix + 9, 4, (uint64_t)millisecond & 0xFFFF);
    memcpy(self.prefix + 13, self.rest, REST);
    self.millisecond = millisecond;
    return 0;
}

static uint64_t next_serial(void)
{
    uint64_t serial = self.serial++;
    if (self.serial == self.end)
        self.serial = self.begin;
    return serial;
}

static PyObject *new_id(void)
{
    PyObject *id = PyUnicode_New(UUID, 127);
    if (id == NULL)
        return NULL;
    uint64_t serial = next_serial();
    Py_UCS1 *characters = PyUnicode_1BYTE_DATA(id);
    memcpy(characters, self.prefix, PREFIX);
    for (int place = UUID - 1; place >= PREFIX; place--, serial /= 10)
        characters[place] = (Py_UCS1)('0' + serial % 10);
    return id;
}

int stamp(int64_t now_ns, PyObject **timestamp, PyObject **id)
{
    int64_t millisecond = now_ns / 1000000;
    if (millisecond != self.millisecond && look_up(millisecond) < 0)
        return -1;
    if (*id == NULL && (*id = new_id()) == NULL)
        return -1;
    *timestamp = Py_NewRef(self.timestamp);
    return 0;
}

static PyObject *serial(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(none))
{
    return PyLong_FromUnsignedLongLong(next_serial());
}

static PyObject *begin_stamps(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *second_of;
    unsigned long long first, begin, end;
    if (!PyArg_ParseTuple(args, "OKKK", &second_of, &first, &begin, &end))
        return NULL;
    Py_XSETREF(self.second_of, Py_NewRef(second_of));
    self.second = self.millisecond = -1;
    self.serial = first;
    self.begin = begin;
    self.end = end;
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"begin_stamps", begin_stamps, METH_VARARGS,
     "begin_stamps(second, first, begin, end, /)\n--\n\nHave seconds' texts made by this function, and count from the "
     "first number up to the end, then from the beginning."},
    {"next_serial", serial, METH_NOARGS, "next_serial()\n--\n\nReturn the next number."},
    {NULL, NULL, 0, NULL},
};

int add_stamps(PyObject *module) { return PyModule_AddFunctions(module, functions); }
