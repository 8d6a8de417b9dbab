/* The body of a usual event's record, without the dictionary `RiskEvent.fields`: what the event's payloads are in JSON
   says orjson, and the fields around them are texts that stand for themselves. */
#include "body.h"

#include "event.h"
#include "stamps.h"

typedef struct {
    const char *text;
    size_t length;
} Text;

/* Whether each of eight characters is none that JSON writes otherwise: a quote, a backslash, a control character. */
static inline int is_plain_word(uint64_t word)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), highs = UINT64_C(0x8080808080808080);
    uint64_t quote = word ^ ones * '"', backslash = word ^ ones * '\\';
    uint64_t found = ((word - ones * 0x20) & ~word) | ((quote - ones) & ~quote) | ((backslash - ones) & ~backslash);
    return (found & highs) == 0;
}

/* The characters of a string which is the same in JSON, but for the quotes; 0 if it is not. */
static int as_plain_text(Text *found, PyObject *string)
{
    if (!PyUnicode_Check(string) || !PyUnicode_IS_ASCII(string))
        return 0;
    const char *text = found->text = (const char *)PyUnicode_1BYTE_DATA(string);
    size_t length = found->length = (size_t)PyUnicode_GET_LENGTH(string), place = 0;
    uint64_t word;
    for (; place + sizeof word <= length; place += sizeof word) {
        memcpy(&word, text + place, sizeof word);
        if (!is_plain_word(word))
            return 0;
    }
    word = UINT64_C(0x2020202020202020);
    memcpy(&word, text + place, length - place);
    return is_plain_word(word);
}

static int fill(PyObject *payloads, PyObject *data, PyObject *metadata)
{
    return PyList_SetItem(payloads, 0, Py_NewRef(data)) < 0 ? -1 : PyList_SetItem(payloads, 2, Py_NewRef(metadata));
}

