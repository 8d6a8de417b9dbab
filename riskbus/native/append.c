/* `Append`: what riskbus.runtime.appending.make_append makes, compiled.

   No lock, no system call; where the record has a slot, the interpreter's own lock makes claim and put one step for
   every other thread and for signal handlers. */
#include "body.h"

#include <stddef.h>
#include <structmember.h>

#include "event.h"

typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    PyObject *staging;  /* its `attention` is looked at every time */
    PyObject *numbers;  /* what claims: itertools.count */
    PyObject *progress; /* what receipts ask */
    PyObject *dumps;    /* (value, as_json) -> bytes */
    PyObject *as_json;
    PyObject *payloads;    /* what `make_body` needs; NULL while a call uses it */
    PyObject *check;       /* (event): raises where it is none */
    PyObject *encode;      /* (event) -> body: of what is not as usual */
    PyObject *put;         /* (seq, body, kind) -> seq: what has no slot, and gets another number perhaps */
    PyObject *stranded;    /* a list of what `put` failed for: (seq, body, kind) */
    PyObject *rescue;      /* (event, error) -> seq: records it otherwise; raises what must not be kept back */
    PyObject *second_look; /* (seq, event) -> receipt or None */
    PyObject *receipt;     /* the class */
    PyObject *str_priority;
    Py_ssize_t offset_attention, offset_seq, offset_progress;
    Py_buffer memory;
    Ring ring;
    uint64_t limit; /* the largest number that surely has a slot */
} Append;

enum { PARTS = (offsetof(Append, str_priority) - offsetof(Append, staging)) / sizeof(PyObject *) };

/* The objects that it was given, in the order of the struct. */
static PyObject **parts(Append *self) { return &self->staging; }

static int has_slot(Append *self, uint64_t seq)
{
    if (seq > self->limit)
        self->limit = ring_released(&self->ring) + self->ring.slots - 1;
    return seq <= self->limit;
}

/* Put the body down, where it has a slot and fits into it. */
static int put_in_slot(Append *self, uint64_t number, const Body *body)
{
    if (body->bytes != NULL || !has_slot(self, number))
        return 0;
    ring_put(&self->ring, number, body->text, body->length, (uint64_t)body->level);
    ring_fetch_next(&self->ring, number, body->length);
    return 1;
}

/* Leave to the writer what could not be put down, after the exception that is set; NULL if that must not be kept
   back. */
static PyObject *strand(Append *self, PyObject *seq, PyObject *body, PyObject *priority)
{
    PyObject *type, *error, *trace;
    PyErr_Fetch(&type, &error, &trace);
    PyObject *staged = PyTuple_Pack(3, seq, body, priority);
    int status = staged == NULL ? -1 : PyList_Append(self->stranded, staged);
    Py_XDECREF(staged);
    if (status == 0 && PyErr_GivenExceptionMatches(type, PyExc_Exception)) {
        Py_DECREF(type);
        Py_XDECREF(error);
        Py_XDECREF(trace);
        return Py_NewRef(seq);
    }
    PyErr_Restore(type, error, trace);
    return NULL;
}

