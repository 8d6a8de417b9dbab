/* The body of a usual event's record, without the dictionary `RiskEvent.fields`: what the event's payloads are in JSON
   says orjson, and the fields around them are texts that stand for themselves. */
#include "body.h"

#include "event.h"
#include "stamps.h"

static PyObject *str_data, *str_metadata;

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

static int fill(PyObject *payload, PyObject *data, PyObject *metadata)
{
    return PyDict_SetItem(payload, str_data, data) < 0 ? -1 : PyDict_SetItem(payload, str_metadata, metadata);
}

/* The payloads as one object of JSON, of data and metadata. */
static PyObject *encode_payloads(PyObject *payload, PyObject *event, PyObject *dumps, PyObject *as_json)
{
    if (fill(payload, *slot(event, events.offset_data), *slot(event, events.offset_metadata)) < 0)
        return NULL;
    PyObject *args[] = {NULL, payload, as_json};
    PyObject *bytes = PyObject_Vectorcall(dumps, args + 1, 2 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    if (bytes != NULL && fill(payload, Py_None, Py_None) < 0) /* whoever made them decides how long they live */
        Py_CLEAR(bytes);
    return bytes;
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
    if (Py_IS_TYPE(event_type, events.event_type) || PyUnicode_CheckExact(event_type))
        texts->name = Py_NewRef(event_type);
    else if ((texts->name = PyObject_CallOneArg(events.name_of, event_type)) == NULL)
        return PyErr_ExceptionMatches(PyExc_Exception) ? (PyErr_Clear(), 0) : -1;
    return as_plain_text(&texts->id_text, texts->id) && as_plain_text(&texts->name_text, texts->name) &&
           as_plain_text(&texts->source_text, texts->source);
}

static char *put(char *to, const char *text, size_t length)
{
    memcpy(to, text, length);
    return to + length;
}

#define PUT(text) to = put(to, text, sizeof text - 1)

static int compose(Body *body, const Texts *texts, const char *timestamp, const char *nanoseconds, const char *payloads,
                   size_t length)
{
    static const size_t constant = sizeof "{'ts':'','event_id':'','event_type':'','priority':'','source':''," - 1 +
                                   sizeof ",'timestamp_ns':}" - 1 + TIMESTAMP + NANOSECONDS;
    body->length = constant + texts->id_text.length + texts->name_text.length + texts->source_text.length +
                   events.level_names[body->level].length + length;
    char *to = body->text;
    if (body->length > sizeof body->text) {
        if ((body->bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)body->length)) == NULL)
            return -1;
        to = PyBytes_AS_STRING(body->bytes);
    }
    PUT("{\"ts\":\"");
    to = put(to, timestamp, TIMESTAMP);
    PUT("\",\"event_id\":\"");
    to = put(to, texts->id_text.text, texts->id_text.length);
    PUT("\",\"event_type\":\"");
    to = put(to, texts->name_text.text, texts->name_text.length);
    PUT("\",\"priority\":\"");
    to = put(to, events.level_names[body->level].text, events.level_names[body->level].length);
    PUT("\",\"source\":\"");
    to = put(to, texts->source_text.text, texts->source_text.length);
    PUT("\",");
    to = put(to, payloads, length);
    PUT(",\"timestamp_ns\":");
    to = put(to, nanoseconds, NANOSECONDS);
    PUT("}");
    return 1;
}

/* Serialise the payloads and put all together. */
static int put_together(Body *body, const Texts *texts, PyObject *event, int64_t time_ns, PyObject *payload,
                        PyObject *dumps, PyObject *as_json)
{
    char timestamp[TIMESTAMP], nanoseconds[NANOSECONDS];
    PyObject *payloads = encode_payloads(payload, event, dumps, as_json);
    int status = -1;
    if (payloads != NULL && put_time(time_ns, timestamp, nanoseconds) == 0)
        status = !PyBytes_CheckExact(payloads)
                     ? 0
                     : compose(body, texts, timestamp, nanoseconds, PyBytes_AS_STRING(payloads) + 1,
                               (size_t)PyBytes_GET_SIZE(payloads) - 2);
    Py_XDECREF(payloads);
    return status;
}

int make_body(Body *body, PyObject *event, PyObject *payload, PyObject *dumps, PyObject *as_json)
{
    body->bytes = NULL;
    PyObject *time = *slot(event, events.offset_time);
    body->level = level_of(*slot(event, events.offset_priority));
    if (body->level < 0 || time == NULL || !PyLong_CheckExact(time) || *slot(event, events.offset_data) == NULL ||
        *slot(event, events.offset_metadata) == NULL)
        return 0;
    int overflow;
    int64_t time_ns = PyLong_AsLongLongAndOverflow(time, &overflow);
    if (overflow || time_ns < FIRST_TIME_NS)
        return 0;
    Texts texts = {NULL};
    int status = find_texts(&texts, event);
    if (status == 1)
        status = put_together(body, &texts, event, time_ns, payload, dumps, as_json);
    forget(&texts);
    return status;
}

int add_body(PyObject *Py_UNUSED(module))
{
    str_data = PyUnicode_InternFromString("data");
    str_metadata = PyUnicode_InternFromString("metadata");
    return str_data == NULL || str_metadata == NULL ? -1 : 0;
}
