/* `Rounds` as a type: making one, what it is given and returns, and its end. */
#include "rounds.h"

#include <structmember.h>

static PyObject *numbers_of(const int64_t *numbers, int count)
{
    PyObject *list = PyList_New(0);
    for (int index = 0; list != NULL && index < count; index++)
        if (append_number(list, numbers[index]) < 0)
            Py_CLEAR(list);
    return list;
}

static PyObject *moments_of(const Rounds *self)
{
    PyObject *list = PyList_New(0);
    for (int index = 0; list != NULL && index < self->moment_count; index++) {
        PyObject *moment = Py_BuildValue("LL", (long long)self->moments[index][0], (long long)self->moments[index][1]);
        if (moment == NULL || PyList_Append(list, moment) < 0)
            Py_CLEAR(list);
        Py_XDECREF(moment);
    }
    return list;
}

static PyObject *result_of(Rounds *self)
{
    PyObject *kinds = numbers_of(self->kinds, KINDS), *syncs = numbers_of(self->syncs_ns, self->turns);
    PyObject *moments = moments_of(self);
    PyObject *result = NULL;
    if (kinds != NULL && syncs != NULL && moments != NULL)
        result = Py_BuildValue("Ky#OnOOLLOiO", (unsigned long long)self->next, self->tree.edge,
                               (Py_ssize_t)(HASH * self->tree.height), kinds, (Py_ssize_t)self->size, syncs, moments,
                               (long long)self->turn_ns, (long long)self->busy_ns, self->full ? Py_True : Py_False,
                               self->error, self->usual ? Py_True : Py_False);
    Py_XDECREF(kinds);
    Py_XDECREF(syncs);
    Py_XDECREF(moments);
    return result;
}

static PyObject *go(PyObject *object, PyObject *args)
{
    Rounds *self = (Rounds *)object;
    Py_buffer edge;
    const char *day;
    Py_ssize_t day_length;
    unsigned long long next, near;
    long long until_ns, seal_ns, tick_ns, turn_ns, busy_ns;
    if (!PyArg_ParseTuple(args, "iKKy*y#nLLLLLp", &self->descriptor, &next, &near, &edge, &day, &day_length,
                          &self->room, &until_ns, &seal_ns, &tick_ns, &turn_ns, &busy_ns, &self->full))
        return NULL;
    PyObject *result = NULL;
    self->tree.height = height_of(next);
    if (edge.len != HASH * self->tree.height || day_length != DAY) {
        PyErr_SetString(PyExc_ValueError, "the edge is not that of so many records, or the day no day");
        goto end;
    }
    memcpy(self->tree.edge, edge.buf, (size_t)edge.len);
    snprintf(self->day, sizeof self->day, "{\"ts\":\"%s", day);
    self->next = next;
    self->near = near;
    self->until_ns = until_ns;
    self->seal_ns = seal_ns;
    self->tick_ns = tick_ns;
    self->turn_ns = turn_ns;
    self->busy_ns = busy_ns;
    self->turns = self->moment_count = self->error = 0;
    self->size = 0;
    memset(self->kinds, 0, sizeof self->kinds);
    Py_BEGIN_ALLOW_THREADS;
    make_rounds(self);
    Py_END_ALLOW_THREADS;
    result = result_of(self);
end:
    PyBuffer_Release(&edge);
    return result;
}

static PyObject *new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"memory", "slots", "bell", "descriptors", "least_ns", "rest_ns", NULL};
    PyObject *memory, *bell, *descriptors;
    unsigned long long slots;
    long long least_ns, rest_ns;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "OKOO!LL", names, &memory, &slots, &bell, &PyTuple_Type,
                                     &descriptors, &least_ns, &rest_ns))
        return NULL;
    Py_ssize_t count = PyTuple_GET_SIZE(descriptors);
    if (count > MOST_DESCRIPTORS || (bell == Py_None ? count == 0 : !is_bell(bell)))
        return PyErr_Format(PyExc_ValueError, "a bell of this module is needed, or at most %d descriptors",
                            MOST_DESCRIPTORS);
    Rounds *self = (Rounds *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    for (Py_ssize_t i = 0; i < count; i++)
        self->polled[i] = (struct pollfd){.fd = (int)PyLong_AsLong(PyTuple_GET_ITEM(descriptors, i)), .events = POLLIN};
    self->polled_count = (int)count;
    self->bell = bell == Py_None ? NULL : Py_NewRef(bell);
    self->least_ns = least_ns;
    self->rest_ns = rest_ns;
    if (PyErr_Occurred() || PyObject_GetBuffer(memory, &self->memory, PyBUF_WRITABLE) < 0)
        goto failed;
    self->ring = (Ring){.memory = self->memory.buf, .slots = slots};
    if (!is_ring(&self->ring, (size_t)self->memory.len))
        PyErr_Format(PyExc_ValueError, "the memory of %zd bytes is no ring of %llu slots", self->memory.len, slots);
    else if ((self->tree.context = new_hash()) == NULL)
        PyErr_NoMemory();
    else
        return (PyObject *)self;
failed:
    Py_DECREF(self);
    return NULL;
}

static void dealloc(PyObject *object)
{
    Rounds *self = (Rounds *)object;
    PyTypeObject *type = Py_TYPE(self);
    Py_XDECREF(self->bell);
    if (self->tree.context != NULL)
        free_hash(self->tree.context);
    if (self->memory.obj != NULL)
        PyBuffer_Release(&self->memory);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMemberDef members[] = {
    {"abandoned", T_BOOL, offsetof(Rounds, abandoned), 0, "Whether another writer works now; set by any thread."},
    {NULL},
};

static PyMethodDef methods[] = {
    {"go", go, METH_VARARGS,
     "go(descriptor, next, edge, day, room, until_ns, seal_ns, tick_ns, turn_ns, busy_ns, full, /)\n--\n\n"
     "Make rounds until something is unusual; return what was done: next, edge, number of records by kind, bytes, "
     "nanoseconds of each sync, moments, turn_ns, busy_ns, full, the kernel's error or 0, and whether nothing was "
     "unusual but the time."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot type_slots[] = {
    {Py_tp_doc, "Rounds(memory, slots, bell, descriptors, least_ns, rest_ns)"},
    {Py_tp_new, new},
    {Py_tp_dealloc, dealloc},
    {Py_tp_members, members},
    {Py_tp_methods, methods},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "riskbus.native.hot.Rounds",
    .basicsize = sizeof(Rounds),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = type_slots,
};

int add_rounds(PyObject *module) { return find_sha256() ? add_type(module, &spec) : 0; }
