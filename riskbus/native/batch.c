/* `take`: what riskbus.runtime.batch does with records that lie in the ring, compiled.

   The slots of records that are not yet released do not change, so the copying and hashing need no lock, and leave the
   interpreter's to the publishers. Where there is no libcrypto, this part is not offered. */
#include "lines.h"

enum { MANY = 64 /* records from which on it pays to let go of the interpreter's lock, and to wait for it again */ };

/* What one call works with. */
typedef struct {
    Ring ring;
    uint64_t seq;
    Py_ssize_t count;
    uint64_t *words; /* of the slots, read once: what another process does to them later changes no length here */
    uint8_t *block, *kinds;
    uint64_t *ends;
    Tree tree;
} Work;

/* Read the words up to the first gap or unusual record; return how many bytes their lines will have. */
static size_t look(Work *work, Py_ssize_t most)
{
    size_t size = 0;
    char digits[MOST_DIGITS];
    for (work->count = 0; work->count < most; work->count++) {
        uint64_t seq = work->seq + (uint64_t)work->count;
        uint64_t word = __atomic_load_n(ring_word(&work->ring, seq), __ATOMIC_ACQUIRE);
        if (!is_usual(word, seq))
            break;
        work->words[work->count] = word;
        size += length_of(word) + (size_t)digits_of(seq, digits) + LINE_EXTRA;
    }
    return size;
}

static int write_lines(Work *work)
{
    uint8_t *end = work->block;
    for (Py_ssize_t index = 0; index < work->count; index++) {
        end = write_line(&work->tree, &work->ring, work->seq + (uint64_t)index, work->words[index], end);
        if (end == NULL)
            return 0;
        work->ends[index] = (uint64_t)(end - work->block);
        work->kinds[index] = (uint8_t)kind_of(work->words[index]);
    }
    return 1;
}

static PyObject *new_bytes(Py_ssize_t size, void *memory)
{
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, size);
    *(char **)memory = bytes == NULL ? NULL : PyBytes_AS_STRING(bytes);
    return bytes;
}

/* Do the work; return (block, ends, kinds, edge), None where libcrypto refuses. */
static PyObject *make(Work *work, size_t size)
{
    PyObject *result = NULL;
    PyObject *block = new_bytes((Py_ssize_t)size, &work->block);
    PyObject *ends = new_bytes(work->count * (Py_ssize_t)sizeof *work->ends, &work->ends);
    PyObject *kinds = new_bytes(work->count, &work->kinds);
    int done = 0;
    work->tree.context = new_hash();
    if (block == NULL || ends == NULL || kinds == NULL || work->tree.context == NULL)
        goto end;
    if (work->count < MANY)
        done = write_lines(work);
    else {
        Py_BEGIN_ALLOW_THREADS;
        done = write_lines(work);
        Py_END_ALLOW_THREADS;
    }
    result = done ? Py_BuildValue("OOOy#", block, ends, kinds, work->tree.edge, (Py_ssize_t)(HASH * work->tree.height))
                  : Py_NewRef(Py_None);
end:
    free_hash(work->tree.context);
    Py_XDECREF(block);
    Py_XDECREF(ends);
    Py_XDECREF(kinds);
    return result == NULL && !PyErr_Occurred() ? PyErr_NoMemory() : result;
}

static PyObject *take(PyObject *Py_UNUSED(module), PyObject *args)
{
    Py_buffer memory, before;
    unsigned long long slots, seq;
    Py_ssize_t most;
    PyObject *result = NULL;
    if (!PyArg_ParseTuple(args, "w*KKny*:take", &memory, &slots, &seq, &most, &before))
        return NULL;
    Work work = {.ring = {.memory = memory.buf, .slots = slots}, .seq = seq};
    work.tree.height = height_of(seq);
    if (!is_ring(&work.ring, (size_t)memory.len) || before.len != HASH * work.tree.height || most < 1 ||
        (uint64_t)most > slots)
        PyErr_SetString(PyExc_ValueError, "the memory is no ring of so many slots, or the edge not that of so many");
    else if ((work.words = PyMem_Malloc((size_t)most * sizeof *work.words)) == NULL)
        PyErr_NoMemory();
    else {
        memcpy(work.tree.edge, before.buf, (size_t)before.len);
        size_t size = look(&work, most);
        result = work.count == 0 ? Py_NewRef(Py_None) : make(&work, size);
    }
    PyMem_Free(work.words);
    PyBuffer_Release(&memory);
    PyBuffer_Release(&before);
    return result;
}

static PyMethodDef functions[] = {
    {"take", take, METH_VARARGS,
     "take(memory, slots, seq, most, edge)\n--\n\n"
     "Return lines, their ends, kinds and the new edge for usual records from a number on; None if there are none."},
    {NULL},
};

int add_batch(PyObject *module) { return find_sha256() ? PyModule_AddFunctions(module, functions) : 0; }
