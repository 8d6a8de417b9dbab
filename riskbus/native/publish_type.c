/* `Publish` as a type: making one, what it counted, and its end. */
#include "publish.h"

#include <structmember.h>

enum { PARTS = (offsetof(Publish, offset_stage) - offsetof(Publish, log)) / sizeof(PyObject *) };

/* The objects of its own that it holds, in the order of the struct and of what `new` is given. */
static PyObject **parts(Publish *self) { return &self->log; }

/* Copy numbers, those too large for 64 bits as the largest ones. */
static int copy_numbers(int64_t *to, PyObject *numbers, Py_ssize_t count)
{
    if (!PyTuple_Check(numbers) || PyTuple_GET_SIZE(numbers) != count)
        return PyErr_Format(PyExc_ValueError, "%zd numbers are needed", count), -1;
    for (Py_ssize_t i = 0; i < count; i++)
        to[i] = as_int64(PyTuple_GET_ITEM(numbers, i));
    return PyErr_Occurred() ? -1 : 0;
}

static PyObject *judge_by(PyObject *object, PyObject *args)
{
    Publish *self = (Publish *)object;
    PyObject *objectives, *thresholds;
    if (!PyArg_ParseTuple(args, "O!O", &PyTuple_Type, &objectives, &thresholds))
        return NULL;
    if (PyTuple_GET_SIZE(objectives) < PATHS)
        return PyErr_Format(PyExc_ValueError, "there are objectives for %zd paths", PyTuple_GET_SIZE(objectives));
    for (int path = 0; path < PATHS; path++)
        if (copy_numbers(self->objectives_ns[path], PyTuple_GET_ITEM(objectives, path), PRIORITIES) < 0)
            return NULL;
    if (copy_numbers(self->thresholds_ns, thresholds, PRIORITIES) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *drain(PyObject *object, PyObject *Py_UNUSED(none))
{
    Publish *self = (Publish *)object;
    PyObject *found = PyList_New(0);
    for (int path = 0; found != NULL && path < PATHS; path++) {
        for (int level = 0; found != NULL && level < PRIORITIES; level++) {
            Counts counts = self->counts[path][level];
            self->counts[path][level] = (Counts){.total_ns = 0}; /* at once: to make objects may run anything */
            PyObject *buckets = PyList_New(0), *item = NULL;
            int64_t sum = 0;
            for (int i = 0; buckets != NULL && i <= self->width; i++) {
                sum += counts.buckets[i];
                if (append_number(buckets, counts.buckets[i]) < 0)
                    Py_CLEAR(buckets);
            }
            if (sum && buckets != NULL)
                item = Py_BuildValue("iiOLL", path, level, buckets, (long long)counts.total_ns, (long long)counts.late);
            if (buckets == NULL || (sum && (item == NULL || PyList_Append(found, item) < 0)))
                Py_CLEAR(found);
            Py_XDECREF(buckets);
            Py_XDECREF(item);
        }
    }
    return found;
}

static int find_mailbox_offsets(Publish *self)
{
    MailboxOffsets *found = &self->mailbox_offsets;
    const struct {
        Py_ssize_t *place;
        const char *name;
    } offsets[] = {
        {&found->waiting, "_waiting"},          {&found->blocked, "_blocked"},  {&found->size, "size"},
        {&found->in_hand, "in_hand"},           {&found->since_ns, "since_ns"}, {&found->priority, "priority"},
        {&found->subscription, "subscription"},
    };
    for (size_t i = 0; i < sizeof offsets / sizeof *offsets; i++)
        if ((*offsets[i].place = slot_offset((PyTypeObject *)self->mailbox, offsets[i].name)) < 0)
            return -1;
    return 0;
}

static PyObject *new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"log",     "hand_on",   "routes",       "dispatcher", "delivery", "durability",
                            "times",   "evidence",  "requirements", "path",       "receipt",  "subscription",
                            "mailbox", "bounds_ns", "timed",        NULL};
    PyObject *given[PARTS], *bounds;
    int timed;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "OOOOOOOOOOO!O!O!O!p", names, given, given + 1, given + 2,
                                     given + 3, given + 4, given + 5, given + 6, given + 7, given + 8, given + 9,
                                     &PyType_Type, given + 10, &PyType_Type, given + 11, &PyType_Type, given + 12,
                                     &PyTuple_Type, &bounds, &timed))
        return NULL;
    if (PyTuple_GET_SIZE(bounds) > MOST_BOUNDS)
        return PyErr_Format(PyExc_ValueError, "there are more than %d bounds", MOST_BOUNDS);
    Publish *self = (Publish *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    for (size_t i = 0; i < PARTS; i++)
        parts(self)[i] = Py_NewRef(given[i]);
    self->vectorcall = publish;
    self->timed = (char)timed;
    self->width = (int)PyTuple_GET_SIZE(bounds);
    self->offset_stage = slot_offset(Py_TYPE(self->log), "stage");
    self->offset_seq = slot_offset((PyTypeObject *)self->receipt, "seq");
    self->offset_known = slot_offset(Py_TYPE(self->routes), "known");
    self->offset_quarantined = slot_offset((PyTypeObject *)self->subscription, "quarantined");
    self->offset_handler = slot_offset((PyTypeObject *)self->subscription, "handler");
    if (self->offset_stage < 0 || self->offset_seq < 0 || self->offset_known < 0 || self->offset_quarantined < 0 ||
        self->offset_handler < 0 || find_mailbox_offsets(self) < 0 ||
        copy_numbers(self->bounds_ns, bounds, self->width) < 0)
        Py_CLEAR(self);
    return (PyObject *)self;
}

