/* What the parts of the extension module `riskbus.native.hot` share. */
#ifndef RISKBUS_MODULE_H
#define RISKBUS_MODULE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>

/* Each part adds what it has to the module; -1 with an exception where that fails. */
int add_ring(PyObject *module);
int add_append(PyObject *module);

/* Where an instance of this class has the slot with this name, or -1 with an exception. */
Py_ssize_t slot_offset(PyTypeObject *type, const char *name);

#endif
