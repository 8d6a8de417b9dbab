/* What `publish.c`, the way of an event, `call_next.c`, its way out of a queue, and `publish_type.c`, the type, share.
 */
#ifndef RISKBUS_PUBLISH_H
#define RISKBUS_PUBLISH_H

#include "module.h"

#include <stddef.h>

enum { ROUTES = 64 };
enum { INLINE, QUEUED, WATCHED };           /* of a route */
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

/* Where a mailbox has its slots. */
typedef struct {
    Py_ssize_t waiting, blocked, size, in_hand, since_ns, priority, subscription;
} MailboxOffsets;

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
    PyObject *path;                             /* LatencyPath.PUBLISH */
    PyObject *receipt, *subscription, *mailbox; /* the classes */
    Py_ssize_t offset_stage, offset_seq, offset_known, offset_quarantined, offset_handler;
    MailboxOffsets mailbox_offsets;
    char timed, retired;
    int width; /* of the buckets, without the last */
    int64_t bounds_ns[MOST_BOUNDS];
    int64_t objectives_ns[PATHS][PRIORITIES], thresholds_ns[PRIORITIES];
    Counts counts[PATHS][PRIORITIES];
    Known known[ROUTES];
} Publish;

/* Names of attributes, interned. */
typedef struct {
    PyObject *note_failure, *judge, *hurry, *look_at, *attend, *dispatch, *wait_for_room, *note_breach, *take, *popleft,
        *done;
} PublishText;

extern PublishText publish_text;

/* The vectorcall function of a `Publish`. */
PyObject *publish(PyObject *callable, PyObject *const *args, size_t nargsf, PyObject *names);

/* What `Delivery.call_next` does, as a method of a `Publish`. */
PyObject *call_next(PyObject *publish, PyObject *mailbox);

/* Call a method whose result says nothing; -1 with an exception if it raises. */
int tell(PyObject *object, PyObject *name, PyObject *const *args, size_t count);

/* Call what a slot with this name holds, which may be replaced or deleted meanwhile. */
PyObject *call_slot(PyObject *object, Py_ssize_t offset, const char *name, PyObject *argument);

/* Count a latency of a path and priority. */
void count_latency(Publish *self, int path, int level, int64_t nanoseconds);

/* Count a call of a handler, and have it judged if it is to be; -1 with an exception if that fails. */
int count_call(Publish *self, int level, PyObject *subscription, PyObject *event, int64_t hand_off_ns,
               int64_t handler_ns, PyObject *failure);

/* What a handler raised. */
typedef struct {
    PyObject *type, *error, *trace;
} Raised;

/* Take the exception that is set and have it noted; returns its text, or NULL with an exception. */
PyObject *note_failure(PyObject *subscription, PyObject *event, Raised *raised);
void forget_raised(Raised *raised);

#endif
