/* Identifiers and times of records: what riskbus/stamps.py makes once for each millisecond, compiled, and its counter.

   What changes once a second comes from there. */
#include "module.h"

#include "stamps.h"

enum { SECOND_TEXT = 19, REST = 11, PREFIX = 24, DIGITS = 12, UUID = PREFIX + DIGITS, MILLISECONDS = 13 };

static struct {
    PyObject *second_of;             /* second -> (text, rest of the identifiers' prefix) */
    int64_t second;                  /* of the texts below */
    char text[SECOND_TEXT];          /* 2026-01-15T08:00:00 */
    char rest[REST];                 /* -7xxx-8xxx- */
    int64_t millisecond;             /* of what is below */
    char timestamp[TIMESTAMP];       /* with milliseconds */
    char milliseconds[MILLISECONDS]; /* its number */
    Py_UCS1 prefix[PREFIX];          /* of its identifiers */
    uint64_t serial, begin, end;     /* what counts up, and between what */
    char digits[DIGITS];             /* its number as text */
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

static void put_decimal(char *to, int digits, uint64_t number)
{
    for (int place = digits - 1; place >= 0; place--, number /= 10)
        to[place] = (char)('0' + number % 10);
}

/* Make what all stamps of a millisecond begin with; -1 with an exception if that fails. */
static int look_up(int64_t millisecond)
{
    if (millisecond / 1000 != self.second && look_up_second(millisecond / 1000) < 0)
        return -1;
    memcpy(self.timestamp, self.text, SECOND_TEXT);
    self.timestamp[SECOND_TEXT] = '.';
    put_decimal(self.timestamp + SECOND_TEXT + 1, 3, (uint64_t)millisecond % 1000);
    self.timestamp[TIMESTAMP - 1] = 'Z';
    put_decimal(self.milliseconds, MILLISECONDS, (uint64_t)millisecond);
    put_hexadecimal(self.prefix, 8, (uint64_t)millisecond >> 16);
    self.prefix[8] = '-';
    put_hexadecimal(self.prefix + 9, 4, (uint64_t)millisecond & 0xFFFF);
    memcpy(self.prefix + 13, self.rest, REST);
    self.millisecond = millisecond;
    return 0;
}

static void set_serial(uint64_t serial)
{
    self.serial = serial;
    put_decimal(self.digits, DIGITS, serial);
}

static void count_up(void)
{
    if (++self.serial == self.end) {
        set_serial(self.begin);
        return;
    }
    int place = DIGITS - 1;
    for (; self.digits[place] == '9'; place--)
        self.digits[place] = '0';
    self.digits[place]++;
}

PyObject *new_id(int64_t now_ns)
{
    int64_t millisecond = now_ns / 1000000;
    if (millisecond != self.millisecond && look_up(millisecond) < 0)
        return NULL;
    PyObject *id = PyUnicode_New(UUID, 127);
    if (id == NULL)
        return NULL;
    Py_UCS1 *characters = PyUnicode_1BYTE_DATA(id);
    memcpy(characters, self.prefix, PREFIX);
    memcpy(characters + PREFIX, self.digits, DIGITS);
    count_up();
    return id;
}

int put_time(int64_t time_ns, char timestamp[static TIMESTAMP], char nanoseconds[static NANOSECONDS])
{
    int64_t millisecond = time_ns / 1000000;
    if (millisecond != self.millisecond && look_up(millisecond) < 0)
        return -1;
    memcpy(timestamp, self.timestamp, TIMESTAMP);
    memcpy(nanoseconds, self.milliseconds, MILLISECONDS);
    put_decimal(nanoseconds + MILLISECONDS, NANOSECONDS - MILLISECONDS, (uint64_t)(time_ns % 1000000));
    return 0;
}

static PyObject *serial(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(none))
{
    PyObject *serial = PyLong_FromUnsignedLongLong(self.serial);
    count_up();
    return serial;
}

static PyObject *begin_stamps(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *second_of;
    unsigned long long first, begin, end;
    if (!PyArg_ParseTuple(args, "OKKK", &second_of, &first, &begin, &end))
        return NULL;
    Py_XSETREF(self.second_of, Py_NewRef(second_of));
    self.second = self.millisecond = -1;
    set_serial(first);
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