static int traverse(PyObject *object, visitproc visit, void *arg)
{
    Publish *self = (Publish *)object;
    Py_VISIT(Py_TYPE(self));
    for (size_t i = 0; i < PARTS; i++)
        Py_VISIT(parts(self)[i]);
    for (size_t i = 0; i < ROUTES; i++) {
        Py_VISIT(self->known[i].event_type);
        Py_VISIT(self->known[i].known);
        Py_VISIT(self->known[i].route);
    }
    return 0;
}

static int clear(PyObject *object)
{
    Publish *self = (Publish *)object;
    for (size_t i = 0; i < PARTS; i++)
        Py_CLEAR(parts(self)[i]);
    for (size_t i = 0; i < ROUTES; i++) {
        Py_CLEAR(self->known[i].event_type);
        Py_CLEAR(self->known[i].known);
        Py_CLEAR(self->known[i].route);
    }
    return 0;
}

static void dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    clear(object);
    type->tp_free(object);
    Py_DECREF(type);
}

static PyMemberDef members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Publish, vectorcall), READONLY, NULL},
    {"retired", T_BOOL, offsetof(Publish, retired), 0, "Whether every event goes to `hand_on`."},
    {NULL},
};

static PyMethodDef methods[] = {
    {"judge_by", judge_by, METH_VARARGS,
     "judge_by(objectives_ns, thresholds_ns, /)\n--\n\nJudge by these from now on: objectives by path and priority, "
     "and "
     "by priority what is to be told to `delivery.judge`."},
    {"call_next", call_next, METH_O, "call_next(mailbox, /)\n--\n\nDo what `Delivery.call_next` does."},
    {"drain", drain, METH_NOARGS,
     "drain()\n--\n\nReturn path, priority, buckets, sum and number of late ones of what was counted, and forget it."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot type_slots[] = {
    {Py_tp_doc, "What `bus.publish` is where riskbus is compiled: see RiskEventBus.publish."},
    {Py_tp_new, new},
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_traverse, traverse},
    {Py_tp_clear, clear},
    {Py_tp_dealloc, dealloc},
    {Py_tp_members, members},
    {Py_tp_methods, methods},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "riskbus.native.hot.Publish",
    .basicsize = sizeof(Publish),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = type_slots,
};

static int intern_names(void)
{
    const struct {
        PyObject **place;
        const char *name;
    } names[] = {
        {&publish_text.note_failure, "note_failure"},
        {&publish_text.judge, "judge"},
        {&publish_text.hurry, "hurry"},
        {&publish_text.look_at, "look_at"},
        {&publish_text.attend, "attend"},
        {&publish_text.dispatch, "dispatch"},
        {&publish_text.wait_for_room, "wait_for_room"},
        {&publish_text.note_breach, "note_breach"},
        {&publish_text.take, "take"},
        {&publish_text.popleft, "popleft"},
        {&publish_text.done, "done"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if ((*names[i].place = PyUnicode_InternFromString(names[i].name)) == NULL)
            return -1;
    return 0;
}

int add_publish(PyObject *module) { return intern_names() < 0 ? -1 : add_type(module, &spec); }
