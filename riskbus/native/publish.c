/* `Publish`: what riskbus.bus.publishing.Publishing.publish does, compiled.

   An event whose type is no EventType, whose route nobody has looked up yet, or which has an inline subscriber in
   quarantine, goes to `hand_on` of that class after it was recorded. */
#include "module.h"

#include <structmember.h>
#include <time.h>

enum { ROUTES = 64 };
enum { INLINE, QUEUED, WATCHED };            /* of a route */
enum { PUBLISH, HAND_OFF, HANDLER, PATHS }; /* as LatencyPath has them */

/* A route that was looked up: to hash a member of an enum is a call of Python. */
typedef struct {
    PyObject *event_type;
    PyObject *known; /* the table that it is from; another one has taken its place since when someone subscribed */
    PyObject *route;
    int required; /* whether an auditor asks for more of such an event */
} Known;

/* Latencies of a path and priority since the last `drain`. */
typedef struct {
    int64_t buckets[MOST_BOUNDS + 1];
    int64_t total_ns, late;
} Counts;

typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    PyObject *log;
    PyObject *hand_on; /* (event, published_ns, receipt) -> receipt */
    PyObject *routes;
    PyObject *dispatcher;
    PyObject *delivery;
    PyObject *durability; /* or None */
    PyObject *times;      /* of durability, or None */
    PyObject *evidence;
    PyObject *requirements;
    PyObject *path;                         /* LatencyPath.PUBLISH */
    PyObject *event, *event_type, *receipt; /* the classes */
    Py_ssize_t offset_type, offset_priority, offset_seq;
    char timed, closed;
    int width; /* of the buckets, without the last */
    int64_t bounds_ns[MOST_BOUNDS];
    int64_t objectives_ns[PATHS][PRIORITIES], thresholds_ns[PRIORITIES];
    Counts counts[PATHS][PRIORITIES];
    Known known[ROUTES];
} Publish;

enum { PARTS = (offsetof(Publish, offset_type) - offsetof(Publish, log)) / sizeof(PyObject *) };

/* The objects of its own that it holds, in the order of the struct and of what `new` is given. */
static PyObject **parts(Publish *self) { return &self->log; }

static struct {
    PyObject *stage, *known, *quarantined, *handler, *note_failure, *judge, *hurry, *look_at, *attend, *dispatch,
        *wait_for_room, *note_breach;
} text;

/* An event on its way. */
typedef struct {
    PyObject *event, *event_type, *priority; /* the caller holds them */
    PyObject *route;                         /* owned */
    int level;
    int required;
    int64_t published_ns;
} Passage;

