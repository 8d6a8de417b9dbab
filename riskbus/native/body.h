/* What `append.c` asks of `body.c`. */
#ifndef RISKBUS_BODY_H
#define RISKBUS_BODY_H

#include "module.h"
#include "ring.h"

/* The body of a record. */
typedef struct {
    int level; /* its event's priority */
    size_t length;
    PyObject *bytes; /* has the text where it is longer than the room below, else NULL */
    char text[RING_ROOM];
} Body;

/* Serialise an event as `format.record.encode_event` does. `payloads` is a list that nobody else has: a place for the
   data, what becomes a line feed, and a place for the metadata. Returns 1, or 0 if the event is not as usual, or -1
   with an exception. */
int make_body(Body *body, PyObject *event, PyObject *payloads, PyObject *dumps, PyObject *as_json);

#endif