/* The payloads as a list of JSON with a line feed between. */
static PyObject *encode_payloads(PyObject *payloads, PyObject *event, PyObject *dumps, PyObject *as_json)
{
    PyObject *data = *slot(event, events.offset_data), *metadata = *slot(event, events.offset_metadata);
    if (data == NULL || metadata == NULL)
        return PyErr_Format(PyExc_AttributeError, "data or metadata");
    if (fill(payloads, data, metadata) < 0)
        return NULL;
    PyObject *args[] = {NULL, payloads, as_json};
    PyObject *bytes = PyObject_Vectorcall(dumps, args + 1, 2 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    if (bytes != NULL && fill(payloads, Py_None, Py_None) < 0) /* whoever made them decides how long they live */
        Py_CLEAR(bytes);
    return bytes;
}

/* Find data and metadata in `[data,\n,metadata]`; 0 if there is another line feed, which only a fragment brings that
   the program had serialised itself. */
static int split(PyObject *bytes, Text *data, Text *metadata)
{
    if (!PyBytes_CheckExact(bytes))
        return 0;
    const char *begin = PyBytes_AS_STRING(bytes) + 1, *end = begin + PyBytes_GET_SIZE(bytes) - 2;
    const char *feed = memchr(begin, '\n', (size_t)(end - begin));
    if (feed == NULL || memchr(feed + 1, '\n', (size_t)(end - feed - 1)) != NULL)
        return 0;
    *data = (Text){begin, (size_t)(feed - 1 - begin)};
    *metadata = (Text){feed + 2, (size_t)(end - feed - 2)};
    return 1;
}

/* The texts that an event brings, and references to what they are in. */
typedef struct {
    PyObject *name, *id, *source;
    Text name_text, id_text, source_text;
} Texts;

static void forget(Texts *texts)
{
    Py_XDECREF(texts->name);
    Py_XDECREF(texts->id);
    Py_XDECREF(texts->source);
}

/* 1, or 0 if one is not as usual. */
static int find_texts(Texts *texts, PyObject *event)
{
    PyObject *event_type = *slot(event, events.offset_type);
    texts->id = Py_XNewRef(*slot(event, events.offset_id));
    texts->source = Py_XNewRef(*slot(event, events.offset_source));
    if (event_type == NULL || texts->id == NULL || texts->source == NULL)
        return 0;
    if (Py_IS_TYPE(event_type, events.event_type))
        texts->name = Py_NewRef(event_type);
    else if ((texts->name = PyObject_CallOneArg(events.name_of, event_type)) == NULL)
        return PyErr_ExceptionMatches(PyExc_Exception) ? (PyErr_Clear(), 0) : -1;
    return as_plain_text(&texts->id_text, texts->id) && as_plain_text(&texts->name_text, texts->name) &&
           as_plain_text(&texts->source_text, texts->source);
}

static char *put(char *to, Text text)
{
    memcpy(to, text.text, text.length);
    return to + text.length;
}

#define PUT(constant) to = put(to, (Text){constant, sizeof constant - 1})

static int compose(Body *body, const Texts *texts, Text timestamp, Text nanoseconds, Text data, Text metadata)
{
    static const size_t constant = sizeof "{'ts':'','event_id':'','event_type':'','priority':'','source':'','data':" -
                                   1 + sizeof ",'metadata':,'timestamp_ns':}" - 1 + TIMESTAMP + NANOSECONDS;
    const Text level = {events.level_names[body->level].text, events.level_names[body->level].length};
    body->length = constant + texts->id_text.length + texts->name_text.length + level.length +
                   texts->source_text.length + data.length + metadata.length;
    char *to = body->text;
    if (body->length > sizeof body->text) {
        if ((body->bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)body->length)) == NULL)
            return -1;
        to = PyBytes_AS_STRING(body->bytes);
    }
    PUT("{\"ts\":\"");
    to = put(to, timestamp);
    PUT("\",\"event_id\":\"");
    to = put(to, texts->id_text);
    PUT("\",\"event_type\":\"");
    to = put(to, texts->name_text);
    PUT("\",\"priority\":\"");
    to = put(to, level);
    PUT("\",\"source\":\"");
    to = put(to, texts->source_text);
    PUT("\",\"data\":");
    to = put(to, data);
    PUT(",\"metadata\":");
    to = put(to, metadata);
    PUT(",\"timestamp_ns\":");
    to = put(to, nanoseconds);
    PUT("}");
    return 1;
}

/* Serialise the payloads and put all together. */
static int put_together(Body *body, const Texts *texts, PyObject *event, int64_t time_ns, PyObject *payloads,
                        PyObject *dumps, PyObject *as_json)
{
    char timestamp[TIMESTAMP], nanoseconds[NANOSECONDS];
    PyObject *bytes = encode_payloads(payloads, event, dumps, as_json);
    Text data, metadata;
    int status = -1;
    if (bytes != NULL && put_time(time_ns, timestamp, nanoseconds) == 0)
        status = split(bytes, &data, &metadata) ? compose(body, texts, (Text){timestamp, TIMESTAMP},
                                                          (Text){nanoseconds, NANOSECONDS}, data, metadata)
                                                : 0;
    Py_XDECREF(bytes);
    return status;
}

int make_body(Body *body, PyObject *event, PyObject *payloads, PyObject *dumps, PyObject *as_json)
{
    body->bytes = NULL;
    PyObject *time = *slot(event, events.offset_time);
    body->level = level_of(*slot(event, events.offset_priority));
    if (body->level < 0 || time == NULL || !PyLong_CheckExact(time))
        return 0;
    int overflow;
    int64_t time_ns = PyLong_AsLongLongAndOverflow(time, &overflow);
    if (overflow || time_ns < FIRST_TIME_NS)
        return 0;
    Texts texts = {NULL};
    int status = find_texts(&texts, event);
    if (status == 1)
        status = put_together(body, &texts, event, time_ns, payloads, dumps, as_json);
    forget(&texts);
    return status;
}
