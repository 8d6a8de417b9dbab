/* `make_events`: has `RiskEvent(…)` made here, where all its arguments are as usual.

   What is unusual (a subclass, a time that was given, an argument that is wrong) goes to RiskEvent.__init__. */
#include "event.h"
#include "stamps.h"

enum { EVENT_TYPE, PRIORITY, SOURCE, DATA, METADATA, EVENT_ID, TIMESTAMP_NS, PARAMETERS };

static const char *const parameters[PARAMETERS] = {"event_type", "priority", "source",      "data",
                                                   "metadata",   "event_id", "timestamp_ns"};

Events events; /* one for the process, as a class's vectorcall function is given nothing but the class */
static PyObject *parameter_names[PARAMETERS];

static PyObject *make_slowly(PyObject *callable, PyObject *const *args, size_t nargsf, PyObject *names)
{
    Py_ssize_t count = PyVectorcall_NARGS(nargsf);
    PyObject *result = NULL, *keywords = NULL;
    PyObject *positional = PyTuple_New(count);
    if (positional == NULL)
        return NULL;
    for (Py_ssize_t i = 0; i < count; i++)
        PyTuple_SET_ITEM(positional, i, Py_NewRef(args[i]));
    if (names != NULL && (keywords = PyDict_New()) == NULL)
        goto end;
    for (Py_ssize_t i = 0; names != NULL && i < PyTuple_GET_SIZE(names); i++)
        if (PyDict_SetItem(keywords, PyTuple_GET_ITEM(names, i), args[count + i]) < 0)
            goto end;
    result = PyType_Type.tp_call(callable, positional, keywords);
end:
    Py_XDECREF(keywords);
    Py_DECREF(positional);
    return result;
}

/* Put borrowed references to the arguments where their parameters are; 0 if they are not as usual. */
static int sort_arguments(PyObject **found, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    if (count > PARAMETERS)
        return 0;
    for (Py_ssize_t i = 0; i < PARAMETERS; i++)
        found[i] = i < count && args[i] != Py_None ? args[i] : NULL;
    for (Py_ssize_t i = 0; names != NULL && i < PyTuple_GET_SIZE(names); i++) {
        Py_ssize_t place = count;
        while (place < PARAMETERS && parameter_names[place] != PyTuple_GET_ITEM(names, i))
            place++;
        if (place == PARAMETERS)
            return 0; /* given twice, or not interned, or no parameter */
        found[place] = args[count + i] != Py_None ? args[count + i] : NULL;
    }
    return found[EVENT_TYPE] && found[PRIORITY] && found[SOURCE] && !found[TIMESTAMP_NS] &&
           Py_IS_TYPE(found[PRIORITY], events.priority);
}

static PyObject *or_empty(PyObject *payload) { return payload != NULL ? Py_NewRef(payload) : PyDict_New(); }

/* Whether this may be the type of an event; -1 with an exception if it may not. */
static int check_event_type(PyObject *event_type)
{
    if (Py_IS_TYPE(event_type, events.event_type))
        return 0;
    PyObject *name = PyObject_CallOneArg(events.name_of, event_type);
    Py_XDECREF(name);
    return name == NULL ? -1 : 0;
}

/* The event; NULL with an exception if something is not as usual after all. */
static PyObject *make_event(PyObject *const *found)
{
    int64_t now_ns = clock_ns(CLOCK_REALTIME);
    if (check_event_type(found[EVENT_TYPE]) < 0)
        return NULL;
    PyObject *event = events.event->tp_alloc(events.event, 0);
    if (event == NULL)
        return NULL;
    PyObject *id = *slot(event, events.offset_id) = found[EVENT_ID] ? Py_NewRef(found[EVENT_ID]) : new_id(now_ns);
    PyObject *time = *slot(event, events.offset_time) = PyLong_FromLongLong(now_ns);
    PyObject *data = *slot(event, events.offset_data) = or_empty(found[DATA]);
    PyObject *metadata = *slot(event, events.offset_metadata) = or_empty(found[METADATA]);
    *slot(event, events.offset_type) = Py_NewRef(found[EVENT_TYPE]);
    *slot(event, events.offset_priority) = Py_NewRef(found[PRIORITY]);
    *slot(event, events.offset_source) = Py_NewRef(found[SOURCE]);
    if (id == NULL || time == NULL || data == NULL || metadata == NULL)
        Py_CLEAR(event);
    return event;
}

