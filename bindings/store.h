/* SPDX-License-Identifier: MIT */
/*
 * The values that the scripts of a host share, as bytes: what pipehost.shared
 * gives access to. Each name is a table of its own. Nothing here knows of Lua.
 */
#ifndef PH_STORE_H
#define PH_STORE_H

#include "overlapped.h"
#include "thread.h"

#define PH_STORE_MAX ((size_t)64 << 20) /* bytes of a host, keys included */

struct ph_shared;

/* All of a host's tables; zeroed before use. */
struct ph_store {
    struct ph_shared *first;
    size_t bytes;         /* that keys and values take */
    struct ph_lock *lock; /* the owner's; NULL: one thread uses it */
};

/* All functions below, but for open, close and bytes, are for who has the lock,
 * where there is one; it may be entered again. */
void ph_store_enter(struct ph_store *store);
/* Of one that this thread has entered. */
void ph_store_leave(struct ph_store *store);

/* The bytes that keys and values take. */
size_t ph_store_bytes(struct ph_store *store);

/* A key: the bytes of a text, or of an integer (lua_Integer). */
struct ph_key {
    const void *bytes;
    size_t len;
    bool integer;
};

/* A handle of the table of this name, made when there is none. NULL: no
 * memory. */
struct ph_shared *ph_shared_open(struct ph_store *store, const char *name,
                                 size_t len);

/* The handle is given up; the table stays while it has values. */
void ph_shared_close(struct ph_shared *shared);

/* The name, ended by a zero; it lives as long as the handle. */
const char *ph_shared_name(const struct ph_shared *shared);

/* The value's bytes, valid until the table is changed, and their number; NULL:
 * there is none. */
const void *ph_shared_get(const struct ph_shared *shared,
                          const struct ph_key *key, size_t *len);

/* Copies the value. PH_OK; PH_TOOBIG: the host's values would be more than
 * PH_STORE_MAX; PH_NOMEM. Then the value is what it was. */
enum ph_status ph_shared_set(struct ph_shared *shared, const struct ph_key *key,
                             const void *bytes, size_t len);

/* Nothing happens where the key has no value. */
void ph_shared_remove(struct ph_shared *shared, const struct ph_key *key);

/* The key after this one, in no order; NULL: the first. Gives false after the
 * last one. A key is valid until the table is changed. */
bool ph_shared_next(const struct ph_shared *shared, const struct ph_key *after,
                    struct ph_key *out);

/* Removes every value; the handles stay. */
void ph_store_clear(struct ph_store *store);

#endif
