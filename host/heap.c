/* SPDX-License-Identifier: MIT */
#include "heap.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "platform.h"

#define SPARES 4     /* kept for the next who needs one */
#define AT_ONCE 32   /* blocks that are linked in one go */

/* Of PH_SLAB bytes, at a multiple of that: so a block finds its slab. Blocks
 * from `fresh` on have never been used, nor their pages touched. */
struct ph_slab {
    struct ph_slab *next, **link; /* in heap->open; link NULL: it is full */
    void *free;
    unsigned char *fresh;
    unsigned used, length; /* blocks in use; bytes of each */
};

static struct ph_slab **open_of(struct ph_heap *heap, size_t size)
{
    assert(size && size <= PH_HEAP_SHORT);
    return &heap->open[(size - 1) / PH_HEAP_STEP];
}

static struct ph_slab *slab_of(void *block)
{
    return (struct ph_slab *)((uintptr_t)block & ~(uintptr_t)(PH_SLAB - 1));
}

static void enlist(struct ph_slab **list, struct ph_slab *slab)
{
    slab->next = *list;
    if (slab->next)
        slab->next->link = &slab->next;
    slab->link = list;
    *list = slab;
}

static void delist(struct ph_slab *slab)
{
    *slab->link = slab->next;
    if (slab->next)
        slab->next->link = slab->link;
    slab->link = NULL;
}

/* Makes some of the untouched blocks free ones. */
static bool freshen(struct ph_slab *slab)
{
    unsigned char *end = (unsigned char *)slab + PH_SLAB;
    for (int i = 0; i < AT_ONCE; i++) {
        if ((size_t)(end - slab->fresh) < slab->length)
            break;
        *(void **)slab->fresh = slab->free;
        slab->free = slab->fresh;
        slab->fresh += slab->length;
    }
    return slab->free != NULL;
}

static struct ph_slab *new_slab(struct ph_heap *heap, struct ph_slab **list,
                                size_t size)
{
    struct ph_slab *slab = heap->spare;
    size_t length = (size + PH_HEAP_STEP - 1) / PH_HEAP_STEP * PH_HEAP_STEP;
    if (slab) {
        heap->spare = slab->next;
        heap->spares--;
    } else {
        slab = ph_slab_take();
    }
    if (!slab)
        return NULL;
    *slab = (struct ph_slab){.length = (unsigned)length};
    /* The first block lies at a multiple of what malloc's are aligned to. */
    slab->fresh = (unsigned char *)slab + (sizeof *slab + 15) / 16 * 16;
    enlist(list, slab);
    return slab;
}

/* The first one has no free block at hand. Full ones leave the list until
 * something of theirs is given back. */
static struct ph_slab *refill(struct ph_heap *heap, struct ph_slab **list,
                              size_t size)
{
    while (*list && !(*list)->free && !freshen(*list))
        delist(*list);
    if (*list)
        return *list;
    struct ph_slab *slab = new_slab(heap, list, size);
    if (slab)
        freshen(slab);
    return slab;
}

static void *take_short(struct ph_heap *heap, size_t size)
{
    struct ph_slab **list = open_of(heap, size), *slab = *list;
    if (!slab || !slab->free)
        slab = refill(heap, list, size);
    if (!slab)
        return NULL;
    void *block = slab->free;
    slab->free = *(void **)block;
    slab->used++;
    return block;
}

/* All of its blocks are free. The last of its length stays: else each string of
 * a loop might take a slab and give it back. */
static void retire(struct ph_heap *heap, struct ph_slab *slab)
{
    if (!slab->next && slab == *open_of(heap, slab->length))
        return;
    delist(slab);
    if (heap->spares == SPARES) {
        ph_slab_give(slab);
        return;
    }
    slab->next = heap->spare;
    heap->spare = slab;
    heap->spares++;
}

static void give_short(struct ph_heap *heap, void *block)
{
    struct ph_slab *slab = slab_of(block);
    assert(slab->used && slab->used <= PH_SLAB / slab->length);
    *(void **)block = slab->free;
    slab->free = block;
    slab->used--;
    if (!slab->link)
        enlist(open_of(heap, slab->length), slab);
    if (!slab->used)
        retire(heap, slab);
}

/* The sanitizer is to see each block as one of malloc's. */
static bool is_short(size_t size)
{
#ifdef PH_PLAIN_HEAP
    (void)size;
    return false;
#else
    return size <= PH_HEAP_SHORT;
#endif
}

void ph_heap_free(struct ph_heap *heap, void *block, size_t size)
{
    if (size && is_short(size))
        give_short(heap, block);
    else
        free(block);
}

static void *move(struct ph_heap *heap, void *block, size_t old, size_t size)
{
    void *other = is_short(size) ? take_short(heap, size) : malloc(size);
    if (!other)
        return NULL;
    memcpy(other, block, old < size ? old : size);
    ph_heap_free(heap, block, old);
    return other;
}

void *ph_heap_resize(struct ph_heap *heap, void *block, size_t old,
                     size_t size)
{
    assert(size && !block == !old);
    if (!block)
        return is_short(size) ? take_short(heap, size) : malloc(size);
    if (!is_short(old) && !is_short(size))
        return realloc(block, size);
    if (is_short(old) && is_short(size) &&
        open_of(heap, old) == open_of(heap, size))
        return block;
    return move(heap, block, old, size);
}

void ph_heap_close(struct ph_heap *heap)
{
    for (size_t i = 0; i < sizeof heap->open / sizeof *heap->open; i++) {
        struct ph_slab *slab = heap->open[i];
        assert(!slab || (!slab->next && !slab->used));
        if (slab)
            ph_slab_give(slab);
    }
    while (heap->spare) {
        struct ph_slab *slab = heap->spare;
        heap->spare = slab->next;
        ph_slab_give(slab);
    }
}
