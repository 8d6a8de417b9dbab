/* The extension module `riskbus.native.hot`: the hottest paths of riskbus, compiled.

   Every function here does what a Python function of riskbus does, for the usual case, and hands every unusual one back
   to that function. So what is unusual is written and tested once, and riskbus works the same without this module. */
#include "module.h"

#include <structmember.h>

int add_type(PyObject *module, PyType_Spec *spec)
{
    PyObject *type = PyType_FromModuleAndSpec(module, spec, NULL);
    int status = type == NULL ? -1 : PyModule_AddType(module, (PyTypeObject *)type);
    Py_XDECREF(type);
    return status;
}

int64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

Py_ssize_t slot_offset(PyTypeObject *type, const char *name)
{
    PyObject *slot = PyObject_GetAttrString((PyObject *)type, name);
    Py_ssize_t offset = -1;
    if (slot != NULL && Py_IS_TYPE(slot, &PyMemberDescr_Type) &&
        ((PyMemberDescrObject *)slot)->d_member->type == T_OBJECT_EX)
        offset = ((PyMemberDescrObject *)slot)->d_member->offset;
    else
        PyErr_Format(PyExc_TypeError, "%s.%s is not a slot", type->tp_name, name);
    Py_XDECREF(slot);
    return offset;
}

int64_t as_int64(PyObject *number)
{
    int overflow;
    int64_t value = PyLong_AsLongLongAndOverflow(number, &overflow);
    return overflow > 0 ? INT64_MAX : overflow < 0 ? INT64_MIN : value;
}

int append_number(PyObject *list, int64_t value)
{
    PyObject *number = PyLong_FromLongLong(value);
    int status = number == NULL ? -1 : PyList_Append(list, number);
    Py_XDECREF(number);
    return status;
}

static int execute(PyObject *module)
{
    int (*const parts[])(PyObject *) = {add_ring,    add_append, add_stamps, add_event,  add_publish,
                                        add_latency, add_batch,  add_bell,   add_rounds, add_scan};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (parts[i](module) < 0)
            return -1;
    return 0;
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, execute},
#ifdef Py_mod_multiple_interpreters
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED},
#endif
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "riskbus.native.hot",
    .m_doc = "The hottest paths of riskbus, compiled.",
    .m_slots = slots,
};

PyMODINIT_FUNC PyInit_hot(void) { return PyModuleDef_Init(&definition); }
