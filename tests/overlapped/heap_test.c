/* SPDX-License-Identifier: MIT */
/* The memory of a state (host/heap.c), on slabs that are counted here. */
#undef PH_PLAIN_HEAP
#include "heap.c"

#include "check.h"

#define BLOCKS 3000
#define ROUNDS 200000

static int slabs, slabs_most;

void *ph_slab_take(void)
{
    /* No aligned_alloc on Windows: the block before it is lost in this test. */
    static unsigned char memory[64 * PH_SLAB];
    static void *given[64];
    uintptr_t first = ((uintptr_t)memory + PH_SLAB - 1) / PH_SLAB * PH_SLAB;
    if (slabs >= slabs_most)
        return NULL;
    for (size_t i = 0; i < 63; i++) {
        if (given[i])
            continue;
        given[i] = (void *)(first + i * PH_SLAB);
        slabs++;
        return given[i];
    }
    return NULL;
}
