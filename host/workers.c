/* SPDX-License-Identifier: MIT */
#include "workers.h"

#include <assert.h>
#include <stdlib.h>

#include "crew.h"
#include "host.h"
#include "lauxlib.h"
#include "run.h"
#include "thread.h"

#define END_ROUNDS   200
#define END_ROUND_US 10000

_Static_assert(PH_CREW_MAX <= PH_THREADS_MAX, "each has a ticker");

struct worker {
    struct ph_host host;
    struct ph_thread *thread;
    const struct ph_value *options;
    struct ph_workers *all;
    struct ph_post ending; /* the last thing that its thread does */
};

struct ph_workers {
    struct ph_crew crew;
    struct ph_host *hosts[PH_CREW_MAX];
    struct ph_lock *lock; /* of the store */
    struct ph_value options;
    unsigned running;
};

/* ---- Mail --------------------------------------------------------------- */

struct ph_mail {
    struct ph_post post;
    struct ph_mail *next;
    struct ph_host *to;
    struct ph_value value; /* empty: the worker is to end */
};

static void free_mail(struct ph_mail *mail)
{
    ph_value_free(&mail->value);
    free(mail);
}

static void mail_came(struct ph_post *post)
{
    struct ph_mail *mail = ph_container_of(post, struct ph_mail, post);
    struct ph_host *host = mail->to;
    mail->next = NULL;
    *host->mail_end = mail;
    host->mail_end = &mail->next;
    ph_signal_set(&host->mailed);
}

static struct ph_mail *take_mail(struct ph_host *host)
{
    struct ph_mail *mail = host->mail;
    if (!mail)
        return NULL;
    host->mail = mail->next;
    if (!host->mail) {
        host->mail_end = &host->mail;
        ph_signal_reset(&host->mailed);
    }
    return mail;
}

static void post_mail(struct ph_host *to, struct ph_mail *mail)
{
    mail->to = to;
    mail->post.arrive = mail_came;
    ph_port_post(to->port, &mail->post);
}

void ph_mail_clear(struct ph_host *host)
{
    struct ph_mail *mail;
    while ((mail = take_mail(host)) != NULL)
        free_mail(mail);
}

/* ---- Threads ------------------------------------------------------------ */

static void has_ended(struct ph_post *post)
{
    struct worker *worker = ph_container_of(post, struct worker, ending);
    worker->all->running--;
}

static void run_worker(void *user)
{
    struct worker *worker = user;
    struct ph_host *host = &worker->host;
    ph_ticker_thread(&host->ticker, host->worker - 1);
    ph_host_run(host, worker->options);
    ph_host_close(host);
    worker->ending.arrive = has_ended;
    ph_port_post(worker->all->hosts[0]->port, &worker->ending);
}

static struct worker *new_worker(struct ph_workers *all, unsigned number)
{
    struct ph_host *first = all->hosts[0];
    struct worker *worker = calloc(1, sizeof *worker);
    long os;
    if (!worker)
        return NULL;
    ph_host_init(&worker->host, &first->log);
    if (ph_port_create(&worker->host.port, &os) != PH_OK) {
        free(worker);
        return NULL;
    }
    worker->all = all;
    worker->options = &all->options;
    worker->host.library = first->library;
    worker->host.store = first->store;
    worker->host.worker = number;
    worker->host.workers = all->crew.count;
    worker->host.crew = all;
    worker->host.services.crew = &all->crew;
    return worker;
}

static void add_member(struct ph_workers *all, struct ph_host *host)
{
    struct ph_member *member = &all->crew.members[host->worker - 1];
    all->hosts[host->worker - 1] = host;
    member->port = host->port;
    member->services = &host->services;
}

/* Its thread, if it ever ran, has ended. False: something is left on its port.
 */
static bool free_worker(struct worker *worker)
{
    bool freed = ph_host_close_port(&worker->host);
    ph_mail_clear(&worker->host);
    if (freed)
        free(worker);
    return freed;
}

static struct worker *worker_of(struct ph_workers *all, unsigned index)
{
    return all->hosts[index]
               ? ph_container_of(all->hosts[index], struct worker, host)
               : NULL;
}

/* Has their main tasks end, and waits for that. */
static bool end_all(struct ph_workers *all)
{
    for (unsigned i = 1; i < all->crew.count; i++) {
        struct worker *worker = worker_of(all, i);
        struct ph_mail *end = calloc(1, sizeof *end);
        if (end && worker && worker->thread)
            post_mail(&worker->host, end);
        else
            free(end);
    }
    for (int i = 0; i < END_ROUNDS && all->running; i++)
        ph_port_run(all->hosts[0]->port, END_ROUND_US);
    return !all->running;
}

