/* What the other parts know of `riskbus.events.RiskEvent`: one for the process, from `make_events`. */
#ifndef RISKBUS_EVENT_H
#define RISKBUS_EVENT_H

#include "module.h"

enum { LEVEL_NAME = 16 };

typedef struct {
    PyTypeObject *event;      /* RiskEvent */
    PyTypeObject *event_type; /* EventType, whose members are their names */
    PyTypeObject *priority;   /* EventPriority */
    PyObject *name_of;        /* events.event_type_name */
    struct {
        char text[LEVEL_NAME];
        size_t length;
    } level_names[PRIORITIES];
    Py_ssize_t offset_type, offset_priority, offset_source, offset_data, offset_metadata, offset_id, offset_time;
} Events;

extern Events events;

/* The number of an EventPriority; -1 if it is none. */
static inline int level_of(PyObject *priority)
{
    return priority != NULL && Py_IS_TYPE(priority, events.priority) ? (int)PyLong_AsLong(priority) : -1;
}

#endif
