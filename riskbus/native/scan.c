/* `scan`: what riskbus.format.blocks.scan does with lines that are in order, compiled: numbers, hashes, tiles.

   It needs no interpreter, so several threads may scan. Where anything is unusual, the form in Python looks. */
#include "lines.h"

enum {
    TILE_HEIGHT = 8, /* as in merkle.py */
    TILE_WIDTH = 1 << TILE_HEIGHT,
    BASE64 = 44,
    MOST_NUMBER = 18, /* digits */
};
static const char head[] = "{\"seq\":", after_number[] = ",\"ts\":\"", before_hash[] = ",\"hash\":\"", end[] = "\"}\n";
enum { TAIL = sizeof before_hash - 1 + BASE64 + sizeof end - 1 };

typedef struct {
    const uint8_t *data;
    size_t size, count;
    uint64_t first;
    uint8_t *leaves, *tiles;
    size_t tile_count;
    void *context;
} Scan;

/* Move past a text; 0 if something else stands there. */
static int skip(const uint8_t **at, const uint8_t *limit, const char *text, size_t length)
{
    if ((size_t)(limit - *at) < length || memcmp(*at, text, length) != 0)
        return 0;
    *at += length;
    return 1;
}

/* Whether this is the line of the record with this number; its leaf hash then is in `leaf`. */
static int is_line(const Scan *scan, const uint8_t *line, size_t length, uint64_t seq, uint8_t *leaf)
{
    char digits[MOST_DIGITS];
    uint8_t text[BASE64];
    if (length < TAIL)
        return 0;
    const uint8_t *at = line, *tail = line + length - TAIL;
    if (!skip(&at, tail, head, sizeof head - 1) || !skip(&at, tail, digits, (size_t)digits_of(seq, digits)) ||
        !skip(&at, tail, after_number, sizeof after_number - 1) ||
        !leaf_of(scan->context, line, (size_t)(tail - line), leaf))
        return 0;
    to_base64(leaf, text);
    return memcmp(tail, before_hash, sizeof before_hash - 1) == 0 &&
           memcmp(tail + sizeof before_hash - 1, text, BASE64) == 0 &&
           memcmp(tail + sizeof before_hash - 1 + BASE64, end, sizeof end - 1) == 0;
}

/* Read the number of the first line; 0 if there is none, or one that is unusually long. */
static int find_first(Scan *scan)
{
    const uint8_t *at = scan->data, *limit = at + scan->size;
    if (!skip(&at, limit, head, sizeof head - 1))
        return 0;
    const uint8_t *begin = at;
    for (scan->first = 0; at < limit && *at >= '0' && *at <= '9' && at - begin <= MOST_NUMBER; at++)
        scan->first = scan->first * 10 + (uint64_t)(*at - '0');
    return at > begin && at - begin <= MOST_NUMBER;
}

static int check_lines(const Scan *scan)
{
    const uint8_t *line = scan->data, *limit = line + scan->size;
    for (size_t index = 0; index < scan->count; index++) {
        const uint8_t *next = (const uint8_t *)memchr(line, '\n', (size_t)(limit - line)) + 1;
        if (!is_line(scan, line, (size_t)(next - line), scan->first + index, scan->leaves + HASH * index))
            return 0;
        line = next;
    }
    return 1;
}

static int make_tiles(const Scan *scan)
{
    const uint8_t *leaves = scan->leaves + HASH * (-scan->first % TILE_WIDTH);
    for (size_t tile = 0; tile < scan->tile_count; tile++, leaves += HASH * TILE_WIDTH) {
        uint8_t nodes[HASH * TILE_WIDTH];
        memcpy(nodes, leaves, sizeof nodes);
        for (int width = TILE_WIDTH; width > 1; width /= 2)
            for (int node = 0; node < width / 2; node++)
                if (!parent_of(scan->context, nodes + 2 * HASH * node, nodes + HASH * node))
                    return 0;
        memcpy(scan->tiles + HASH * tile, nodes, HASH);
    }
    return 1;
}

static size_t count_lines(const uint8_t *data, size_t size)
{
    size_t count = 0;
    for (const uint8_t *at = data, *limit = data + size; (at = memchr(at, '\n', (size_t)(limit - at))) != NULL; at++)
        count++;
    return count;
}

static PyObject *make(Scan *scan)
{
    size_t start = -scan->first % TILE_WIDTH;
    scan->tile_count = scan->count > start ? (scan->count - start) / TILE_WIDTH : 0;
    PyObject *leaves = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(HASH * scan->count));
    PyObject *tiles = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(HASH * scan->tile_count));
    PyObject *result = NULL;
    scan->context = new_hash();
    if (leaves != NULL && tiles != NULL && scan->context != NULL) {
        scan->leaves = (uint8_t *)PyBytes_AS_STRING(leaves);
        scan->tiles = (uint8_t *)PyBytes_AS_STRING(tiles);
        int usual;
        Py_BEGIN_ALLOW_THREADS;
        usual = check_lines(scan) && make_tiles(scan);
        Py_END_ALLOW_THREADS;
        result = usual ? Py_BuildValue("KnOO", (unsigned long long)scan->first, (Py_ssize_t)scan->count, leaves, tiles)
                       : Py_NewRef(Py_None);
    } else if (!PyErr_Occurred())
        PyErr_NoMemory();
    free_hash(scan->context);
    Py_XDECREF(leaves);
    Py_XDECREF(tiles);
    return result;
}

static PyObject *scan(PyObject *Py_UNUSED(module), PyObject *data)
{
    Py_buffer buffer;
    if (PyObject_GetBuffer(data, &buffer, PyBUF_SIMPLE) < 0)
        return NULL;
    Scan work = {.data = buffer.buf, .size = (size_t)buffer.len};
    PyObject *result;
    if (work.size > 0 && work.data[work.size - 1] == '\n' && find_first(&work)) {
        work.count = count_lines(work.data, work.size);
        result = make(&work);
    } else
        result = Py_NewRef(Py_None);
    PyBuffer_Release(&buffer);
    return result;
}

static PyMethodDef functions[] = {
    {"scan", scan, METH_O,
     "scan(data, /)\n--\n\nReturn number of the first record, how many there are, their leaf hashes, and the roots of "
     "the tiles among them, if these are whole lines that are in order; None if not."},
    {NULL, NULL, 0, NULL},
};

int add_scan(PyObject *module) { return find_sha256() ? PyModule_AddFunctions(module, functions) : 0; }
