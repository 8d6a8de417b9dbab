/* What `batch.c`, `rounds.c` and `scan.c` share: records that lie in the ring, and their lines. */
#ifndef RISKBUS_LINES_H
#define RISKBUS_LINES_H

#include "module.h"
#include "ring.h"

enum {
    HASH = 32,
    MOST_HASHES = 65, /* in the edge of a tree, with one more while it grows */
    LONG = 8,         /* as in ring.py, beside a kind: the body is in a file */
    LINE_EXTRA = 62,  /* bytes of a line beside body and digits: `{"seq":`, and 55 for hash and line feed */
    MOST_DIGITS = 20,
    LONGEST_LINE = RING_ROOM + MOST_DIGITS + LINE_EXTRA,
};

/* The Merkle tree over all records so far. */
typedef struct {
    uint8_t edge[HASH * MOST_HASHES];
    int height; /* hashes in the edge */
    void *context;
} Tree;

/* Look for libcrypto; 0 where there is none. */
int find_sha256(void);

/* What a tree hashes with, NULL where that is not to be had; for one thread at a time. */
void *new_hash(void);
void free_hash(void *context);

/* Hash a record that lacks its last brace, or two nodes of a tree; 0 where that fails. */
int leaf_of(void *context, const uint8_t *record, size_t length, uint8_t *leaf);
int parent_of(void *context, const uint8_t *pair, uint8_t *parent);

/* Write a hash as 44 characters; return where they end. */
uint8_t *to_base64(const uint8_t *hash, uint8_t *text);

/* How many hashes the edge of a tree over so many records has. */
static inline int height_of(uint64_t size) { return __builtin_popcountll(size); }

/* Whether a word names this record, and the record is a usual one: wholly in its slot, two braces at least. */
static inline int is_usual(uint64_t word, uint64_t seq)
{
    uint64_t length = word & ((1 << RING_KIND_SHIFT) - 1);
    return word >> RING_SHIFT == seq + 1 && !(word >> RING_KIND_SHIFT & LONG) && length >= 2 && length <= RING_ROOM;
}

static inline size_t length_of(uint64_t word) { return word & ((1 << RING_KIND_SHIFT) - 1); }

static inline unsigned kind_of(uint64_t word) { return word >> RING_KIND_SHIFT & 15; }

/* Write a number; return how many digits it has. */
int digits_of(uint64_t number, char *digits);

/* Write the line of a usual record whose slot has this word, and add it to the tree; return where it ends, NULL if it
   could not be hashed. */
uint8_t *write_line(Tree *tree, const Ring *ring, uint64_t seq, uint64_t word, uint8_t *line);

#endif