static PyObject *make(PyObject *callable, PyObject *const *args, size_t nargsf, PyObject *names)
{
    PyObject *found[PARAMETERS];
    if ((PyTypeObject *)callable != events.event || !sort_arguments(found, args, PyVectorcall_NARGS(nargsf), names))
        return make_slowly(callable, args, nargsf, names);
    PyObject *event = make_event(found);
    if (event != NULL || !PyErr_ExceptionMatches(PyExc_Exception))
        return event; /* or a signal handler interrupted it */
    PyErr_Clear();
    return make_slowly(callable, args, nargsf, names);
}

static int set_level_names(PyObject *names)
{
    if (PyTuple_GET_SIZE(names) != PRIORITIES)
        return PyErr_Format(PyExc_ValueError, "there are %d priorities", PRIORITIES), -1;
    for (int level = 0; level < PRIORITIES; level++) {
        Py_ssize_t length;
        const char *text = PyUnicode_AsUTF8AndSize(PyTuple_GET_ITEM(names, level), &length);
        if (text == NULL || length > LEVEL_NAME)
            return text == NULL ? -1 : (PyErr_Format(PyExc_ValueError, "%s is too long", text), -1);
        memcpy(events.level_names[level].text, text, (size_t)length);
        events.level_names[level].length = (size_t)length;
    }
    return 0;
}

static PyObject *make_events(PyObject *Py_UNUSED(module), PyObject *args, PyObject *keywords)
{
    static char *names[] = {"event", "event_type", "priority", "level_names", "name_of", NULL};
    PyObject *type, *event_type, *priority, *level_names, *name_of;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "O!O!O!O!O", names, &PyType_Type, &type, &PyType_Type, &event_type,
                                     &PyType_Type, &priority, &PyTuple_Type, &level_names, &name_of) ||
        set_level_names(level_names) < 0)
        return NULL;
    PyTypeObject *event = (PyTypeObject *)type;
    for (int i = 0; i < PARAMETERS; i++)
        if (parameter_names[i] == NULL && (parameter_names[i] = PyUnicode_InternFromString(parameters[i])) == NULL)
            return NULL;
    Py_ssize_t *offsets[PARAMETERS] = {&events.offset_type, &events.offset_priority, &events.offset_source,
                                       &events.offset_data, &events.offset_metadata, &events.offset_id,
                                       &events.offset_time};
    for (int i = 0; i < PARAMETERS; i++)
        if ((*offsets[i] = slot_offset(event, parameters[i])) < 0)
            return NULL;
    Py_XSETREF(events.event_type, (PyTypeObject *)Py_NewRef(event_type));
    Py_XSETREF(events.priority, (PyTypeObject *)Py_NewRef(priority));
    Py_XSETREF(events.name_of, Py_NewRef(name_of));
    Py_XSETREF(events.event, (PyTypeObject *)Py_NewRef(event)); /* an older one, loaded before, goes the slow way now */
    event->tp_vectorcall = make;
    Py_RETURN_NONE;
}

/* The members of an enum are attributes of its class, but on Python 3.11 EnumType.__getattr__, for the few that are
   not, makes getting any of them ten times slower than an attribute. Python 3.12 has no such method. */
static PyObject *plain_members(PyObject *Py_UNUSED(module), PyObject *metaclass)
{
    if (!PyType_Check(metaclass) || !PyType_IsSubtype((PyTypeObject *)metaclass, &PyType_Type))
        return PyErr_Format(PyExc_TypeError, "%R is not a metaclass", metaclass);
    ((PyTypeObject *)metaclass)->tp_getattro = PyType_Type.tp_getattro;
    PyType_Modified((PyTypeObject *)metaclass);
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"plain_members", plain_members, METH_O,
     "plain_members(metaclass)\n--\n\nHave the classes of this metaclass look their attributes up as any other class."},
    {"make_events", (PyCFunction)(void (*)(void))make_events, METH_VARARGS | METH_KEYWORDS,
     "make_events(event, event_type, priority, level_names, name_of)\n--\n\nHave this class make its events "
     "here."},
    {NULL, NULL, 0, NULL},
};

int add_event(PyObject *module) { return PyModule_AddFunctions(module, functions); }
