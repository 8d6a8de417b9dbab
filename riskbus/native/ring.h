/* The layout of a staging ring, as riskbus/store/ring.py and ring_header.py describe it; the tests compare them. */
#ifndef RISKBUS_RING_H
#define RISKBUS_RING_H

#include <stdint.h>
#include <string.h>

enum {
    RING_HEADER = 3 * 4096,
    RING_SLOT = 512,
    RING_ANNEX = 512,
    RING_NEAR = RING_SLOT - 8,
    RING_ROOM = RING_NEAR + RING_ANNEX,
    RING_SHIFT = 24,
    RING_KIND_SHIFT = 20,
    /* indices of the header's words */
    RING_RELEASED = 1,
    RING_ALIVE = 13,
    RING_STOP = 14,
    RING_AWAITED = 15,
    RING_OVERFLOWING = 16,
    RING_SPILLED = 17,
    /* where the two edges of the tree begin: size, length, hashes */
    RING_EDGE = 4096,
    RING_OTHER_EDGE = 2 * 4096,
    /* what RING_AWAITED says */
    RING_WAITING = 1,
    RING_LISTENING = 2,
};

typedef struct {
    uint8_t *memory;
    uint64_t slots;
} Ring;

static inline uint64_t ring_header(const Ring *ring, int index)
{
    return __atomic_load_n((const uint64_t *)ring->memory + index, __ATOMIC_ACQUIRE);
}

static inline void ring_set_header(const Ring *ring, int index, uint64_t value)
{
    __atomic_store_n((uint64_t *)ring->memory + index, value, __ATOMIC_RELEASE);
}

static inline uint64_t ring_released(const Ring *ring) { return ring_header(ring, RING_RELEASED); }

static inline uint64_t *ring_word(const Ring *ring, uint64_t seq)
{
    return (uint64_t *)(ring->memory + RING_HEADER + (seq & (ring->slots - 1)) * RING_SLOT + RING_NEAR);
}

/* Whether so many bytes of memory are a ring of so many slots. */
static inline int is_ring(const Ring *ring, size_t size)
{
    return ring->slots > 0 && (ring->slots & (ring->slots - 1)) == 0 && size >= RING_HEADER &&
           ring->slots <= (size - RING_HEADER) / (RING_SLOT + RING_ANNEX);
}

/* Have the processor fetch the slot after this one, as much of it as the last body took: memory that was not touched
   for thousands of records is a wait for each of its lines. Asking does not wait. */
static inline void ring_fetch_next(const Ring *ring, uint64_t seq, size_t length)
{
    uint64_t *word = ring_word(ring, seq + 1);
    const uint8_t *slot = (uint8_t *)word - RING_NEAR;
    for (size_t offset = 0; offset < length && offset < RING_NEAR; offset += 64)
        __builtin_prefetch(slot + offset, 1);
    __builtin_prefetch(word, 1);
}

/* Accept a body of at most RING_ROOM bytes, the word last: see the commit protocol in ring.py. */
static inline void ring_put(const Ring *ring, uint64_t seq, const void *body, size_t length, uint64_t kind)
{
    uint64_t index = seq & (ring->slots - 1);
    uint8_t *slot = ring->memory + RING_HEADER + index * RING_SLOT;
    size_t near = length < RING_NEAR ? length : RING_NEAR;
    memcpy(slot, body, near);
    if (length > near)
        memcpy(ring->memory + RING_HEADER + ring->slots * RING_SLOT + index * RING_ANNEX, (const uint8_t *)body + near,
               length - near);
    uint64_t word = (seq + 1) << RING_SHIFT | kind << RING_KIND_SHIFT | length;
    __atomic_store_n(ring_word(ring, seq), word, __ATOMIC_RELEASE);
}

/* Copy a body of at most RING_ROOM bytes from its slot. */
static inline void ring_get(const Ring *ring, uint64_t seq, uint8_t *body, size_t length)
{
    uint64_t index = seq & (ring->slots - 1);
    size_t near = length < RING_NEAR ? length : RING_NEAR;
    memcpy(body, ring->memory + RING_HEADER + index * RING_SLOT, near);
    memcpy(body + near, ring->memory + RING_HEADER + ring->slots * RING_SLOT + index * RING_ANNEX, length - near);
}

/* Free the slots of all numbers below this one, over which the tree has this edge: see Header.release. */
static inline void ring_release(const Ring *ring, uint64_t below, const uint8_t *edge, size_t length)
{
    uint64_t *words = (uint64_t *)ring->memory;
    int place = words[RING_EDGE >> 3] != ring_released(ring) ? RING_EDGE : RING_OTHER_EDGE;
    words[(place >> 3) + 1] = length;
    memcpy(ring->memory + place + 16, edge, length);
    ring_set_header(ring, place >> 3, below);
    ring_set_header(ring, RING_RELEASED, below);
}

#endif
