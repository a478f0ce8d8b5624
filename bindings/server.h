/* SPDX-License-Identifier: MIT */
/* Servers: a service's handlers in one state. */
#ifndef PH_SERVER_H
#define PH_SERVER_H

#include "runtime.h"
#include "service.h"

/* The handlers of a service in one state: a userdata there. */
struct ph_server {
    struct ph_runtime *runtime;
    struct ph_service *service;     /* NULL: stopped */
    struct ph_server *next;         /* of the runtime */
    size_t count;                   /* connections that are its own */
    size_t stayed;                  /* times that one could not cross */
    lua_Number timeout_ms, idle_ms; /* negative: none */
    int handler; /* in the registry as well, where it is found sooner */
    struct ph_frame *frame;         /* of a byte pipe, or NULL; a user value */
    uint32_t max_queue, max_queue_bytes; /* posts of a connection */
    bool spread;      /* workers = "all" */
    bool messages;    /* the handler is on_message; else a session, or steps */
    bool quiet_open;  /* nothing but the handler to run for a new client */
    bool quiet_end;   /* nothing to run for one that just went */
    bool quiet_adopt; /* nothing to run for one that comes over */
    bool closes;      /* on_reload = "close": clients end instead of crossing */
    bool finishes;    /* on_reload = "finish": they stay where they are */
    lua_Integer state_version;
};

/* User values of a server's userdata. */
enum {
    PH_SERVER_HANDLER = 1, /* on_message or session, or nil */
    PH_SERVER_DISPATCH,       /* function(kind, conn, …) of server.lua */
    PH_SERVER_OBJECT,         /* the server as scripts see it */
    PH_SERVER_NAME,
    PH_SERVER_FRAME, /* keeps `frame` */
    PH_SERVER_VALUES = 5
};

/* Pushes a user value of the server. */
void ph_server_push(lua_State *L, struct ph_server *server, int value);

/* The server has so many connections more. */
void ph_server_count(struct ph_server *server, int change);

/* Does the service still send its new clients here? */
bool ph_server_is_current(const struct ph_server *server);

/* The core table's functions for servers, and their type. */
void ph_server_open(lua_State *L);

/* Every pipe of a state is about to be collected: what this state's servers
 * still hold is closed. For ph_generation_close. */
void ph_server_abandon(struct ph_runtime *runtime);

#endif