/* Put the body down wherever there is room, and return the number that it has. */
static PyObject *put_down(Append *self, PyObject *seq, PyObject *body, PyObject *priority)
{
    PyObject *args[] = {NULL, seq, body, priority};
    PyObject *other = PyObject_Vectorcall(self->put, args + 1, 3 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    return other == NULL ? strand(self, seq, body, priority) : other;
}

/* The event's priority; -1 with an exception if it has none. */
static int level_in(const Append *self, PyObject *event)
{
    PyObject *priority = PyObject_GetAttr(event, self->str_priority);
    long level = priority == NULL ? -1 : PyLong_AsLong(priority);
    Py_XDECREF(priority);
    if (level < 0 || level >= PRIORITIES)
        return PyErr_Occurred() ? -1 : PRIORITIES;
    return (int)level;
}

static PyObject *claim(Append *self) { return Py_TYPE(self->numbers)->tp_iternext(self->numbers); }

/* Claim a number for the body of a usual event and put it down; the number, or NULL with an exception. */
static PyObject *put_body(Append *self, const Body *body)
{
    PyObject *seq = claim(self);
    if (seq == NULL || put_in_slot(self, PyLong_AsUnsignedLongLong(seq), body))
        return seq; /* nothing of the interpreter ran in between */
    PyObject *bytes =
        body->bytes != NULL ? Py_NewRef(body->bytes) : PyBytes_FromStringAndSize(body->text, (Py_ssize_t)body->length);
    PyObject *priority = PyLong_FromLong(body->level);
    PyObject *other = bytes == NULL || priority == NULL ? NULL : put_down(self, seq, bytes, priority);
    Py_XDECREF(bytes);
    Py_XDECREF(priority);
    Py_DECREF(seq);
    return other;
}

/* Have a body made; 0 if the event is not as usual, -1 with an exception if that fails. */
static int make(Append *self, Body *body, PyObject *event)
{
    PyObject *payloads = self->payloads;
    if (!Py_IS_TYPE(event, events.event) || payloads == NULL)
        return 0; /* a payload that publishes while it is serialised */
    self->payloads = NULL;
    int status = make_body(body, event, payloads, self->dumps, self->as_json);
    self->payloads = payloads;
    return status;
}

/* Have what can be had of the event recorded, after the exception that is set; its number, or NULL with an exception
   to raise. */
static PyObject *rescue(Append *self, PyObject *event)
{
    PyObject *type, *error, *trace;
    PyErr_Fetch(&type, &error, &trace);
    PyErr_NormalizeException(&type, &error, &trace);
    if (trace != NULL)
        PyException_SetTraceback(error, trace);
    PyObject *args[] = {NULL, event, error};
    PyObject *seq = PyObject_Vectorcall(self->rescue, args + 1, 2 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    Py_XDECREF(type);
    Py_XDECREF(error);
    Py_XDECREF(trace);
    return seq;
}

/* Serialise any event and put it down; it may be of a subclass, or something that only looks like an event. */
static PyObject *record_slowly(Append *self, PyObject *event)
{
    int level = level_in(self, event);
    if (level == PRIORITIES)
        PyErr_Format(PyExc_ValueError, "the priority is none");
    PyObject *body = level < 0 || level == PRIORITIES ? NULL : PyObject_CallOneArg(self->encode, event);
    if (body == NULL)
        return rescue(self, event);
    PyObject *priority = PyLong_FromLong(level);
    PyObject *seq = priority == NULL ? NULL : claim(self);
    PyObject *other = seq == NULL ? NULL : put_down(self, seq, body, priority);
    Py_DECREF(body);
    Py_XDECREF(priority);
    Py_XDECREF(seq);
    return other;
}

/* Serialise the event and put it down; its number, or NULL with an exception where that fails. */
static PyObject *record(Append *self, PyObject *event, int *level)
{
    Body body;
    int status = make(self, &body, event);
    PyObject *seq;
    if (status > 0) {
        seq = put_body(self, &body);
        *level = body.level;
        Py_XDECREF(body.bytes);
    } else {
        seq = status < 0 ? rescue(self, event) : record_slowly(self, event);
        if (seq != NULL && (*level = level_in(self, event)) < 0)
            Py_CLEAR(seq);
    }
    return seq;
}

static PyObject *make_receipt(Append *self, PyObject *seq)
{
    PyTypeObject *type = (PyTypeObject *)self->receipt;
    PyObject *receipt = type->tp_alloc(type, 0);
    if (receipt == NULL)
        return NULL;
    *slot(receipt, self->offset_seq) = Py_NewRef(seq);
    *slot(receipt, self->offset_progress) = Py_NewRef(self->progress);
    return receipt;
}

/* What a second look says, or the receipt if it says nothing. */
static PyObject *look_again(Append *self, PyObject *seq, PyObject *event, PyObject *receipt)
{
    PyObject *args[] = {NULL, seq, event};
    PyObject *other = PyObject_Vectorcall(self->second_look, args + 1, 2 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    if (other == Py_None) {
        Py_DECREF(other);
        return receipt;
    }
    Py_DECREF(receipt);
    return other;
}

static PyObject *append(PyObject *callable, PyObject *const *args, size_t nargsf, PyObject *names)
{
    Append *self = (Append *)callable;
    if (PyVectorcall_NARGS(nargsf) != 1 || (names != NULL && PyTuple_GET_SIZE(names) != 0))
        return PyErr_Format(PyExc_TypeError, "append takes exactly one event");
    PyObject *event = args[0];
    if (!Py_IS_TYPE(event, events.event)) {
        PyObject *none = PyObject_CallOneArg(self->check, event);
        Py_XDECREF(none);
        if (none == NULL)
            return NULL;
    }
    int level;
    PyObject *seq = record(self, event, &level);
    if (seq == NULL)
        return NULL;
    PyObject *receipt = make_receipt(self, seq);
    if (receipt != NULL && (*slot(self->staging, self->offset_attention) != Py_False || level == 0))
        receipt = look_again(self, seq, event, receipt);
    Py_DECREF(seq);
    return receipt;
}

static PyObject *new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"staging", "numbers",  "progress", "dumps",       "as_json", "payloads", "check", "encode",
                            "put",     "stranded", "rescue",   "second_look", "receipt", "memory",   "slots", NULL};
    PyObject *given[PARTS], *memory;
    unsigned long long slots;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "OOOOOO!OOOO!OOO!OK", names, given, given + 1, given + 2,
                                     given + 3, given + 4, &PyList_Type, given + 5, given + 6, given + 7, given + 8,
                                     &PyList_Type, given + 9, given + 10, given + 11, &PyType_Type, given + 12, &memory,
                                     &slots))
        return NULL;
    if (!PyIter_Check(given[1]))
        return PyErr_Format(PyExc_TypeError, "numbers is not an iterator");
    Append *self = (Append *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    for (size_t i = 0; i < PARTS; i++)
        parts(self)[i] = Py_NewRef(given[i]);
    self->vectorcall = append;
    self->str_priority = PyUnicode_InternFromString("priority");
    self->offset_attention = slot_offset(Py_TYPE(self->staging), "attention");
    self->offset_seq = slot_offset((PyTypeObject *)self->receipt, "seq");
    self->offset_progress = slot_offset((PyTypeObject *)self->receipt, "progress");
    if (self->str_priority == NULL || self->offset_attention < 0 || self->offset_seq < 0 || self->offset_progress < 0 ||
        PyObject_GetBuffer(memory, &self->memory, PyBUF_WRITABLE) < 0)
        goto failed;
    self->ring = (Ring){.memory = self->memory.buf, .slots = slots};
    self->limit = slots - 1;
    if (is_ring(&self->ring, (size_t)self->memory.len))
        return (PyObject *)self;
    PyErr_Format(PyExc_ValueError, "the memory of %zd bytes is no ring of %llu slots", self->memory.len, slots);
failed:
    Py_DECREF(self);
    return NULL;
}

