/* SPDX-License-Identifier: MIT */
/* Connections of a service, as its files and the workers see them. */
#ifndef PH_CONNECTION_H
#define PH_CONNECTION_H

#include "runtime.h"
#include "server.h"
#include "value.h"

/* What a worker is to do with a connection. */
enum ph_job {
    PH_JOB_OPENED,  /* a new client: on_open, and the session of those */
    PH_JOB_MESSAGE, /* conn->op has a message */
    PH_JOB_ADOPTED, /* it came from another state with conn->parcel */
    PH_JOB_ENDED    /* on_close, then the end; conn->reason says why */
};

/* Why a connection ended; the texts are what on_close gets. */
#define PH_REASON_LIST(X)                                                      \
    X(CLOSED, "closed")                                                        \
    X(TIMEOUT, "timeout")                                                      \
    X(ERROR, "error")                                                          \
    X(PROTOCOL, "protocol")                                                    \
    X(STOPPED, "stopped")                                                      \
    X(RELOAD, "reload")                                                        \
    X(EVICTED, "evicted")                                                      \
    X(BUDGET, "budget")

#define PH_REASON_ENUM_(name, text) PH_REASON_##name,
enum ph_reason { PH_REASON_LIST(PH_REASON_ENUM_) PH_REASON_COUNT };

struct ph_conn {
    struct ph_service *service;
    struct ph_conn *next, **link; /* in the service's list */
    struct ph_server *server;
    struct ph_pipe *pipe;
    struct ph_op op;        /* the idle read, or the reply */
    struct ph_timer soon;   /* a message that was there at once */
    struct ph_task *worker; /* works on it now */
    lua_Integer id;
    int ref; /* its userdata in the server's state, LUA_NOREF: none yet */
    enum ph_job job;
    enum ph_reason reason;
    bool stopping; /* ends when it has no message left */
    bool cut;      /* the host closed it for `reason` */
    bool pinned;   /* could not cross, or is not to: stays with its server */
    bool reloaded; /* on_reload = "close" ends it */
    bool held;     /* its read has ended while a worker was busy with it */
    struct ph_server *from; /* ADOPTED: where it goes back on failure */
    int from_ref;           /* its userdata there */
    struct ph_value parcel; /* ADOPTED: its state on the way */
};

/* Pushes the connection's pipe userdata, made when it is first asked for. May
 * raise on lack of memory. */
void ph_conn_push(lua_State *L, struct ph_conn *conn);

/* Waits for the next message, or ends the connection when it is over. */
void ph_conn_idle(struct ph_conn *conn);

/* Sends the reply (at most until the server's time-out), then waits again. */
void ph_conn_reply(struct ph_conn *conn, const char *data, size_t len);

/* After a reload: the connection, which is at a safe point, goes to the server
 * that its service has now, with a clone of its state. Where that fails it
 * stays, pinned. */
void ph_conn_cross(struct ph_conn *conn);

/* Its server has adopted it, or (false) has not: then it goes back. */
void ph_conn_adopted(struct ph_conn *conn, bool accepted);

/* The connection is over: on_close if there is one, then ph_conn_free. The
 * first reason counts. */
void ph_conn_end(struct ph_conn *conn, enum ph_reason reason);

/* Closes its pipe and frees it; nothing of its state runs any more. */
void ph_conn_free(struct ph_conn *conn);

const char *ph_reason_name(enum ph_reason reason);

/* The reason whose text is at `index`, PH_REASON_ERROR for any other value. */
enum ph_reason ph_reason_check(lua_State *L, int index);

#endif
