/* `Publish`: what riskbus.bus.publishing.Publishing.publish does, compiled.

   An event whose type is no EventType, whose route nobody has looked up yet, or which has an inline subscriber in
   quarantine, goes to `hand_on` of that class after it was recorded. */
#include "publish.h"

#include "event.h"

PublishText publish_text;

/* An event on its way. */
typedef struct {
    PyObject *event;              /* the caller holds it */
    PyObject *event_type, *route; /* owned: a handler may change the event, and whoever subscribes the route */
    int level;
    int required;
    int64_t published_ns;
} Passage;

/* Now, or 0 where nothing is timed. */
static int64_t now_ns_for(const Publish *self) { return self->timed ? clock_ns(CLOCK_MONOTONIC) : 0; }

int tell(PyObject *object, PyObject *name, PyObject *const *args, size_t count)
{
    PyObject *stack[6] = {object};
    memcpy(stack + 1, args, count * sizeof *args);
    PyObject *none = PyObject_VectorcallMethod(name, stack, count + 1, NULL);
    Py_XDECREF(none);
    return none == NULL ? -1 : 0;
}

void count_latency(Publish *self, int path, int level, int64_t nanoseconds)
{
    Counts *counts = &self->counts[path][level];
    int bucket = 0;
    while (bucket < self->width && nanoseconds > self->bounds_ns[bucket])
        bucket++;
    counts->buckets[bucket]++;
    counts->total_ns += nanoseconds;
    counts->late += nanoseconds > self->objectives_ns[path][level];
}

/* Whether these are subscriptions, and nothing that only looks like one. */
static int are_subscriptions(const Publish *self, PyObject *inlined)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(inlined); i++)
        if (!Py_IS_TYPE(PyTuple_GET_ITEM(inlined, i), (PyTypeObject *)self->subscription))
            return 0;
    return 1;
}

/* The table entry for the event's type and the routes of now; NULL where nobody has looked the route up. */
static Known *find_route(Publish *self, PyObject *event_type)
{
    PyObject *known = *slot(self->routes, self->offset_known);
    Known *entry = self->known + ((uintptr_t)event_type >> 4) % ROUTES;
    if (entry->event_type == event_type && entry->known == known)
        return entry;
    if (known == NULL || !PyDict_CheckExact(known))
        return NULL;
    Py_INCREF(known); /* to hash an event type runs Python, where another table may take its place */
    PyObject *route = PyDict_GetItemWithError(known, event_type);
    int required = route == NULL ? -1 : PySequence_Contains(self->requirements, event_type);
    if (required < 0 || !PyTuple_Check(route) || !are_subscriptions(self, PyTuple_GET_ITEM(route, INLINE))) {
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
    if (!Py_IS_TYPE(event, events.event) || self->retired)
        return 0;
    passage->event = event;
    passage->event_type = Py_XNewRef(*slot(event, events.offset_type));
    passage->level = level_of(*slot(event, events.offset_priority));
    if (passage->event_type == NULL || !Py_IS_TYPE(passage->event_type, events.event_type) || passage->level < 0)
        return 0;
    Known *known = find_route(self, passage->event_type);
    if (known == NULL)
        return 0;
    PyObject *inlined = PyTuple_GET_ITEM(known->route, INLINE);
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(inlined); i++)
        if (*slot(PyTuple_GET_ITEM(inlined, i), self->offset_quarantined) != Py_False)
            return 0;
    passage->required = known->required;
    passage->route = Py_NewRef(known->route);
    return 1;
}

/* Begin to measure how long the record takes to become durable; one that the log refused never will be. */
static int watch_durability(Publish *self, const Passage *passage, PyObject *receipt)
{
    if (!Py_IS_TYPE(receipt, (PyTypeObject *)self->receipt))
        return PyErr_Format(PyExc_TypeError, "the log gave no receipt"), -1;
    long long seq = PyLong_AsLongLong(*slot(receipt, self->offset_seq));
    if (seq < 0)
        return PyErr_Occurred() ? -1 : 0;
    int attend = times_put(self->times, passage->level, seq, passage->published_ns);
    return attend <= 0 ? attend : tell(self->durability, publish_text.attend, &receipt, 1);
}

