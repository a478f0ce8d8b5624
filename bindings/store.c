/* SPDX-License-Identifier: MIT */
#include "store.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LEAST_BUCKETS 8

struct entry {
    struct entry *next; /* in its bucket */
    size_t hash;
    struct ph_key key; /* its bytes: behind the entry */
    unsigned char *value;
    size_t len, cap;
};

struct ph_shared {
    struct ph_store *store;
    struct ph_shared *next, **link; /* in the store */
    size_t handles;
    struct entry **buckets;
    size_t bucket_count; /* a power of two */
    uint64_t seed;
    size_t count;
    char name[];
};

/* ---- The lock ----------------------------------------------------------- */

void ph_store_enter(struct ph_store *store)
{
    if (store->lock)
        ph_lock_enter(store->lock);
}

void ph_store_leave(struct ph_store *store)
{
    if (store->lock)
        ph_lock_leave(store->lock);
}

size_t ph_store_bytes(struct ph_store *store)
{
    size_t bytes;
    ph_store_enter(store);
    bytes = store->bytes;
    ph_store_leave(store);
    return bytes;
}

/* ---- Tables ------------------------------------------------------------- */

static struct ph_shared *find_table(const struct ph_store *store,
                                    const char *name, size_t len)
{
    struct ph_shared *at = store->first;
    while (at && (strlen(at->name) != len || memcmp(at->name, name, len) != 0))
        at = at->next;
    return at;
}

/* Keys are what clients send: whoever knew the seed could have all of them in
 * one bucket. As Lua does for its strings, from addresses and the time. */
static uint64_t make_seed(const struct ph_shared *shared)
{
    const uint64_t parts[] = {(uint64_t)(uintptr_t)shared,
                              (uint64_t)(uintptr_t)&parts,
                              (uint64_t)(uintptr_t)make_seed,
                              (uint64_t)time(NULL), (uint64_t)clock()};
    uint64_t seed = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        seed = (seed ^ parts[i]) * UINT64_C(0x9e3779b97f4a7c15);
        seed ^= seed >> 29;
    }
    return seed;
}

static struct ph_shared *new_table(struct ph_store *store, const char *name,
                                   size_t len)
{
    struct ph_shared *shared = calloc(1, sizeof *shared + len + 1);
    if (!shared)
        return NULL;
    shared->buckets = calloc(LEAST_BUCKETS, sizeof *shared->buckets);
    if (!shared->buckets) {
        free(shared);
        return NULL;
    }
    shared->bucket_count = LEAST_BUCKETS;
    shared->seed = make_seed(shared);
    memcpy(shared->name, name, len);
    shared->store = store;
    shared->next = store->first;
    if (shared->next)
        shared->next->link = &shared->next;
    shared->link = &store->first;
    store->first = shared;
    return shared;
}

static void free_unused(struct ph_shared *shared)
{
    if (shared->handles || shared->count)
        return;
    *shared->link = shared->next;
    if (shared->next)
        shared->next->link = shared->link;
    free(shared->buckets);
    free(shared);
}

struct ph_shared *ph_shared_open(struct ph_store *store, const char *name,
                                 size_t len)
{
    struct ph_shared *shared;
    assert(strlen(name) == len);
    ph_store_enter(store);
    shared = find_table(store, name, len);
    if (!shared)
        shared = new_table(store, name, len);
    if (shared)
        shared->handles++;
    ph_store_leave(store);
    return shared;
}

void ph_shared_close(struct ph_shared *shared)
{
    struct ph_store *store = shared->store;
    ph_store_enter(store);
    assert(shared->handles);
    shared->handles--;
    free_unused(shared);
    ph_store_leave(store);
}

const char *ph_shared_name(const struct ph_shared *shared)
{
    return shared->name;
}

/* ---- Entries ------------------------------------------------------------ */

