/* Latencies in bulk: what riskbus.bus.tally and riskbus.bus.durability do with thousands of numbers at a time, which
   every publisher would have to wait for while the interpreter's lock is held. */
#include "module.h"

#include <structmember.h>

/* count_latencies(latencies_ns, bounds_ns, buckets, objective_ns) -> (total_ns, late) */
static PyObject *count_latencies(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *latencies, *bounds, *buckets, *objective;
    int64_t limits[MOST_BOUNDS];
    Py_ssize_t counts[MOST_BOUNDS + 1] = {0}, late = 0;
    if (!PyArg_ParseTuple(args, "O!O!O!O", &PyList_Type, &latencies, &PyTuple_Type, &bounds, &PyList_Type, &buckets,
                          &objective))
        return NULL;
    Py_ssize_t width = PyTuple_GET_SIZE(bounds);
    if (width > MOST_BOUNDS || PyList_GET_SIZE(buckets) != width + 1)
        return PyErr_Format(PyExc_ValueError, "%zd bounds need as many buckets and one more, at most 64", width);
    for (Py_ssize_t i = 0; i < width; i++)
        limits[i] = PyLong_AsLongLong(PyTuple_GET_ITEM(bounds, i));
    int64_t limit = as_int64(objective), total = 0;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(latencies); i++) {
        int64_t latency = PyLong_AsLongLong(PyList_GET_ITEM(latencies, i));
        Py_ssize_t bucket = 0;
        while (bucket < width && latency > limits[bucket])
            bucket++;
        counts[bucket]++;
        total += latency;
        late += latency > limit;
    }
    if (PyErr_Occurred())
        return NULL;
    for (Py_ssize_t i = 0; i <= width; i++) {
        PyObject *sum = counts[i] ? PyLong_FromLongLong(PyLong_AsLongLong(PyList_GET_ITEM(buckets, i)) + counts[i])
                                  : Py_NewRef(PyList_GET_ITEM(buckets, i));
        if (sum == NULL || PyList_SetItem(buckets, i, sum) < 0)
            return NULL;
    }
    return Py_BuildValue("Ln", (long long)total, late);
}

/* Numbers of records on their way, and when they were published, oldest first: by priority, a ring that grows. */
typedef struct {
    int64_t seq, published_ns;
} Time;

typedef struct {
    Time *times;
    size_t room, first, count; /* room is a power of two, or 0 */
} Queue;

typedef struct {
    PyObject_HEAD
    Queue queues[PRIORITIES];
    long long attention; /* who puts in a number below this one has to call `DurabilityWatch.attend` */
} Times;

static PyTypeObject *times_type; /* as `times_put` has to know what it is given */

static int grow(Queue *queue)
{
    size_t room = queue->room ? 2 * queue->room : 256;
    Time *times = PyMem_Malloc(room * sizeof *times);
    if (times == NULL)
        return PyErr_NoMemory(), -1;
    for (size_t i = 0; i < queue->count; i++)
        times[i] = queue->times[(queue->first + i) & (queue->room - 1)];
    PyMem_Free(queue->times);
    *queue = (Queue){.times = times, .room = room, .count = queue->count};
    return 0;
}

int times_put(PyObject *object, int level, int64_t seq, int64_t published_ns)
{
    if (!Py_IS_TYPE(object, times_type))
        return PyErr_Format(PyExc_TypeError, "these are no Times"), -1;
    Times *self = (Times *)object;
    Queue *queue = &self->queues[level];
    if (queue->count == queue->room && grow(queue) < 0)
        return -1;
    queue->times[(queue->first + queue->count++) & (queue->room - 1)] = (Time){seq, published_ns};
    return seq < self->attention;
}

static PyObject *put(PyObject *object, PyObject *args)
{
    int level;
    long long seq, published_ns;
    if (!PyArg_ParseTuple(args, "iLL", &level, &seq, &published_ns))
        return NULL;
    if (level < 0 || level >= PRIORITIES)
        return PyErr_Format(PyExc_ValueError, "there is no priority %d", level);
    int attend = times_put(object, level, seq, published_ns);
    return attend < 0 ? NULL : PyBool_FromLong(attend);
}

static PyObject *take(PyObject *object, PyObject *args)
{
    int level;
    long long durable_seq, now_ns;
    if (!PyArg_ParseTuple(args, "iLL", &level, &durable_seq, &now_ns))
        return NULL;
    if (level < 0 || level >= PRIORITIES)
        return PyErr_Format(PyExc_ValueError, "there is no priority %d", level);
    Queue *queue = &((Times *)object)->queues[level];
    PyObject *latencies = PyList_New(0);
    while (latencies != NULL && queue->count > 0 && queue->times[queue->first].seq <= durable_seq) {
        if (append_number(latencies, now_ns - queue->times[queue->first].published_ns) < 0)
            Py_CLEAR(latencies);
        queue->first = (queue->first + 1) & (queue->room - 1);
        queue->count--;
    }
    return latencies;
}

static PyObject *new(PyTypeObject *type, PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(keywords))
{
    Times *self = (Times *)type->tp_alloc(type, 0);
    if (self != NULL)
        self->attention = PY_SSIZE_T_MAX;
    return (PyObject *)self;
}

static void dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    for (int level = 0; level < PRIORITIES; level++)
        PyMem_Free(((Times *)object)->queues[level].times);
    type->tp_free(object);
    Py_DECREF(type);
}

static PyMemberDef members[] = {
    {"attention", T_LONGLONG, offsetof(Times, attention), 0, NULL},
    {NULL},
};

static PyMethodDef methods[] = {
    {"put", put, METH_VARARGS, NULL},
    {"take", take, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot type_slots[] = {
    {Py_tp_doc, "What riskbus.bus.durability.Times is, compiled."},
    {Py_tp_new, new},
    {Py_tp_dealloc, dealloc},
    {Py_tp_members, members},
    {Py_tp_methods, methods},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "riskbus.native.hot.Times",
    .basicsize = sizeof(Times),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = type_slots,
};

static PyMethodDef functions[] = {
    {"count_latencies", count_latencies, METH_VARARGS,
     "count_latencies(latencies_ns, bounds_ns, buckets, objective_ns, /)\n--\n\n"
     "Add latencies to their buckets; return their sum, and how many are above the objective."},
    {NULL, NULL, 0, NULL},
};

int add_latency(PyObject *module)
{
    times_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &spec, NULL);
    if (times_type == NULL || PyModule_AddType(module, times_type) < 0)
        return -1;
    return PyModule_AddFunctions(module, functions);
}
