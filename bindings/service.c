/* SPDX-License-Identifier: MIT */
/*
 * Services: accepting. One instance waits for the next client; when that has
 * come, another instance is made before it is served, so that the name never
 * vanishes between two clients. Clients are taken some at a time, or a crowd of
 * them would keep the loop from those that are in.
 */
#include "service.h"

#include <stdlib.h>
#include <string.h>

#include "crew.h"
#include "handover.h"
#include "lauxlib.h"

#define PAUSE_US      100000 /* after a failed accept */
#define AT_ONCE       64     /* clients taken in one turn */
#define CROSS_AT_ONCE 64

/* ---- Accepting ---------------------------------------------------------- */

void ph_service_admit(struct ph_service *service, struct ph_pipe *pipe,
                      lua_Integer id, struct ph_place *place)
{
    struct ph_conn *conn = calloc(1, sizeof *conn);
    if (!conn) {
        ph_runtime_log(service->server->runtime, PH_LOG_ERROR,
                       "no memory for another connection");
        ph_pipe_release(pipe);
        if (place)
            ph_place_return(place);
        return;
    }
    conn->service = service;
    conn->server = service->server;
    conn->pipe = pipe;
    conn->place = place;
    conn->id = id;
    conn->ref = LUA_NOREF;
    if (place)
        service->served++;
    conn->next = service->conns;
    if (conn->next)
        conn->next->link = &conn->next;
    conn->link = &service->conns;
    service->conns = conn;
    service->count++;
    service->services->clients++;
    ph_server_count(conn->server, 1);
    ph_signal_reset(&service->empty);
    if (conn->server->frame)
        ph_pipe_set_frame(pipe, conn->server->frame);
    if (conn->server->quiet_open && conn->server->messages) {
        ph_conn_idle(conn);
        return;
    }
    if (!ph_conn_run(conn, PH_JOB_OPENED))
        ph_conn_free(conn);
}

static void add_client(struct ph_service *service, struct ph_pipe *pipe)
{
    lua_Integer id = ++service->served;
    if (service->server->runtime->workers > 1)
        pipe = ph_crew_place(service, pipe, id);
    if (pipe)
        ph_service_admit(service, pipe, id, NULL);
}

static void accepted(struct ph_op *op);

/* The next instance listens before the last one's client is served. */
static bool listen_again(struct ph_service *service)
{
    struct ph_pipe *next = ph_pipe_new_instance(service->instance);
    if (!next)
        return false;
    struct ph_pipe *taken = service->instance;
    service->instance = next;
    add_client(service, taken);
    return true;
}

void ph_service_accept(struct ph_service *service)
{
    for (int i = 0; i < AT_ONCE; i++) {
        struct ph_op *op = &service->accept;
        if (!service->instance || !service->server)
            return;
        op->done = accepted;
        op->user = service;
        if (ph_connect_start(op, service->instance, PH_FOREVER) != PH_OK ||
            op->state == PH_OP_PENDING)
            return;
        if (op->status != PH_OK || !listen_again(service))
            break;
    }
    ph_timer_start(service->port, &service->pause,
                   service->accept.status == PH_OK
                       ? 0
                       : ph_port_now(service->port) + PAUSE_US);
}

static void accept_later(struct ph_timer *timer)
{
    ph_service_accept(ph_container_of(timer, struct ph_service, pause));
}

static void accepted(struct ph_op *op)
{
    struct ph_service *service = op->user;
    if (!service->instance || !service->server)
        return;
    if (op->status == PH_OK && listen_again(service))
        ph_service_accept(service);
    else
        ph_timer_start(service->port, &service->pause,
                       ph_port_now(service->port) + PAUSE_US);
}

void ph_service_refuse(struct ph_service *service)
{
    struct ph_pipe *instance = service->instance;
    service->instance = NULL;
    service->server = NULL;
    ph_timer_stop(service->port, &service->pause);
    if (!instance)
        return;
    ph_pipe_refuse(instance);
    ph_pipe_close(instance);
    ph_pipe_release(instance);
}

/* ---- Services ----------------------------------------------------------- */

/* Idle, or in a session that is to be closed: true when something was done. */
static bool cross_one(struct ph_conn *conn)
{
    if (!ph_conn_wants_crossing(conn))
        return false;
    if (conn->worker) {
        /* A session has no safe point of its own to be closed at. */
        if (conn->server->messages || !conn->service->server->closes)
            return false;
        ph_conn_cut(conn, PH_REASON_RELOAD);
        return true;
    }
    if (!ph_conn_waits(conn))
        return false;
    ph_conn_cross(conn);
    return true;
}

/* Clients go over to the new server, some in each turn. */
static void cross_some(struct ph_timer *timer)
{
    struct ph_service *service =
        ph_container_of(timer, struct ph_service, crossing);
    struct ph_conn *conn = service->conns, *next;
    int left = CROSS_AT_ONCE;
    for (; conn && left && service->server; conn = next) {
        next = conn->next;
        left -= cross_one(conn);
    }
    if (!left)
        ph_timer_start(service->port, &service->crossing, 0);
}

static char *copy_key(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = malloc(size);
    return copy ? memcpy(copy, text, size) : NULL;
}

static void link_service(struct ph_service *service,
                         struct ph_services *services)
{
    service->next = services->first;
    if (service->next)
        service->next->link = &service->next;
    service->link = &services->first;
    service->services = services;
    services->first = service;
}

struct ph_service *ph_service_new(struct ph_runtime *runtime, const char *key)
{
    struct ph_service *service = calloc(1, sizeof *service);
    if (!service)
        return NULL;
    service->key = copy_key(key);
    if (!service->key) {
        free(service);
        return NULL;
    }
    service->port = runtime->port;
    service->owner = runtime->owner;
    service->pause.fire = accept_later;
    service->crossing.fire = cross_some;
    ph_signal_set(&service->empty);
    link_service(service, runtime->services);
    return service;
}

struct ph_service *ph_services_find(struct ph_services *services,
                                    unsigned owner, const char *key)
{
    struct ph_service *at = services->first;
    while (at &&
           (at->owner != owner || !at->server || strcmp(at->key, key) != 0))
        at = at->next;
    return at;
}

struct ph_service *ph_service_find(struct ph_runtime *runtime, const char *key)
{
    return ph_services_find(runtime->services, runtime->owner, key);
}

/* ---- The end ------------------------------------------------------------ */

static void accept_ended(struct ph_op *op)
{
    struct ph_service *service = op->user;
    ph_op_clear(op);
    free(service->key);
    free(service);
}

static void free_service(struct ph_service *service)
{
    ph_timer_stop(service->port, &service->crossing);
    *service->link = service->next;
    if (service->next)
        service->next->link = service->link;
    service->accept.done = accept_ended;
    service->accept.user = service;
    /* Else the close of its pipe ends the accept, in the port's run. */
    if (service->accept.state != PH_OP_PENDING)
        accept_ended(&service->accept);
}

void ph_service_leave(struct ph_server *server)
{
    struct ph_service *service = server->service;
    struct ph_conn *conn = service->conns, *next;
    /* One that has not begun yet is no current one. */
    if (ph_server_is_current(server) || service->servers == 1)
        ph_service_refuse(service);
    for (; conn; conn = next) {
        next = conn->next;
        if (conn->server == server ||
            (conn->crossing && conn->crossing->from == server))
            ph_conn_free(conn);
    }
    server->service = NULL;
    if (--service->servers == 0)
        free_service(service);
}
