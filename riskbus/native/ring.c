/* What the layout of a ring is here, for the tests that compare it with ring.py. */
#include "module.h"

#include "ring.h"

int add_ring(PyObject *module)
{
    PyObject *layout =
        Py_BuildValue("{sisisisisisisi}", "SIZE", RING_HEADER, "SLOT", RING_SLOT, "ANNEX", RING_ANNEX, "NEAR",
                      RING_NEAR, "ROOM", RING_ROOM, "_SHIFT", RING_SHIFT, "_KIND_SHIFT", RING_KIND_SHIFT);
    int status = layout == NULL ? -1 : PyModule_AddObjectRef(module, "LAYOUT", layout);
    Py_XDECREF(layout);
    return status;
}
