/* `make_events`: has `RiskEvent(…)` made here, where all its arguments are as usual.

   What is unusual (a subclass, a time that was given, an argument that is wrong) goes to RiskEvent.__init__. */
#include "stamps.h"

enum { EVENT_TYPE, PRIORITY, SOURCE, DATA, METADATA, EVENT_ID, TIMESTAMP_NS, PARAMETERS };
enum { TS, ID, TYPE, LEVEL, FROM, FIGURES, CIRCUMSTANCES, NANOSECONDS, FIELDS };

static const char *const parameters[PARAMETERS] = {"event_type", "priority", "source",      "data",
                                                   "metadata",   "event_id", "timestamp_ns"};
static const char *const fields[FIELDS] = {"ts",     "event_id", "event_type", "priority",
                                           "source", "data",     "metadata",   "timestamp_ns"};

/* One for the process, as a class's vectorcall function is given nothing but the class. */
static struct {
    PyTypeObject *event;      /* RiskEvent */
    PyTypeObject *event_type; /* EventType, whose members are their names */
    PyTypeObject *priority;   /* EventPriority */
    PyObject *level_names;    /* by priority */
    PyObject *name_of;        /* events.event_type_name */
    PyObject *parameter_names[PARAMETERS];
    PyObject *field_names[FIELDS];
    PyObject *template; /* the fields of an event, None each */
    Py_ssize_t offset_type, offset_priority, offset_fields;
} self;

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
        while (place < PARAMETERS && self.parameter_names[place] != PyTuple_GET_ITEM(names, i))
            place++;
        if (place == PARAMETERS)
            return 0; /* given twice, or not interned, or no parameter */
        found[place] = args[count + i] != Py_None ? args[count + i] : NULL;
    }
    return found[EVENT_TYPE] && found[PRIORITY] && found[SOURCE] && !found[TIMESTAMP_NS] &&
           Py_IS_TYPE(found[PRIORITY], self.priority);
}

static int set_field(PyObject *dictionary, int field, PyObject *value)
{
    int status = value == NULL ? -1 : PyDict_SetItem(dictionary, self.field_names[field], value);
    Py_XDECREF(value);
    return status;
}

static PyObject *or_empty(PyObject *payload) { return payload != NULL ? Py_NewRef(payload) : PyDict_New(); }

/* What the event's record will say; NULL with an exception if something is not as usual after all. */
static PyObject *make_fields(PyObject *const *found)
{
    long long now_ns = clock_ns(CLOCK_REALTIME);
    long level = PyLong_AsLong(found[PRIORITY]);
    if (level < 0 || level >= PyTuple_GET_SIZE(self.level_names))
        return PyErr_Format(PyExc_ValueError, "there is no such priority");
    PyObject *text = NULL, *id = Py_XNewRef(found[EVENT_ID]);
    if (stamp(now_ns, &text, &id) < 0) {
        Py_XDECREF(id);
        return NULL;
    }
    PyObject *name = Py_IS_TYPE(found[EVENT_TYPE], self.event_type)
                         ? Py_NewRef(found[EVENT_TYPE])
                         : PyObject_CallOneArg(self.name_of, found[EVENT_TYPE]);
    PyObject *made = PyDict_Copy(self.template);
    if (made == NULL) {
        Py_DECREF(text);
        Py_DECREF(id);
        Py_XDECREF(name);
        return NULL;
    }
    int status = set_field(made, TS, text);
    status |= set_field(made, ID, id);
    status |= set_field(made, TYPE, name);
    status |= set_field(made, LEVEL, Py_NewRef(PyTuple_GET_ITEM(self.level_names, level)));
    status |= set_field(made, FROM, Py_NewRef(found[SOURCE]));
    status |= set_field(made, FIGURES, or_empty(found[DATA]));
    status |= set_field(made, CIRCUMSTANCES, or_empty(found[METADATA]));
    status |= set_field(made, NANOSECONDS, PyLong_FromLongLong(now_ns));
    if (status < 0)
        Py_CLEAR(made);
    return made;
}

static PyObject *make(PyObject *callable, PyObject *const *args, size_t nargsf, PyObject *names)
{
    PyObject *found[PARAMETERS];
    if ((PyTypeObject *)callable != self.event || !sort_arguments(found, args, PyVectorcall_NARGS(nargsf), names))
        return make_slowly(callable, args, nargsf, names);
    PyObject *made = make_fields(found);
    if (made == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_Exception))
            return NULL; /* a signal handler interrupted it */
        PyErr_Clear();
        return make_slowly(callable, args, nargsf, names);
    }
    PyObject *event = self.event->tp_alloc(self.event, 0);
    if (event == NULL) {
        Py_DECREF(made);
        return NULL;
    }
    *slot(event, self.offset_type) = Py_NewRef(found[EVENT_TYPE]);
    *slot(event, self.offset_priority) = Py_NewRef(found[PRIORITY]);
    *slot(event, self.offset_fields) = made;
    return event;
}

static int intern_all(PyObject **found, const char *const *names, Py_ssize_t count)
{
    for (Py_ssize_t i = 0; i < count; i++)
        if ((found[i] = PyUnicode_InternFromString(names[i])) == NULL)
            return -1;
    return 0;
}

/* What is needed once in the life of the process. */
static int prepare(void)
{
    PyObject *template = PyDict_New();
    if (template == NULL || intern_all(self.parameter_names, parameters, PARAMETERS) < 0 ||
        intern_all(self.field_names, fields, FIELDS) < 0)
        return -1;
    for (int field = 0; field < FIELDS; field++)
        if (PyDict_SetItem(template, self.field_names[field], Py_None) < 0)
            return -1;
    self.template = template;
    return 0;
}

static PyObject *make_events(PyObject *Py_UNUSED(module), PyObject *args, PyObject *keywords)
{
    static char *names[] = {"event", "event_type", "priority", "level_names", "name_of", NULL};
    PyObject *event, *event_type, *priority, *level_names, *name_of;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "O!O!O!O!O", names, &PyType_Type, &event, &PyType_Type,
                                     &event_type, &PyType_Type, &priority, &PyTuple_Type, &level_names, &name_of))
        return NULL;
    Py_ssize_t offsets[] = {slot_offset((PyTypeObject *)event, "event_type"),
                            slot_offset((PyTypeObject *)event, "priority"),
                            slot_offset((PyTypeObject *)event, "fields")};
    if (offsets[0] < 0 || offsets[1] < 0 || offsets[2] < 0)
        return NULL;
    if (self.template == NULL && prepare() < 0)
        return NULL;
    self.offset_type = offsets[0];
    self.offset_priority = offsets[1];
    self.offset_fields = offsets[2];
    Py_XSETREF(self.event_type, (PyTypeObject *)Py_NewRef(event_type));
    Py_XSETREF(self.priority, (PyTypeObject *)Py_NewRef(priority));
    Py_XSETREF(self.level_names, Py_NewRef(level_names));
    Py_XSETREF(self.name_of, Py_NewRef(name_of));
    Py_XSETREF(self.event, (PyTypeObject *)Py_NewRef(event)); /* an older one, loaded before, goes the slow way now */
    self.event->tp_vectorcall = make;
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"make_events", (PyCFunction)(void (*)(void))make_events, METH_VARARGS | METH_KEYWORDS,
     "make_events(event, event_type, priority, level_names, name_of)\n--\n\nHave this class make its events "
     "here."},
    {NULL, NULL, 0, NULL},
};

int add_event(PyObject *module) { return PyModule_AddFunctions(module, functions); }