/* Their threads have no more to do. */
static bool free_all(struct ph_workers *all)
{
    bool freed = true;
    for (unsigned i = 1; i < all->crew.count; i++) {
        struct worker *worker = worker_of(all, i);
        if (worker && worker->thread)
            ph_thread_join(worker->thread);
        freed = (!worker || free_worker(worker)) && freed;
    }
    return freed;
}

bool ph_workers_stop(struct ph_host *first)
{
    struct ph_workers *all = first->crew;
    if (!all)
        return true;
    if (!end_all(all) || !free_all(all))
        return false;
    ph_port_run(first->port, 0); /* places that came back last */
    first->store->lock = NULL;
    first->services.crew = NULL;
    first->crew = NULL;
    first->workers = 1;
    ph_lock_free(all->lock);
    ph_value_free(&all->options);
    free(all);
    return true;
}

/* All exist before one runs: they know each other. */
static const char *start_all(struct ph_workers *all)
{
    for (unsigned i = 1; i < all->crew.count; i++) {
        struct worker *worker = new_worker(all, i + 1);
        if (!worker)
            return "no port for a worker";
        add_member(all, &worker->host);
    }
    for (unsigned i = 1; i < all->crew.count; i++) {
        struct worker *worker = worker_of(all, i);
        if (ph_thread_start(&worker->thread, run_worker, worker) != PH_OK)
            return "no thread for a worker";
        all->running++;
    }
    return NULL;
}

const char *ph_workers_start(struct ph_host *first, unsigned count,
                             const struct ph_value *options)
{
    struct ph_workers *all = calloc(1, sizeof *all);
    const char *why;
    assert(!first->crew && count >= 2 && count <= PH_CREW_MAX);
    if (!all)
        return "not enough memory";
    all->lock = ph_lock_new();
    if (!all->lock) {
        free(all);
        return "not enough memory";
    }
    all->options = *options;
    all->crew.count = count;
    first->workers = count;
    first->crew = all;
    first->services.crew = &all->crew;
    first->store->lock = all->lock;
    add_member(all, first);
    why = start_all(all);
    if (why)
        ph_workers_stop(first);
    return why;
}

/* ---- For the command line, and for agent.lua ---------------------------- */

/* start_workers(count, options) -> true · nil, why */
static int start_workers(lua_State *L)
{
    lua_Integer count = luaL_checkinteger(L, 1);
    struct ph_value *options = ph_value_push(L);
    const char *why;
    luaL_argcheck(L, count >= 2 && count <= PH_CREW_MAX, 1, "a count");
    ph_host_encode(L, 2, 2, options);
    why = ph_workers_start(ph_host_of(L), (unsigned)count, options);
    if (why) {
        lua_pushnil(L);
        lua_pushstring(L, why);
        return 2;
    }
    *options = (struct ph_value){0}; /* theirs now */
    lua_pushboolean(L, 1);
    return 1;
}

/* send(worker, …): by mail */
static int send(lua_State *L)
{
    struct ph_host *host = ph_host_of(L);
    lua_Integer to = luaL_checkinteger(L, 1);
    int top = lua_gettop(L);
    struct ph_value *value;
    struct ph_mail *mail;
    luaL_argcheck(L, host->crew && to >= 1 && to <= host->workers, 1,
                  "a worker");
    value = ph_value_push(L);
    ph_host_encode(L, 2, top, value);
    mail = calloc(1, sizeof *mail);
    if (!mail)
        return luaL_error(L, "not enough memory");
    mail->value = *value;
    *value = (struct ph_value){0};
    post_mail(host->crew->hosts[to - 1], mail);
    return 0;
}

static int push_mail(lua_State *L)
{
    struct ph_mail *mail = take_mail(ph_host_of(L));
    struct ph_value *value;
    if (!mail)
        return 0;
    value = ph_value_push(L);
    *value = mail->value;
    free(mail);
    return value->len ? ph_value_decode(L, value) : 0;
}

static int receive_resumed(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    (void)context;
    ph_wait_resumed(L);
    return push_mail(L);
}

/* receive() -> the next mail's values; none: this worker is to end */
static int receive(lua_State *L)
{
    struct ph_task *task = ph_wait_check(L, "receive");
    if (ph_task_wait_one(L, &ph_host_of(L)->mailed, PH_FOREVER))
        return push_mail(L);
    return ph_wait_yield(L, task, receive_resumed);
}

void ph_workers_open(lua_State *L)
{
    static const luaL_Reg functions[] = {{"start_workers", start_workers},
                                         {"send", send},
                                         {"receive", receive},
                                         {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
