/* SPDX-License-Identifier: MIT */
/* The memory of a state (host/heap.c), on slabs that are counted here. */
#undef PH_PLAIN_HEAP
#include "heap.c"

#include "check.h"

#define SLABS   64
#define BLOCKS  4000
#define ROUNDS  100000
#define LONGEST 600

static struct {
    unsigned char memory[(SLABS + 1) * PH_SLAB];
    bool given[SLABS];
    int count, most;
} slabs;

void *ph_slab_take(void)
{
    uintptr_t first =
        ((uintptr_t)slabs.memory + PH_SLAB - 1) / PH_SLAB * PH_SLAB;
    for (size_t i = 0; i < SLABS && slabs.count < slabs.most; i++) {
        if (slabs.given[i])
            continue;
        slabs.given[i] = true;
        slabs.count++;
        return (void *)(first + i * PH_SLAB);
    }
    return NULL;
}

void ph_slab_give(void *slab)
{
    uintptr_t first =
        ((uintptr_t)slabs.memory + PH_SLAB - 1) / PH_SLAB * PH_SLAB;
    size_t i = ((uintptr_t)slab - first) / PH_SLAB;
    expect(i < SLABS && slabs.given[i]);
    slabs.given[i] = false;
    slabs.count--;
}

struct block {
    unsigned char *bytes;
    size_t size;
};

static struct block blocks[BLOCKS];

static void fill(struct block *block, size_t from)
{
    for (size_t i = from; i < block->size; i++)
        block->bytes[i] = (unsigned char)((size_t)(block - blocks) + i);
}

static bool is_whole(const struct block *block, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (block->bytes[i] != (unsigned char)((size_t)(block - blocks) + i))
            return false;
    return true;
}

static void resize(struct ph_heap *heap, struct block *block, size_t size)
{
    size_t kept = block->size < size ? block->size : size;
    void *more = size ? ph_heap_resize(heap, block->bytes, block->size, size)
                      : NULL;
    if (size && !more) {
        expect(is_whole(block, block->size)); /* it is as it was */
        return;
    }
    if (!size)
        ph_heap_free(heap, block->bytes, block->size);
    block->bytes = more;
    expect(is_whole(block, kept));
    block->size = size;
    fill(block, kept);
}

static void free_all(struct ph_heap *heap)
{
    for (size_t i = 0; i < BLOCKS; i++)
        resize(heap, &blocks[i], 0);
}

/* Whatever is taken, changed and given back, in whatever order: no block is
 * touched by another's. */
static void any_order(struct bed *bed)
{
    struct ph_heap heap = {0};
    uint32_t random = 1;
    (void)bed;
    slabs.most = SLABS;
    for (int i = 0; i < ROUNDS; i++) {
        struct block *block = &blocks[next_random(&random) % BLOCKS];
        bool away = next_random(&random) % 3 == 0;
        resize(&heap, block, away ? 0 : next_random(&random) % LONGEST);
    }
    free_all(&heap);
    ph_heap_close(&heap);
    expect(slabs.count == 0);
}

/* Memory that was used for one length serves the others afterwards. */
static void other_lengths(struct bed *bed)
{
    struct ph_heap heap = {0};
    int most = 0;
    (void)bed;
    slabs.most = SLABS;
    for (size_t size = 16; size <= PH_HEAP_SHORT; size += 16) {
        for (size_t i = 0; i < BLOCKS; i++)
            resize(&heap, &blocks[i], size);
        if (slabs.count > most)
            most = slabs.count;
        free_all(&heap);
        /* One of each length so far, and the spare ones. */
        expect(slabs.count <= (int)(size / 16) + SPARES);
    }
    expect(most <= BLOCKS * PH_HEAP_SHORT / (int)PH_SLAB + 24);
    ph_heap_close(&heap);
    expect(slabs.count == 0);
}

/* No slab is left: nothing is taken, what is there stays. */
static void no_memory(struct bed *bed)
{
    struct ph_heap heap = {0};
    (void)bed;
    slabs.most = 2;
    for (size_t i = 0; i < BLOCKS; i++)
        resize(&heap, &blocks[i], 100);
    expect(blocks[0].size == 100 && blocks[BLOCKS - 1].size == 0);
    expect(slabs.count == 2);
    resize(&heap, &blocks[0], 200); /* another length needs a slab */
    expect(blocks[0].size == 100);
    resize(&heap, &blocks[0], 300); /* malloc's */
    expect(blocks[0].size == 300);
    free_all(&heap);
    ph_heap_close(&heap);
    expect(slabs.count == 0);
}

int main(void)
{
    run_test("any order", any_order);
    run_test("other lengths", other_lengths);
    run_test("no memory", no_memory);
    return tests_end();
}
