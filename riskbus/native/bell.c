/* `Bell`: what riskbus.runtime.feed.LockBell is, for a writer that waits without the interpreter.

   Source: futex(2); its timeout goes by the monotonic clock. */
#include "module.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

typedef struct {
    PyObject_HEAD
    uint32_t rung, waiting;
} Bell;

static PyTypeObject *bell_type;

int is_bell(PyObject *object) { return Py_IS_TYPE(object, bell_type); }

void bell_wait(PyObject *object, int64_t nanoseconds)
{
    Bell *self = (Bell *)object;
    struct timespec wait = {.tv_sec = nanoseconds / 1000000000, .tv_nsec = nanoseconds % 1000000000};
    __atomic_store_n(&self->waiting, 1, __ATOMIC_SEQ_CST); /* first: who rings from now on wakes */
    if (!__atomic_load_n(&self->rung, __ATOMIC_SEQ_CST))
        syscall(SYS_futex, &self->rung, FUTEX_WAIT_PRIVATE, 0, &wait, NULL, 0);
    __atomic_store_n(&self->waiting, 0, __ATOMIC_SEQ_CST);
    __atomic_store_n(&self->rung, 0, __ATOMIC_SEQ_CST);
}

static PyObject *ring(PyObject *object, PyObject *Py_UNUSED(none))
{
    Bell *self = (Bell *)object;
    if (!__atomic_exchange_n(&self->rung, 1, __ATOMIC_SEQ_CST) && __atomic_load_n(&self->waiting, __ATOMIC_SEQ_CST))
        syscall(SYS_futex, &self->rung, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    Py_RETURN_NONE;
}

static PyObject *wait_python(PyObject *object, PyObject *seconds)
{
    double wanted = PyFloat_AsDouble(seconds);
    if (PyErr_Occurred())
        return NULL;
    Py_BEGIN_ALLOW_THREADS;
    bell_wait(object, wanted < 0 ? 0 : wanted > 1e9 ? INT64_MAX / 2 : (int64_t)(wanted * 1e9));
    Py_END_ALLOW_THREADS;
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"ring", ring, METH_NOARGS, "ring()\n--\n\nEnd the wait, or the next one. Any thread; does not block."},
    {"wait", wait_python, METH_O, "wait(seconds, /)\n--\n\nWait until someone rings, or for so long. One thread only."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot type_slots[] = {
    {Py_tp_doc, "Ends the wait of a writer in this process."},
    {Py_tp_methods, methods},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "riskbus.native.hot.Bell",
    .basicsize = sizeof(Bell),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = type_slots,
};

int add_bell(PyObject *module)
{
    bell_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &spec, NULL);
    return bell_type == NULL ? -1 : PyModule_AddType(module, bell_type);
}