PyObject *call_slot(PyObject *object, Py_ssize_t offset, const char *name, PyObject *argument)
{
    PyObject *function = Py_XNewRef(*slot(object, offset));
    PyObject *args[] = {NULL, argument};
    PyObject *result = function == NULL
                           ? PyErr_Format(PyExc_AttributeError, "%s", name)
                           : PyObject_Vectorcall(function, args + 1, 1 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    Py_XDECREF(function);
    return result;
}

PyObject *note_failure(PyObject *subscription, PyObject *event, Raised *raised)
{
    PyErr_Fetch(&raised->type, &raised->error, &raised->trace);
    PyErr_NormalizeException(&raised->type, &raised->error, &raised->trace);
    if (raised->trace != NULL)
        PyException_SetTraceback(raised->error, raised->trace);
    PyObject *args[] = {subscription, event, raised->error};
    return PyObject_VectorcallMethod(publish_text.note_failure, args, 3, NULL);
}

void forget_raised(Raised *raised)
{
    Py_XDECREF(raised->type);
    Py_XDECREF(raised->error);
    Py_XDECREF(raised->trace);
}

/* Note what a handler raised, and take it back if it is an Exception; NULL with an exception where it is not. */
static PyObject *take_failure(Publish *self, Passage *passage, PyObject *subscription)
{
    int foreign = PyErr_ExceptionMatches(PyExc_Exception);
    Raised raised;
    PyObject *failure = note_failure(subscription, passage->event, &raised);
    if (!foreign)
        count_latency(self, PUBLISH, passage->level, now_ns_for(self) - passage->published_ns);
    if (foreign || failure == NULL || tell(self->log, publish_text.hurry, NULL, 0) < 0) {
        forget_raised(&raised);
        return failure;
    }
    Py_DECREF(failure);
    PyErr_Restore(raised.type, raised.error, raised.trace);
    return NULL;
}

int count_call(Publish *self, int level, PyObject *subscription, PyObject *event, int64_t hand_off_ns,
               int64_t handler_ns, PyObject *failure)
{
    count_latency(self, HAND_OFF, level, hand_off_ns);
    count_latency(self, HANDLER, level, handler_ns);
    if (hand_off_ns + handler_ns <= self->thresholds_ns[level])
        return 0;
    PyObject *hand_off = PyLong_FromLongLong(hand_off_ns), *handler = PyLong_FromLongLong(handler_ns);
    PyObject *args[] = {subscription, event, hand_off, handler, failure};
    int status = hand_off == NULL || handler == NULL ? -1 : tell(self->delivery, publish_text.judge, args, 5);
    Py_XDECREF(hand_off);
    Py_XDECREF(handler);
    return status;
}

/* Call an inline handler that is to begin now; return when it ended, or -1 with an exception. */
static int64_t deliver(Publish *self, Passage *passage, PyObject *subscription, int64_t started_ns)
{
    PyObject *result = call_slot(subscription, self->offset_handler, "handler", passage->event);
    PyObject *failure = result != NULL ? Py_NewRef(Py_None) : take_failure(self, passage, subscription);
    Py_XDECREF(result);
    if (failure == NULL)
        return -1;
    int64_t now_ns = now_ns_for(self);
    int status = count_call(self, passage->level, subscription, passage->event, started_ns - passage->published_ns,
                            now_ns - started_ns, failure);
    Py_DECREF(failure);
    return status < 0 ? -1 : now_ns;
}

/* Queue the event for subscribers elsewhere: before inline ones, as one of those may hang. Returns for whom to wait. */
static PyObject *queue(Publish *self, const Passage *passage)
{
    PyObject *queued = PyTuple_GET_ITEM(passage->route, QUEUED);
    if (PyTuple_GET_SIZE(queued) == 0)
        return Py_NewRef(Py_None);
    PyObject *published =
        PyLong_FromLongLong(passage->published_ns ? passage->published_ns : clock_ns(CLOCK_MONOTONIC));
    PyObject *args[] = {self->dispatcher, queued, passage->event, published};
    PyObject *patient = published == NULL ? NULL : PyObject_VectorcallMethod(publish_text.dispatch, args, 4, NULL);
    Py_XDECREF(published);
    return patient;
}

/* Count the whole; -1 with an exception if that fails. */
static int settle(Publish *self, const Passage *passage, int64_t took_ns)
{
    count_latency(self, PUBLISH, passage->level, took_ns);
    if (took_ns <= self->thresholds_ns[passage->level])
        return 0;
    PyObject *took = PyLong_FromLongLong(took_ns);
    PyObject *args[] = {self->path, passage->event, took};
    int status = took == NULL ? -1 : tell(self->delivery, publish_text.note_breach, args, 3);
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
    int64_t now_ns = now_ns_for(self);
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(inlined); i++)
        if ((now_ns = deliver(self, passage, PyTuple_GET_ITEM(inlined, i), now_ns)) < 0)
            return -1;
    if (passage->level == 0 && tell(self->log, publish_text.hurry, NULL, 0) < 0)
        return -1; /* afterwards: to wake another thread costs more than everything before */
    PyObject *evidence[] = {passage->event_type, passage->event};
    if (passage->required && tell(self->evidence, publish_text.look_at, evidence, 2) < 0)
        return -1;
    if (PyObject_IsTrue(patient)) {
        if (tell(self->dispatcher, publish_text.wait_for_room, &patient, 1) < 0)
            return -1;
        now_ns = now_ns_for(self);
    }
    return settle(self, passage, now_ns - passage->published_ns);
}

PyObject *publish(PyObject *callable, PyObject *const *args, size_t nargsf, PyObject *names)
{
    Publish *self = (Publish *)callable;
    if (PyVectorcall_NARGS(nargsf) + (names == NULL ? 0 : PyTuple_GET_SIZE(names)) != 1 ||
        (names != NULL && PyTuple_GET_SIZE(names) == 1 &&
         PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(names, 0), "event") != 0))
        return PyErr_Format(PyExc_TypeError, "publish() takes exactly one argument, event");
    Passage passage = {.published_ns = now_ns_for(self)};
    PyObject *receipt = call_slot(self->log, self->offset_stage, "stage", args[0]); /* a fork puts another one there */
    if (receipt == NULL)
        return NULL;
    PyObject *patient = NULL;
    int status = -1;
    if (!look_at(self, args[0], &passage)) {
        if (!PyErr_Occurred()) {
            PyObject *published = PyLong_FromLongLong(passage.published_ns);
            PyObject *rest[] = {NULL, args[0], published, receipt};
            patient = published == NULL
                          ? NULL
                          : PyObject_Vectorcall(self->hand_on, rest + 1, 3 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
            Py_XDECREF(published);
            status = patient == NULL ? -1 : 0;
        }
    } else if ((patient = queue(self, &passage)) != NULL)
        status = hand_on(self, &passage, receipt, patient);
    Py_XDECREF(patient);
    Py_XDECREF(passage.event_type);
    Py_XDECREF(passage.route);
    if (status < 0)
        Py_CLEAR(receipt);
    return receipt;
}