static int64_t clock_ns(const Publish *self)
{
    struct timespec now = {0, 0};
    if (self->timed)
        clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* Call a method whose result says nothing; -1 with an exception if it raises. */
static int tell(PyObject *object, PyObject *name, PyObject *const *args, size_t count)
{
    PyObject *stack[6] = {object};
    memcpy(stack + 1, args, count * sizeof *args);
    PyObject *none = PyObject_VectorcallMethod(name, stack, count + 1, NULL);
    Py_XDECREF(none);
    return none == NULL ? -1 : 0;
}

static void count(Publish *self, int path, const Passage *passage, int64_t nanoseconds)
{
    Counts *counts = &self->counts[path][passage->level];
    int bucket = 0;
    while (bucket < self->width && nanoseconds > self->bounds_ns[bucket])
        bucket++;
    counts->buckets[bucket]++;
    counts->total_ns += nanoseconds;
    counts->late += nanoseconds > self->objectives_ns[path][passage->level];
}

/* Whether the attribute is True; -1 with an exception if there is none. */
static int is_set(PyObject *object, PyObject *name)
{
    PyObject *value = PyObject_GetAttr(object, name);
    Py_XDECREF(value);
    return value == NULL ? -1 : value == Py_True;
}

/* The table entry for the event's type and the routes of now; NULL where nobody has looked the route up. */
static Known *find_route(Publish *self, PyObject *event_type)
{
    PyObject *known = PyObject_GetAttr(self->routes, text.known);
    if (known == NULL)
        return NULL;
    Known *entry = self->known + ((uintptr_t)event_type >> 4) % ROUTES;
    if (entry->event_type == event_type && entry->known == known) {
        Py_DECREF(known);
        return entry;
    }
    PyObject *route = PyDict_CheckExact(known) ? PyDict_GetItemWithError(known, event_type) : NULL;
    int required = route == NULL ? -1 : PySequence_Contains(self->requirements, event_type);
    if (required < 0 || !PyTuple_Check(route)) {
        Py_DECREF(known);
        return NULL;
    }
    Py_XSETREF(entry->route, Py_NewRef(route));
    Py_XSETREF(entry->event_type, Py_NewRef(event_type));
    Py_XSETREF(entry->known, known);
    entry->required = required;
    return entry;
}

/* Whether the event is a usual one; 0 without an exception if it is not. */
static int look_at(Publish *self, PyObject *event, Passage *passage)
{
    if (!Py_IS_TYPE(event, (PyTypeObject *)self->event) || self->closed)
        return 0;
    passage->event = event;
    passage->event_type = *(PyObject **)((char *)event + self->offset_type);
    passage->priority = *(PyObject **)((char *)event + self->offset_priority);
    if (passage->event_type == NULL || passage->priority == NULL ||
        !Py_IS_TYPE(passage->event_type, (PyTypeObject *)self->event_type))
        return 0;
    long level = PyLong_AsLong(passage->priority);
    Known *known = level < 0 || level >= PRIORITIES ? NULL : find_route(self, passage->event_type);
    if (known == NULL)
        return 0;
    PyObject *inlined = PyTuple_GET_ITEM(known->route, INLINE);
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(inlined); i++)
        if (is_set(PyTuple_GET_ITEM(inlined, i), text.quarantined) != 0)
            return 0;
    passage->level = (int)level;
    passage->required = known->required;
    passage->route = Py_NewRef(known->route);
    return 1;
}

/* Begin to measure how long the record takes to become durable; one that the log refused never will be. */
static int watch_durability(Publish *self, const Passage *passage, PyObject *receipt)
{
    if (!Py_IS_TYPE(receipt, (PyTypeObject *)self->receipt))
        return PyErr_Format(PyExc_TypeError, "the log gave no receipt"), -1;
    long long seq = PyLong_AsLongLong(*(PyObject **)((char *)receipt + self->offset_seq));
    if (seq < 0)
        return PyErr_Occurred() ? -1 : 0;
    int attend = times_put(self->times, passage->level, seq, passage->published_ns);
    return attend <= 0 ? attend : tell(self->durability, text.attend, &receipt, 1);
}

/* Note what a handler raised, and take it back if it is an Exception; NULL with an exception where it is not. */
static PyObject *take_failure(Publish *self, Passage *passage, PyObject *subscription)
{
    int foreign = PyErr_ExceptionMatches(PyExc_Exception);
    PyObject *type, *error, *trace;
    PyErr_Fetch(&type, &error, &trace);
    PyErr_NormalizeException(&type, &error, &trace);
    if (trace != NULL)
        PyException_SetTraceback(error, trace);
    PyObject *args[] = {subscription, passage->event, error};
    PyObject *failure = PyObject_VectorcallMethod(text.note_failure, args, 3, NULL);
    if (!foreign)
        count(self, PUBLISH, passage, clock_ns(self) - passage->published_ns);
    if (foreign || failure == NULL || tell(self->log, text.hurry, NULL, 0) < 0) {
        Py_XDECREF(type);
        Py_XDECREF(error);
        Py_XDECREF(trace);
        return failure;
    }
    Py_DECREF(failure);
    PyErr_Restore(type, error, trace);
    return NULL;
}

