/* What `rounds.c`, the turns, and `rounds_type.c`, the type, share. */
#ifndef RISKBUS_ROUNDS_H
#define RISKBUS_ROUNDS_H

#include "lines.h"

#include <poll.h>

enum {
    MOST_RECORDS = 4096, /* in a turn */
    MOST_TURNS = 256,
    MOST_DESCRIPTORS = 4,
    BUFFER = 256 * 1024,
    KINDS = 16,
    CHECKPOINT = 5, /* as in staging.py */
    DAY = 10,       /* characters of 2026-01-15 */
};

typedef struct {
    PyObject_HEAD
    Py_buffer memory;
    Ring ring;
    PyObject *bell;                         /* what to wait at, or NULL */
    struct pollfd polled[MOST_DESCRIPTORS]; /* else at these: the first is a bell, another ends the rounds */
    int polled_count;
    int64_t least_ns, rest_ns;
    char abandoned;
    /* what a call of `go` was given, and where it is */
    int descriptor;
    char day[sizeof "{\"ts\":\"" + DAY]; /* how the body of a usual record begins */
    Py_ssize_t room;                     /* bytes until the segment is full; below 1 it is */
    uint64_t next, near;                 /* numbers from `near` on may lie beside the ring */
    int64_t until_ns, seal_ns, tick_ns, turn_ns, busy_ns;
    Tree tree;
    /* what it has done */
    int turns, moment_count, error, full;
    int overdue; /* whether they should have ended before they began */
    int usual;   /* whether they ended because it was time, and not because of a record or an error */
    int64_t kinds[KINDS];
    uint64_t size;
    int64_t syncs_ns[MOST_TURNS];
    int64_t moments[MOST_TURNS][2];
    uint64_t words[MOST_RECORDS];
    uint8_t buffer[BUFFER];
} Rounds;

/* Make rounds until something ends them; needs no interpreter. */
void make_rounds(Rounds *self);

#endif