static int traverse(PyObject *object, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(object));
    for (size_t i = 0; i < PARTS; i++)
        Py_VISIT(parts((Append *)object)[i]);
    return 0;
}

/* Everything but what a call cannot do without while another thread is in it: `clear` runs on garbage only. */
static int clear(PyObject *object)
{
    for (size_t i = 0; i < PARTS; i++)
        Py_CLEAR(parts((Append *)object)[i]);
    return 0;
}

static void dealloc(PyObject *object)
{
    Append *self = (Append *)object;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    clear(object);
    Py_CLEAR(self->str_priority);
    if (self->memory.obj != NULL)
        PyBuffer_Release(&self->memory);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMemberDef members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Append, vectorcall), READONLY, NULL},
    {NULL},
};

static PyType_Slot type_slots[] = {
    {Py_tp_doc, "Append(staging, numbers, progress, dumps, as_json, payloads, check, encode, put, stranded, rescue, "
                "second_look, receipt, memory, slots)"},
    {Py_tp_new, new},
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_traverse, traverse},
    {Py_tp_clear, clear},
    {Py_tp_dealloc, dealloc},
    {Py_tp_members, members},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "riskbus.native.hot.Append",
    .basicsize = sizeof(Append),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = type_slots,
};

int add_append(PyObject *module) { return add_type(module, &spec); }