static int judge(Publish *self, const Passage *passage, PyObject *subscription, int64_t hand_off_ns,
                 int64_t handler_ns, PyObject *failure)
{
    PyObject *hand_off = PyLong_FromLongLong(hand_off_ns), *handler = PyLong_FromLongLong(handler_ns);
    PyObject *args[] = {subscription, passage->event, hand_off, handler, failure};
    int status = hand_off == NULL || handler == NULL ? -1 : tell(self->delivery, text.judge, args, 5);
    Py_XDECREF(hand_off);
    Py_XDECREF(handler);
    return status;
}

/* Call an inline handler that is to begin now; return when it ended, or -1 with an exception. */
static int64_t deliver(Publish *self, Passage *passage, PyObject *subscription, int64_t started_ns)
{
    PyObject *handler = PyObject_GetAttr(subscription, text.handler);
    if (handler == NULL)
        return -1;
    PyObject *args[] = {NULL, passage->event};
    PyObject *result = PyObject_Vectorcall(handler, args + 1, 1 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    Py_DECREF(handler);
    PyObject *failure = result != NULL ? Py_NewRef(Py_None) : take_failure(self, passage, subscription);
    Py_XDECREF(result);
    if (failure == NULL)
        return -1;
    int64_t now_ns = clock_ns(self);
    count(self, HAND_OFF, passage, started_ns - passage->published_ns);
    count(self, HANDLER, passage, now_ns - started_ns);
    int status = 0;
    if (now_ns - passage->published_ns > self->thresholds_ns[passage->level])
        status = judge(self, passage, subscription, started_ns - passage->published_ns, now_ns - started_ns, failure);
    Py_DECREF(failure);
    return status < 0 ? -1 : now_ns;
}

/* Queue the event for subscribers elsewhere: before inline ones, as one of those may hang. Returns for whom to wait. */
static PyObject *queue(Publish *self, const Passage *passage)
{
    PyObject *queued = PyTuple_GET_ITEM(passage->route, QUEUED);
    if (PyTuple_GET_SIZE(queued) == 0)
        return Py_NewRef(Py_None);
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t now_ns = now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
    PyObject *published = PyLong_FromLongLong(passage->published_ns ? passage->published_ns : now_ns);
    PyObject *args[] = {self->dispatcher, queued, passage->event, published};
    PyObject *patient = published == NULL ? NULL : PyObject_VectorcallMethod(text.dispatch, args, 4, NULL);
    Py_XDECREF(published);
    return patient;
}

/* Count the whole; -1 with an exception if that fails. */
static int settle(Publish *self, const Passage *passage, int64_t took_ns)
{
    count(self, PUBLISH, passage, took_ns);
    if (took_ns <= self->thresholds_ns[passage->level])
        return 0;
    PyObject *took = PyLong_FromLongLong(took_ns);
    PyObject *args[] = {self->path, passage->event, took};
    int status = took == NULL ? -1 : tell(self->delivery, text.note_breach, args, 3);
    Py_XDECREF(took);
    return status;
}

/* What comes after the event was recorded. */
static int hand_on(Publish *self, Passage *passage, PyObject *receipt, PyObject *patient)
{
    if (PyTuple_GET_ITEM(passage->route, WATCHED) == Py_True && self->durability != Py_None &&
        watch_durability(self, passage, receipt) < 0)
        return -1;
    PyObject *inlined = PyTuple_GET_ITEM(passage->route, INLINE);
    int64_t now_ns = clock_ns(self);
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(inlined); i++)
        if ((now_ns = deliver(self, passage, PyTuple_GET_ITEM(inlined, i), now_ns)) < 0)
            return -1;
    if (passage->level == 0 && tell(self->log, text.hurry, NULL, 0) < 0)
        return -1; /* afterwards: to wake another thread costs more than everything before */
    PyObject *evidence[] = {passage->event_type, passage->event};
    if (passage->required && tell(self->evidence, text.look_at, evidence, 2) < 0)
        return -1;
    if (PyObject_IsTrue(patient)) {
        if (tell(self->dispatcher, text.wait_for_room, &patient, 1) < 0)
            return -1;
        now_ns = clock_ns(self);
    }
    return settle(self, passage, now_ns - passage->published_ns);
}

