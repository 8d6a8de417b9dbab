/* `Rounds`: the turns of a writer while all is well, many of them without the interpreter between.

   A turn is: wait, take what lies in the ring, write its lines, sync, release. Whatever is unusual ends the rounds
   before it happens, and is left to riskbus.runtime.writer: a record that is long or lies elsewhere, another day, a
   full segment, somebody who waits, the end. After an error of the kernel nothing of the turn counts: its records still
   lie in the ring. */
#include "rounds.h"

#include <errno.h>
#include <unistd.h>

static const int64_t SECOND_NS = 1000000000;

typedef enum { GO_ON, PAUSE, LEAVE } Next;

/* Whether a usual record of the day lies in the ring; its word then is the next of `words`. */
static int look(Rounds *self, uint64_t seq, uint64_t *word)
{
    *word = __atomic_load_n(ring_word(&self->ring, seq), __ATOMIC_ACQUIRE);
    const size_t length = sizeof self->day - 1;
    return is_usual(*word, seq) && length_of(*word) > length &&
           memcmp((uint8_t *)ring_word(&self->ring, seq) - RING_NEAR, self->day, length) == 0;
}

/* Whether this number, which is not in the ring, may have a slot in an area beside it. */
static int may_lie_beside(const Rounds *self, uint64_t seq)
{
    return seq >= self->near && seq < ring_header(&self->ring, RING_SPILLED);
}

static int write_all(Rounds *self, const uint8_t *data, size_t size)
{
    while (size > 0) {
        ssize_t taken = write(self->descriptor, data, size);
        if (taken < 0 && errno != EINTR)
            return self->error = errno, 0;
        if (taken > 0) {
            data += taken;
            size -= (size_t)taken;
        }
    }
    return 1;
}

static int sync_all(Rounds *self)
{
    int64_t started_ns = clock_ns(CLOCK_MONOTONIC);
    int status;
    do
        status = fdatasync(self->descriptor);
    while (status < 0 && errno == EINTR);
    self->syncs_ns[self->turns] = clock_ns(CLOCK_MONOTONIC) - started_ns;
    return status == 0 ? 1 : (self->error = errno, 0);
}

/* Write the lines of so many records; how many bytes they have, 0 if that is not possible. */
static size_t write_lines(Rounds *self, Tree *tree, size_t count)
{
    size_t size = 0;
    uint8_t *end = self->buffer;
    for (size_t index = 0; index < count; index++) {
        end = write_line(tree, &self->ring, self->next + index, self->words[index], end);
        if (end == NULL)
            return self->error = EIO, 0; /* libcrypto refused; what was written of the turn must not be repeated here */
        if (index + 1 == count || end - self->buffer > BUFFER - LONGEST_LINE) {
            if (!write_all(self, self->buffer, (size_t)(end - self->buffer)))
                return 0;
            size += (size_t)(end - self->buffer);
            end = self->buffer;
        }
    }
    return size;
}

/* Count what is durable now, and tell of it in the ring. */
static void settle(Rounds *self, const Tree *tree, size_t count, size_t size)
{
    self->next += count;
    self->tree = *tree;
    ring_release(&self->ring, self->next, tree->edge, (size_t)(HASH * tree->height));
    for (size_t index = 0; index < count; index++)
        self->kinds[kind_of(self->words[index])]++;
    self->size += size;
    self->room -= (Py_ssize_t)size;
    self->turns++;
    if (ring_header(&self->ring, RING_AWAITED)) {
        self->moments[self->moment_count][0] = (int64_t)self->next;
        self->moments[self->moment_count++][1] = clock_ns(CLOCK_MONOTONIC);
    }
}

static int64_t events_of(const Rounds *self)
{
    int64_t sum = 0;
    for (int kind = 0; kind < CHECKPOINT; kind++)
        sum += self->kinds[kind];
    return sum;
}

static Next turn(Rounds *self)
{
    int64_t now_ns = self->turn_ns = clock_ns(CLOCK_MONOTONIC);
    ring_set_header(&self->ring, RING_ALIVE, (uint64_t)now_ns);
    self->full = 0;
    if (__atomic_load_n(&self->abandoned, __ATOMIC_ACQUIRE) || ring_header(&self->ring, RING_STOP) ||
        ring_header(&self->ring, RING_OVERFLOWING) || self->room < 1 || self->overdue)
        return LEAVE;
    size_t count = 0;
    uint64_t word = 0;
    while (count < MOST_RECORDS && look(self, self->next + count, &word))
        self->words[count++] = word;
    uint64_t following = self->next + count;
    int unusual = count < MOST_RECORDS && (word >> RING_SHIFT == following + 1 || may_lie_beside(self, following));
    if (count > 0) {
        Tree tree = self->tree;
        size_t size = write_lines(self, &tree, count);
        if (size == 0 || !sync_all(self) || __atomic_load_n(&self->abandoned, __ATOMIC_ACQUIRE))
            return LEAVE;
        settle(self, &tree, count, size);
        self->busy_ns = now_ns;
        self->full = count == MOST_RECORDS;
    }
    if (unusual)
        return LEAVE;
    if (now_ns >= self->until_ns || self->turns == MOST_TURNS ||
        ring_header(&self->ring, RING_AWAITED) == RING_WAITING || (now_ns >= self->seal_ns && events_of(self) > 0))
        return self->usual = 1, LEAVE;
    return self->full ? GO_ON : PAUSE;
}

/* Wait until it is time for the next turn, or the bell rings; 0 if something else happened. */
static int wait_for_turn(Rounds *self)
{
    int64_t now_ns = clock_ns(CLOCK_MONOTONIC), wait_ns = self->rest_ns;
    if (now_ns - self->busy_ns < SECOND_NS && self->tick_ns > 0) {
        wait_ns = self->turn_ns + self->tick_ns - now_ns; /* from turn to turn, however long the last one took */
        if (wait_ns < self->least_ns)
            wait_ns = self->least_ns;
    }
    if (self->bell != NULL)
        return bell_wait(self->bell, wait_ns), 1;
    struct timespec wait = {.tv_sec = wait_ns / SECOND_NS, .tv_nsec = wait_ns % SECOND_NS};
    if (ppoll(self->polled, (nfds_t)self->polled_count, &wait, NULL) <= 0)
        return 1;
    uint64_t rung;
    if (self->polled[0].revents & POLLIN && read(self->polled[0].fd, &rung, sizeof rung) < 0)
        return 1; /* another thread has heard it */
    for (int index = 1; index < self->polled_count; index++)
        if (self->polled[index].revents)
            return 0;
    return 1;
}

void make_rounds(Rounds *self)
{
    Next next = self->full ? GO_ON : PAUSE;
    self->usual = 0;
    self->overdue = clock_ns(CLOCK_MONOTONIC) >= self->until_ns;
    while (next != LEAVE && (next == GO_ON || wait_for_turn(self)))
        next = turn(self);
}