/* FNV-1a. */
static size_t hash_of(const struct ph_shared *shared, const struct ph_key *key)
{
    const unsigned char *bytes = key->bytes;
    uint64_t hash = shared->seed + key->integer;
    for (size_t i = 0; i < key->len; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(1099511628211);
    return (size_t)(hash ^ hash >> 32);
}

static bool same_key(const struct entry *entry, const struct ph_key *key,
                     size_t hash)
{
    return entry->hash == hash && entry->key.integer == key->integer &&
           entry->key.len == key->len &&
           memcmp(entry->key.bytes, key->bytes, key->len) == 0;
}

/* Where the entry is linked, or would be. */
static struct entry **find(const struct ph_shared *shared,
                           const struct ph_key *key, size_t hash)
{
    struct entry **at = &shared->buckets[hash & (shared->bucket_count - 1)];
    while (*at && !same_key(*at, key, hash))
        at = &(*at)->next;
    return at;
}

static size_t cost(const struct entry *entry)
{
    return sizeof *entry + entry->key.len + entry->cap;
}

static void free_entry(struct ph_shared *shared, struct entry **at)
{
    struct entry *entry = *at;
    *at = entry->next;
    assert(shared->store->bytes >= cost(entry) && shared->count);
    shared->store->bytes -= cost(entry);
    shared->count--;
    free(entry->value);
    free(entry);
}

/* Without memory for more buckets there are longer chains. */
static void grow(struct ph_shared *shared)
{
    size_t count = shared->bucket_count * 2;
    struct entry **buckets = calloc(count, sizeof *buckets), *entry, *next;
    if (!buckets)
        return;
    for (size_t i = 0; i < shared->bucket_count; i++)
        for (entry = shared->buckets[i]; entry; entry = next) {
            struct entry **to = &buckets[entry->hash & (count - 1)];
            next = entry->next;
            entry->next = *to;
            *to = entry;
        }
    free(shared->buckets);
    shared->buckets = buckets;
    shared->bucket_count = count;
}

const void *ph_shared_get(const struct ph_shared *shared,
                          const struct ph_key *key, size_t *len)
{
    const struct entry *entry = *find(shared, key, hash_of(shared, key));
    *len = entry ? entry->len : 0;
    return entry ? entry->value : NULL;
}

/* ---- Changes ------------------------------------------------------------ */

static bool fits(const struct ph_store *store, size_t more)
{
    return more <= PH_STORE_MAX - store->bytes;
}

static enum ph_status add(struct ph_shared *shared, const struct ph_key *key,
                          size_t len, struct entry **out)
{
    size_t size = sizeof **out + key->len;
    struct entry *entry;
    if (len > PH_STORE_MAX || key->len > PH_STORE_MAX ||
        !fits(shared->store, size + len))
        return PH_TOOBIG;
    entry = calloc(1, size);
    if (!entry)
        return PH_NOMEM;
    entry->value = malloc(len);
    if (!entry->value) {
        free(entry);
        return PH_NOMEM;
    }
    entry->cap = len;
    entry->key = *key;
    entry->key.bytes = memcpy(entry + 1, key->bytes, key->len);
    entry->hash = hash_of(shared, key);
    shared->store->bytes += cost(entry);
    if (++shared->count > shared->bucket_count)
        grow(shared);
    *find(shared, key, entry->hash) = entry;
    *out = entry;
    return PH_OK;
}

/* Much too big a buffer is given back too. */
static enum ph_status resize(struct ph_store *store, struct entry *entry,
                             size_t len)
{
    unsigned char *value;
    if (len <= entry->cap && len >= entry->cap / 4)
        return PH_OK;
    if (len > entry->cap && !fits(store, len - entry->cap))
        return PH_TOOBIG;
    value = realloc(entry->value, len);
    if (!value)
        return PH_NOMEM;
    store->bytes += len;
    store->bytes -= entry->cap;
    entry->value = value;
    entry->cap = len;
    return PH_OK;
}

enum ph_status ph_shared_set(struct ph_shared *shared, const struct ph_key *key,
                             const void *bytes, size_t len)
{
    struct entry *entry = *find(shared, key, hash_of(shared, key));
    enum ph_status status = entry ? resize(shared->store, entry, len)
                                  : add(shared, key, len, &entry);
    assert(len);
    if (status != PH_OK)
        return status;
    memcpy(entry->value, bytes, len);
    entry->len = len;
    return PH_OK;
}

void ph_shared_remove(struct ph_shared *shared, const struct ph_key *key)
{
    struct entry **at = find(shared, key, hash_of(shared, key));
    if (*at)
        free_entry(shared, at);
}

bool ph_shared_next(const struct ph_shared *shared, const struct ph_key *after,
                    struct ph_key *out)
{
    struct entry *entry = NULL;
    size_t i = 0;
    if (after) {
        size_t hash = hash_of(shared, after);
        i = (hash & (shared->bucket_count - 1)) + 1;
        entry = (*find(shared, after, hash))->next;
    }
    while (!entry && i < shared->bucket_count)
        entry = shared->buckets[i++];
    if (entry)
        *out = entry->key;
    return entry != NULL;
}

void ph_store_clear(struct ph_store *store)
{
    struct ph_shared *shared = store->first, *next;
    for (; shared; shared = next) {
        next = shared->next;
        for (size_t i = 0; i < shared->bucket_count; i++)
            while (shared->buckets[i])
                free_entry(shared, &shared->buckets[i]);
        free_unused(shared);
    }
    assert(store->bytes == 0);
}
