/* SPDX-License-Identifier: MIT */
/*
 * The memory of one lua_State. Lua says how long a block is when it gives it
 * back, so short ones need no header: they come from slabs of equal blocks,
 * in a few instructions. Long ones are malloc's.
 *
 * A slab whose blocks are all free serves any length again, so that what a script
 * has once used of one length is not lost for the others.
 */
#ifndef PH_HEAP_H
#define PH_HEAP_H

#include <stddef.h>

#define PH_HEAP_STEP 16
#define PH_HEAP_SHORT 256 /* longest block from a slab */

struct ph_slab;

/* Zeroed before use. `open`: of each length, the slabs with a free block. */
struct ph_heap {
    struct ph_slab *open[PH_HEAP_SHORT / PH_HEAP_STEP];
    struct ph_slab *spare; /* slabs without a block in use, linked by next */
    unsigned spares;
};

/* As realloc: `block` (NULL: none, and `old` is 0) has `old` bytes and is to
 * have `size`, more than 0. NULL: no memory, the block is as it was. */
void *ph_heap_resize(struct ph_heap *heap, void *block, size_t old,
                     size_t size);

/* Gives back a block of `size` bytes; NULL and 0: nothing. */
void ph_heap_free(struct ph_heap *heap, void *block, size_t size);

/* Gives the spare slabs back to the system; no block is left. */
void ph_heap_close(struct ph_heap *heap);

#endif