static PyObject *publish(PyObject *callable, PyObject *const *args, size_t nargsf, PyObject *names)
{
    Publish *self = (Publish *)callable;
    if (PyVectorcall_NARGS(nargsf) + (names == NULL ? 0 : PyTuple_GET_SIZE(names)) != 1 ||
        (names != NULL && PyTuple_GET_SIZE(names) == 1 &&
         PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(names, 0), "event") != 0))
        return PyErr_Format(PyExc_TypeError, "publish() takes exactly one argument, event");
    Passage passage = {.published_ns = clock_ns(self)};
    PyObject *stage[] = {self->log, args[0]};
    PyObject *receipt = PyObject_VectorcallMethod(text.stage, stage, 2, NULL);
    if (receipt == NULL)
        return NULL;
    PyObject *patient = NULL;
    int status = -1;
    if (!look_at(self, args[0], &passage)) {
        if (!PyErr_Occurred()) {
            PyObject *published = PyLong_FromLongLong(passage.published_ns);
            PyObject *rest[] = {NULL, args[0], published, receipt};
            patient = published == NULL ? NULL
                                        : PyObject_Vectorcall(self->hand_on, rest + 1,
                                                              3 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
            Py_XDECREF(published);
            status = patient == NULL ? -1 : 0;
        }
    } else if ((patient = queue(self, &passage)) != NULL)
        status = hand_on(self, &passage, receipt, patient);
    Py_XDECREF(patient);
    Py_XDECREF(passage.route);
    if (status < 0)
        Py_CLEAR(receipt);
    return receipt;
}

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

static PyObject *new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"log",      "hand_on",      "routes", "dispatcher", "delivery",   "durability", "times",
                            "evidence", "requirements", "path",   "event",      "event_type", "receipt",    "bounds_ns",
                            "timed",    NULL};
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
    self->offset_type = slot_offset((PyTypeObject *)self->event, "event_type");
    self->offset_priority = slot_offset((PyTypeObject *)self->event, "priority");
    self->offset_seq = slot_offset((PyTypeObject *)self->receipt, "seq");
    if (self->offset_type < 0 || self->offset_priority < 0 || self->offset_seq < 0 ||
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
    {"closed", T_BOOL, offsetof(Publish, closed), 0, "Whether the bus is."},
    {NULL},
};

static PyMethodDef methods[] = {
    {"judge_by", judge_by, METH_VARARGS,
     "judge_by(objectives_ns, thresholds_ns, /)\n--\n\nJudge by these from now on: objectives by path and priority, and "
     "by priority what is to be told to `delivery.judge`."},
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
        {&text.stage, "stage"},
        {&text.known, "known"},
        {&text.quarantined, "quarantined"},
        {&text.handler, "handler"},
        {&text.note_failure, "note_failure"},
        {&text.judge, "judge"},
        {&text.hurry, "hurry"},
        {&text.look_at, "look_at"},
        {&text.attend, "attend"},
        {&text.dispatch, "dispatch"},
        {&text.wait_for_room, "wait_for_room"},
        {&text.note_breach, "note_breach"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if ((*names[i].place = PyUnicode_InternFromString(names[i].name)) == NULL)
            return -1;
    return 0;
}

int add_publish(PyObject *module)
{
    PyObject *type = intern_names() < 0 ? NULL : PyType_FromModuleAndSpec(module, &spec, NULL);
    int status = type == NULL ? -1 : PyModule_AddType(module, (PyTypeObject *)type);
    Py_XDECREF(type);
    return status;
}
