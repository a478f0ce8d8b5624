/* SPDX-License-Identifier: MIT */
/*
 * Services: names that are served, with their clients. They belong to the host
 * and outlive the states that handle them: a server is a service's handlers in
 * one state, and a connection belongs to one server at a time.
 *
 * An idle connection is a C object with a pending read and nothing else. A
 * message wakes a worker, a pooled task of the state, which calls the handler.
 */
#ifndef PH_SERVICE_H
#define PH_SERVICE_H

#include "lua.h"
#include "overlapped.h"

struct ph_conn;
struct ph_crew;
struct ph_place;
struct ph_server;
struct ph_task;

/* The services of a worker. */
struct ph_services {
    struct ph_service *first;
    size_t clients;       /* of all of them */
    struct ph_crew *crew; /* NULL: this is the only worker */
};

/* A served name. Freed when no server and no client is left. */
struct ph_service {
    struct ph_port *port;
    struct ph_services *services;
    struct ph_service *next, **link; /* in the worker's list */
    char *key;                       /* the name in lower case */
    unsigned owner;   /* the script that serves it, in all its generations */
    unsigned servers; /* states that have handlers for it */
    struct ph_pipe *instance; /* waits for a client and holds the name; none
                                 at other workers than the first */
    struct ph_op accept;
    struct ph_timer pause;    /* before the next try to accept */
    struct ph_server *server; /* gets new clients; NULL: none are taken */
    struct ph_conn *conns;
    size_t count;             /* of connections */
    lua_Integer served;       /* clients so far: the last id */
    struct ph_signal empty;   /* set while there is no connection */
    struct ph_timer crossing; /* hands idle clients over, some in each turn */
};

/* A field of a connection (state, id, server, generation), for the indexing of
 * its pipe at stack index 1 with the key at 2: pushes it and returns 1, or 0.
 */
extern const char *const ph_conn_fields[]; /* their names, NULL-ended */
int ph_conn_field(lua_State *L, struct ph_conn *conn);

struct ph_runtime;

/* A service of the runtime's script under this key, without an instance, and
 * with no server that takes its clients yet. NULL: no memory. */
struct ph_service *ph_service_new(struct ph_runtime *runtime, const char *key);

/* The service that the runtime's script has under this key, NULL: none that
 * takes clients. */
struct ph_service *ph_service_find(struct ph_runtime *runtime, const char *key);

/* The same of any script, by its owner number. */
struct ph_service *ph_services_find(struct ph_services *services,
                                    unsigned owner, const char *key);

/* A connected pipe, which it takes, is a client of the service from now on,
 * which has a server. The place: of one that came from another worker, or NULL.
 */
void ph_service_admit(struct ph_service *service, struct ph_pipe *pipe,
                      lua_Integer id, struct ph_place *place);

/* Posts to all of its connections but one; to how many. */
lua_Integer ph_service_post(struct ph_service *service,
                            const struct ph_conn *except, const void *data,
                            size_t len);

/* broadcast(data, except) of a server, with these at stack index 2 and 3. The
 * service may be NULL. */
int ph_server_broadcast(lua_State *L, struct ph_service *service);

/* Takes the clients that have come to service->instance, and those that will.
 */
void ph_service_accept(struct ph_service *service);

/* Takes no new clients any more and gives the name back; the others stay. */
void ph_service_refuse(struct ph_service *service);

/* The server's state goes: so do its clients, and with the last server the
 * service. */
void ph_service_leave(struct ph_server *server);

#endif
