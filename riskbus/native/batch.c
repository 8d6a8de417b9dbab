/* `take`: what riskbus.runtime.batch does with records that lie in the ring, compiled: number, hash, line, tree.

   The slots of records that are not yet released do not change, so the copying and hashing need no lock, and leave the
   interpreter's to the publishers. SHA-256 is that of OpenSSL's libcrypto, found when the module is loaded; where there
   is none, this part is not offered. Source: EVP_DigestInit(3), RFC 6962, section 2.1. */
#include "module.h"

#include <dlfcn.h>

#include "ring.h"

enum {
    HASH = 32,
    LONG = 8,        /* as in ring.py, beside a kind: the body is in a file */
    LINE_EXTRA = 62, /* bytes of a line beside body and digits: `{"seq":`, and 55 for hash and line feed */
    MANY = 64,       /* records from which on it pays to let go of the interpreter's lock, and to wait for it again */
};

static struct {
    void *(*new_context)(void);
    void (*free_context)(void *);
    int (*init)(void *, const void *, const void *);
    int (*update)(void *, const void *, size_t);
    int (*final)(void *, unsigned char *, unsigned int *);
    const void *sha256;
} evp;

/* What one call works with. */
typedef struct {
    Ring ring;
    uint64_t seq;
    Py_ssize_t count;
    uint64_t *words; /* of the slots, read once: what another process does to them later changes no length here */
    uint8_t *block, *kinds, *edge;
    uint64_t *ends;
    int height; /* hashes in the edge */
    void *context;
} Work;

/* Whether a word names this record, and the record is a usual one: wholly in its slot, two braces at least. */
static int is_usual(uint64_t word, uint64_t seq)
{
    uint64_t length = word & ((1 << RING_KIND_SHIFT) - 1);
    return word >> RING_SHIFT == seq + 1 && !(word >> RING_KIND_SHIFT & LONG) && length >= 2 && length <= RING_ROOM;
}

static size_t length_of(uint64_t word) { return word & ((1 << RING_KIND_SHIFT) - 1); }

static int digits_of(uint64_t number, char *digits)
{
    char reversed[20];
    int count = 0;
    do
        reversed[count++] = (char)('0' + number % 10);
    while (number /= 10);
    for (int index = 0; index < count; index++)
        digits[index] = reversed[count - 1 - index];
    return count;
}

/* Read the words up to the first gap or unusual record; return how many bytes their lines will have. */
static size_t look(Work *work, Py_ssize_t most)
{
    size_t size = 0;
    char digits[20];
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

static int hash(Work *work, const void *prefix, const uint8_t *data, size_t length, uint8_t *result)
{
    return evp.init(work->context, evp.sha256, NULL) && evp.update(work->context, prefix, 1) &&
           evp.update(work->context, data, length) && evp.final(work->context, result, NULL);
}

/* Add a leaf to the tree, as Tree.append does; the edge has room for it, as for every number there can be. */
static int grow(Work *work, uint64_t size, const uint8_t *leaf)
{
    memcpy(work->edge + HASH * work->height++, leaf, HASH);
    for (; size & 1; size >>= 1) {
        uint8_t *pair = work->edge + HASH * (--work->height - 1);
        if (!hash(work, "\x01", pair, 2 * HASH, pair))
            return 0;
    }
    return 1;
}

static uint8_t *to_base64(const uint8_t *hash, uint8_t *text)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (int at = 0; at < HASH; at += 3) {
        uint32_t three = (uint32_t)hash[at] << 16 | (uint32_t)hash[at + 1] << 8 | (at + 2 < HASH ? hash[at + 2] : 0);
        *text++ = letters[three >> 18];
        *text++ = letters[three >> 12 & 63];
        *text++ = letters[three >> 6 & 63];
        *text++ = letters[three & 63];
    }
    text[-1] = '='; /* the last three bytes are two */
    return text;
}

