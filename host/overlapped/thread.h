/* SPDX-License-Identifier: MIT */
/* Threads of the host, each of which runs a port, and what they share. */
#ifndef PH_THREAD_H
#define PH_THREAD_H

#include "overlapped.h"

struct ph_thread;
struct ph_lock;

/* Has a new thread call run(user). PH_OK with *out; PH_NOMEM; PH_SYSTEM: the
 * system has no more of them. */
enum ph_status ph_thread_start(struct ph_thread **out, void (*run)(void *user),
                               void *user);

/* Waits until run has returned, and frees the thread. */
void ph_thread_join(struct ph_thread *thread);

/* A lock that the thread which has it may enter again. NULL: no memory. */
struct ph_lock *ph_lock_new(void);

/* Nobody has it. NULL is allowed. */
void ph_lock_free(struct ph_lock *lock);

/* Waits until no other thread has it. Leave it as often as it was entered. */
void ph_lock_enter(struct ph_lock *lock);
/* Of a lock that this thread has. */
void ph_lock_leave(struct ph_lock *lock);

#endif
