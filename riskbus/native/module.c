/* The extension module `riskbus.native.hot`: the hottest paths of riskbus, compiled.

   Every function here does what a Python function of riskbus does, for the usual case, and hands every unusual one back
   to that function. So what is unusual is written and tested once, and riskbus works the same without this module. */
#include "module.h"

#include <structmember.h>

Py_ssize_t slot_offset(PyTypeObject *type, const char *name)
{
    PyObject *slot = PyDict_GetItemString(type->tp_dict, name);
    if (slot == NULL || !Py_IS_TYPE(slot, &PyMemberDescr_Type) ||
        ((PyMemberDescrObject *)slot)->d_member->type != T_OBJECT_EX) {
        PyErr_Format(PyExc_TypeError, "%s.%s is not a slot", type->tp_name, name);
        return -1;
    }
    return ((PyMemberDescrObject *)slot)->d_member->offset;
}

static int execute(PyObject *module)
{
    return add_ring(module) < 0 || add_append(module) < 0 ? -1 : 0;
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, execute}, {0, NULL}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "riskbus.native.hot",
    .m_doc = "The hottest paths of riskbus, compiled.",
    .m_slots = slots,
};

PyMODINIT_FUNC PyInit_hot(void) { return PyModuleDef_Init(&definition); }