/* Write the line of one record; return where it ends, NULL if it could not be hashed. */
static uint8_t *write_line(Work *work, Py_ssize_t index, uint8_t *line)
{
    uint64_t seq = work->seq + (uint64_t)index;
    uint8_t leaf[HASH], *end = line;
    memcpy(end, "{\"seq\":", 7);
    end += 7 + digits_of(seq, (char *)end + 7);
    size_t length = length_of(work->words[index]);
    uint8_t *body = end;
    ring_get(&work->ring, seq, body, length);
    *body = ','; /* for its opening brace */
    end += length;
    end[-1] = '}';
    if (!hash(work, "\x00", line, (size_t)(end - line), leaf) || !grow(work, seq, leaf))
        return NULL;
    memcpy(end - 1, ",\"hash\":\"", 9); /* for its closing brace */
    end = to_base64(leaf, end + 8);
    memcpy(end, "\"}\n", 3);
    return end + 3;
}

static int write_lines(Work *work)
{
    uint8_t *end = work->block;
    for (Py_ssize_t index = 0; index < work->count; index++) {
        end = write_line(work, index, end);
        if (end == NULL)
            return 0;
        work->ends[index] = (uint64_t)(end - work->block);
        work->kinds[index] = work->words[index] >> RING_KIND_SHIFT & 15;
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
    work->context = evp.new_context();
    if (block == NULL || ends == NULL || kinds == NULL || work->context == NULL)
        goto end;
    if (work->count < MANY)
        done = write_lines(work);
    else {
        Py_BEGIN_ALLOW_THREADS;
        done = write_lines(work);
        Py_END_ALLOW_THREADS;
    }
    result = done ? Py_BuildValue("OOOy#", block, ends, kinds, work->edge, (Py_ssize_t)(HASH * work->height))
                  : Py_NewRef(Py_None);
end:
    evp.free_context(work->context);
    Py_XDECREF(block);
    Py_XDECREF(ends);
    Py_XDECREF(kinds);
    return result == NULL && !PyErr_Occurred() ? PyErr_NoMemory() : result;
}

static PyObject *take(PyObject *module, PyObject *args)
{
    Py_buffer memory, before;
    unsigned long long slots, seq;
    Py_ssize_t most;
    uint8_t edge[HASH * 65];
    PyObject *result = NULL;
    if (!PyArg_ParseTuple(args, "w*KKny*:take", &memory, &slots, &seq, &most, &before))
        return NULL;
    Work work = {.ring = {.memory = memory.buf, .slots = slots}, .seq = seq, .edge = edge};
    work.height = __builtin_popcountll(seq);
    if (!is_ring(&work.ring, (size_t)memory.len) || before.len != HASH * work.height || most < 1 ||
        (uint64_t)most > slots)
        PyErr_SetString(PyExc_ValueError, "the memory is no ring of so many slots, or the edge not that of so many");
    else if ((work.words = PyMem_Malloc((size_t)most * sizeof *work.words)) == NULL)
        PyErr_NoMemory();
    else {
        memcpy(edge, before.buf, (size_t)before.len);
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

static int find_sha256(void)
{
    void *library = dlopen("libcrypto.so.3", RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        return 0;
    void *(*fetch)(void *, const char *, const char *) = dlsym(library, "EVP_MD_fetch");
    evp.new_context = dlsym(library, "EVP_MD_CTX_new");
    evp.free_context = dlsym(library, "EVP_MD_CTX_free");
    evp.init = dlsym(library, "EVP_DigestInit_ex2");
    evp.update = dlsym(library, "EVP_DigestUpdate");
    evp.final = dlsym(library, "EVP_DigestFinal_ex");
    if (!fetch || !evp.new_context || !evp.free_context || !evp.init || !evp.update || !evp.final)
        return 0;
    evp.sha256 = fetch(NULL, "SHA256", NULL);
    return evp.sha256 != NULL;
}

int add_batch(PyObject *module) { return find_sha256() ? PyModule_AddFunctions(module, functions) : 0; }
