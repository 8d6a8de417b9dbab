/* What the parts of the extension module `riskbus.native.hot` share. */
#ifndef RISKBUS_MODULE_H
#define RISKBUS_MODULE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <time.h>

enum { PRIORITIES = 4, MOST_BOUNDS = 64 /* of latency buckets */ };

/* Each part adds what it has to the module; -1 with an exception where that fails. */
int add_ring(PyObject *module);
int add_append(PyObject *module);
int add_stamps(PyObject *module);
int add_event(PyObject *module);
int add_publish(PyObject *module);
int add_latency(PyObject *module);
int add_batch(PyObject *module);
int add_scan(PyObject *module);
int add_bell(PyObject *module);
int add_rounds(PyObject *module);

/* Add a type of this module; -1 with an exception where that fails. */
int add_type(PyObject *module, PyType_Spec *spec);

/* What a clock of the system says, in nanoseconds. */
int64_t clock_ns(clockid_t clock);

/* Where an instance of this class has the slot with this name, or -1 with an exception. */
Py_ssize_t slot_offset(PyTypeObject *type, const char *name);

/* The slot at such an offset. */
static inline PyObject **slot(void *object, Py_ssize_t offset) { return (PyObject **)((char *)object + offset); }

/* A number that is too large for 64 bits as the largest one. */
int64_t as_int64(PyObject *number);

/* Append a number to a list; -1 with an exception where that fails. */
int append_number(PyObject *list, int64_t number);

/* Note in a `Times` when a record was published; 1 if somebody has to attend to it, -1 with an exception. */
int times_put(PyObject *times, int level, int64_t seq, int64_t published_ns);

/* Whether an object is a `Bell`. */
int is_bell(PyObject *object);

/* Wait until someone rings, or for so long; neither needs the interpreter. */
void bell_wait(PyObject *bell, int64_t nanoseconds);

#endif
