/* From staged bodies to lines of the file: number, hash, line, Merkle tree; none of it needs the interpreter.

   SHA-256 is that of OpenSSL's libcrypto, found when the module is loaded. Source: EVP_DigestInit(3), RFC 6962, section
   2.1. */
#include "lines.h"

#include <dlfcn.h>

static struct {
    void *(*new_context)(void);
    void (*free_context)(void *);
    int (*init)(void *, const void *, const void *);
    int (*update)(void *, const void *, size_t);
    int (*final)(void *, unsigned char *, unsigned int *);
    const void *sha256;
} evp;

int find_sha256(void)
{
    if (evp.sha256 != NULL)
        return 1;
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

void *new_hash(void) { return evp.new_context(); }

void free_hash(void *context) { evp.free_context(context); }

int digits_of(uint64_t number, char *digits)
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

int leaf_of(void *context, const uint8_t *record, size_t length, uint8_t *leaf)
{
    return evp.init(context, evp.sha256, NULL) && evp.update(context, "\x00", 1) &&
           evp.update(context, record, length) && evp.update(context, "}", 1) && evp.final(context, leaf, NULL);
}

int parent_of(void *context, const uint8_t *pair, uint8_t *parent)
{
    return evp.init(context, evp.sha256, NULL) && evp.update(context, "\x01", 1) &&
           evp.update(context, pair, 2 * HASH) && evp.final(context, parent, NULL);
}

/* Add a leaf to the tree, as Tree.append does; the edge has room for it, as for every number there can be. */
static int grow(Tree *tree, uint64_t size, const uint8_t *leaf)
{
    memcpy(tree->edge + HASH * tree->height++, leaf, HASH);
    for (; size & 1; size >>= 1) {
        uint8_t *pair = tree->edge + HASH * (--tree->height - 1);
        if (!parent_of(tree->context, pair, pair))
            return 0;
    }
    return 1;
}

uint8_t *to_base64(const uint8_t *hash, uint8_t *text)
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

uint8_t *write_line(Tree *tree, const Ring *ring, uint64_t seq, uint64_t word, uint8_t *line)
{
    uint8_t leaf[HASH], *end = line;
    memcpy(end, "{\"seq\":", 7);
    end += 7 + digits_of(seq, (char *)end + 7);
    size_t length = length_of(word);
    uint8_t *body = end;
    ring_get(ring, seq, body, length);
    *body = ','; /* for its opening brace */
    end += length;
    end[-1] = '}';
    if (!leaf_of(tree->context, line, (size_t)(end - line) - 1, leaf) || !grow(tree, seq, leaf))
        return NULL;
    memcpy(end - 1, ",\"hash\":\"", 9); /* for its closing brace */
    end = to_base64(leaf, end + 8);
    memcpy(end, "\"}\n", 3);
    return end + 3;
}
