/* What the layout of a ring is here, for the tests that compare it with ring.py. */
#include "module.h"

#include "ring.h"

int add_ring(PyObject *module)
{
    PyObject *layout =
        Py_BuildValue("{s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:(ii)}", "SIZE", RING_HEADER,
                      "SLOT", RING_SLOT, "ANNEX", RING_ANNEX, "NEAR", RING_NEAR, "ROOM", RING_ROOM, "SHIFT", RING_SHIFT,
                      "_KIND_SHIFT", RING_KIND_SHIFT, "released", RING_RELEASED, "alive_ns", RING_ALIVE, "stop_ns",
                      RING_STOP, "awaited", RING_AWAITED, "overflowing", RING_OVERFLOWING, "spilled", RING_SPILLED,
                      "WAITING", RING_WAITING, "LISTENING", RING_LISTENING, "_EDGES", RING_EDGE, RING_OTHER_EDGE);
    int status = layout == NULL ? -1 : PyModule_AddObjectRef(module, "LAYOUT", layout);
    Py_XDECREF(layout);
    return status;
}
