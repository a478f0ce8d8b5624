/* SPDX-License-Identifier: MIT */
#include "thread.h"

#include <pthread.h>
#include <stdlib.h>

struct ph_thread {
    pthread_t id;
    void (*run)(void *user);
    void *user;
};

struct ph_lock {
    pthread_mutex_t mutex;
};

static void *begin(void *argument)
{
    struct ph_thread *thread = argument;
    thread->run(thread->user);
    return NULL;
}

enum ph_status ph_thread_start(struct ph_thread **out, void (*run)(void *user),
                               void *user)
{
    struct ph_thread *thread = calloc(1, sizeof *thread);
    if (!thread)
        return PH_NOMEM;
    thread->run = run;
    thread->user = user;
    if (pthread_create(&thread->id, NULL, begin, thread) != 0) {
        free(thread);
        return PH_SYSTEM;
    }
    *out = thread;
    return PH_OK;
}

void ph_thread_join(struct ph_thread *thread)
{
    pthread_join(thread->id, NULL);
    free(thread);
}

struct ph_lock *ph_lock_new(void)
{
    struct ph_lock *lock = malloc(sizeof *lock);
    pthread_mutexattr_t kind;
    if (!lock)
        return NULL;
    pthread_mutexattr_init(&kind);
    pthread_mutexattr_settype(&kind, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&lock->mutex, &kind);
    pthread_mutexattr_destroy(&kind);
    return lock;
}

void ph_lock_free(struct ph_lock *lock)
{
    if (lock)
        pthread_mutex_destroy(&lock->mutex);
    free(lock);
}

void ph_lock_enter(struct ph_lock *lock)
{
    pthread_mutex_lock(&lock->mutex);
}

void ph_lock_leave(struct ph_lock *lock)
{
    pthread_mutex_unlock(&lock->mutex);
}
