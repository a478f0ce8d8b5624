/* SPDX-License-Identifier: MIT */
#include "check.h"

#include <pthread.h>
#include <stdlib.h>

const bool has_named_pipes = false;

struct thread {
    pthread_t id;
    void (*run)(void *user);
    void *user;
};

static void *enter(void *argument)
{
    struct thread *thread = argument;
    thread->run(thread->user);
    return NULL;
}

struct thread *thread_start(void (*run)(void *user), void *user)
{
    struct thread *thread = malloc(sizeof *thread);
    if (!thread)
        return NULL;
    thread->run = run;
    thread->user = user;
    if (pthread_create(&thread->id, NULL, enter, thread) == 0)
        return thread;
    free(thread);
    return NULL;
}

void thread_join(struct thread *thread)
{
    pthread_join(thread->id, NULL);
    free(thread);
}
