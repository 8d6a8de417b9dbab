/* What riskbus.bus.delivery.Delivery.call_next does, compiled: the oldest event of a queue to its handler. */
#include "event.h"
#include "publish.h"

enum { EVENT, PUBLISHED_NS, SIZE, COMPLETION, ITEM }; /* as riskbus.bus.mailbox.Item has them */

/* Let a slot have another object, of which this is the only reference; -1 with an exception if there is none. */
static int put(PyObject **place, PyObject *object)
{
    if (object == NULL)
        return -1;
    Py_XSETREF(*place, object);
    return 0;
}

/* The oldest item; None if nothing waits, NULL with an exception if it cannot be had. */
static PyObject *take(const MailboxOffsets *offsets, PyObject *mailbox)
{
    PyObject *waiting = *slot(mailbox, offsets->waiting), **size = slot(mailbox, offsets->size);
    Py_ssize_t events = PyObject_Size(waiting), blocked = PyObject_Size(*slot(mailbox, offsets->blocked));
    if (events < 0 || blocked < 0)
        return NULL;
    if (events == 0)
        return Py_NewRef(Py_None);
    if (blocked > 0) /* whoever waits for room has to be let in */
        return PyObject_CallMethodNoArgs(mailbox, publish_text.take);
    PyObject *item = PyObject_CallMethodNoArgs(waiting, publish_text.popleft);
    if (item != NULL && (!PyTuple_Check(item) || PyTuple_GET_SIZE(item) != ITEM)) {
        PyErr_Format(PyExc_TypeError, "%R is no item of a mailbox", item);
        Py_CLEAR(item);
    }
    if (item != NULL && put(size, PyNumber_Subtract(*size, PyTuple_GET_ITEM(item, SIZE))) < 0)
        Py_CLEAR(item);
    return item;
}

/* Call the handler; what it raised as text, None if it did not, NULL with an exception if even that fails. */
static PyObject *call_handler(const Publish *self, PyObject *subscription, PyObject *event)
{
    PyObject *result = call_slot(subscription, self->offset_handler, "handler", event);
    if (result != NULL) {
        Py_DECREF(result);
        return Py_NewRef(Py_None);
    }
    Raised raised;
    PyObject *failure = note_failure(subscription, event, &raised); /* sys.exit() must not end the worker either */
    forget_raised(&raised);
    return failure;
}

/* Handle an item that was taken; -1 with an exception if that fails. */
static int handle(Publish *self, PyObject *mailbox, PyObject *subscription, PyObject *item)
{
    const MailboxOffsets *offsets = &self->mailbox_offsets;
    PyObject *event = PyTuple_GET_ITEM(item, EVENT), *completion = PyTuple_GET_ITEM(item, COMPLETION);
    int level = level_of(*slot(mailbox, offsets->priority));
    int64_t published_ns = as_int64(PyTuple_GET_ITEM(item, PUBLISHED_NS)), started_ns = clock_ns(CLOCK_MONOTONIC);
    if (level < 0)
        return PyErr_Format(PyExc_TypeError, "%R has no priority", mailbox), -1;
    if (PyErr_Occurred() || put(slot(mailbox, offsets->since_ns), PyLong_FromLongLong(started_ns)) < 0)
        return -1;
    put(slot(mailbox, offsets->in_hand), Py_NewRef(item));
    PyObject *failure = call_handler(self, subscription, event);
    if (failure == NULL)
        return -1;
    int64_t ended_ns = clock_ns(CLOCK_MONOTONIC);
    int status =
        count_call(self, level, subscription, event, started_ns - published_ns, ended_ns - started_ns, failure);
    Py_DECREF(failure);
    if (status < 0)
        return -1;
    put(slot(mailbox, offsets->in_hand), Py_NewRef(Py_None));
    return completion == Py_None ? 0 : tell(completion, publish_text.done, NULL, 0);
}

PyObject *call_next(PyObject *publish, PyObject *mailbox)
{
    Publish *self = (Publish *)publish;
    if (!Py_IS_TYPE(mailbox, (PyTypeObject *)self->mailbox))
        return PyErr_Format(PyExc_TypeError, "%R is no mailbox", mailbox);
    PyObject *item = take(&self->mailbox_offsets, mailbox);
    if (item == NULL || item == Py_None) {
        Py_XDECREF(item);
        return item == NULL ? NULL : Py_NewRef(Py_False);
    }
    PyObject *subscription = Py_XNewRef(*slot(mailbox, self->mailbox_offsets.subscription));
    int status = subscription == NULL ? -1 : handle(self, mailbox, subscription, item);
    Py_XDECREF(subscription);
    Py_DECREF(item);
    return status < 0 ? NULL : Py_NewRef(Py_True);
}
