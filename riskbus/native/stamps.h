/* Identifiers and times of records: what `stamps.c` has for the other parts. */
#ifndef RISKBUS_STAMPS_H
#define RISKBUS_STAMPS_H

#include "module.h"

enum { TIMESTAMP = 24 /* 2026-01-15T08:00:00.000Z */, NANOSECONDS = 19 /* digits, from 2001 to 2262 */ };

/* A new identifier for an event at this time; NULL with an exception if that fails. */
PyObject *new_id(int64_t now_ns);

/* Put down a time as RFC 3339 has it, and as the number that it is; -1 with an exception if that fails. It has to be
   in those years. */
int put_time(int64_t time_ns, char timestamp[static TIMESTAMP], char nanoseconds[static NANOSECONDS]);

/* The first nanosecond of those years. */
static const int64_t FIRST_TIME_NS = INT64_C(1000000000000000000);

#endif
