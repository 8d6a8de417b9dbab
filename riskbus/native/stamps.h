/* What `event.c` asks of `stamps.c`. */
#ifndef RISKBUS_STAMPS_H
#define RISKBUS_STAMPS_H

#include "module.h"

/* Make the stamps of an event that happens now, new references; an identifier that is there already stays. -1 with an
   exception if that fails. */
int stamp(int64_t now_ns, PyObject **timestamp, PyObject **id);

#endif
