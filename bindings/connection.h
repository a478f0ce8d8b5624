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
    PH_JOB_MESSAGE, /* its operation has a message */
    PH_JOB_ADOPTED, /* it came from another state: conn->crossing */
    PH_JOB_RESUMED, /* a session that has crossed: on_adopt, then the session */
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

struct ph_crossing;

struct ph_conn {
    struct ph_service *service;
    struct ph_conn *next, **link; /* in the service's list */
    struct ph_server *server;
    struct ph_pipe *pipe;         /* NULL: it is over */
    struct ph_place *place;       /* at the worker that has the name, or NULL */
    struct ph_op *op;     /* its read or its reply; NULL: the read rests */
    struct ph_rest rest;
    struct ph_timer timer; /* the read's deadline while it rests, or what is to
                              come in the next turn */
    struct ph_task *worker;       /* works on it now */
    struct ph_crossing *crossing; /* while it goes to another server */
    lua_Integer id;
    int ref; /* its userdata in the server's state, LUA_NOREF: none yet */
    uint32_t post_bytes; /* posted, and not yet with the system … */
    uint32_t refused; /* the generation that it could not cross to, or 0 */
    uint32_t posts : 20; /* … in so many messages */
    uint32_t job : 3;    /* enum ph_job */
    uint32_t reason : 4; /* enum ph_reason */
    bool stopping : 1; /* ends when it has no message left */
    bool cut : 1;      /* the host closed it for `reason` */
    bool reloaded : 1; /* a reload ends it, while `stopping` */
    bool held : 1; /* its read has ended while a worker was busy with it */
};

/* Pushes the connection's pipe userdata, made when it is first asked for. May
 * raise on lack of memory. */
void ph_conn_push(lua_State *L, struct ph_conn *conn);

/* Waits for the next message, or ends the connection when it is over. */
void ph_conn_idle(struct ph_conn *conn);

/* Sends the reply (at most until the server's time-out), then waits again. */
void ph_conn_reply(struct ph_conn *conn, const char *data, size_t len);

/* On with the message that came while a worker was busy with the connection, or
 * the next read. */
void ph_conn_go_on(struct ph_conn *conn);

/* Does it wait for a message? */
bool ph_conn_waits(const struct ph_conn *conn);

/* If it does, it is asked to stop that; true: it will. */
bool ph_conn_wait_no_more(struct ph_conn *conn);

/* Gives the job to a worker. False: no memory for one. */
bool ph_conn_run(struct ph_conn *conn, enum ph_job job);

/* Queues a message, or on a byte pipe without a frame just the bytes, behind
 * what is queued already; never waits. PH_OK; PH_BUSY: the queue is full, as
 * its server's limits say; PH_CLOSED, PH_TOOBIG, PH_DENIED, PH_NOMEM,
 * PH_SYSTEM: nothing is queued. What is queued when the connection ends is sent
 * as far as the close of a pipe sends it. */
enum ph_status ph_conn_post(struct ph_conn *conn, const void *data, size_t len);

/* Closes the connection for the host; its handler's operations give `closed`,
 * and on_close runs after it with the reason. */
void ph_conn_cut(struct ph_conn *conn, enum ph_reason reason);

/* The connection is over: on_close if there is one, then ph_conn_free. The
 * first reason counts. */
void ph_conn_end(struct ph_conn *conn, enum ph_reason reason);

/* Closes its pipe and frees it; nothing of its state runs any more. */
void ph_conn_free(struct ph_conn *conn);

/* Frees its memory if it is over and the port has finished with it. */
void ph_conn_settle(struct ph_conn *conn);

/* The userdata in that server's state, *ref, is the script's alone from now on:
 * a handle that the host has closed. With `lives` the pipe goes on elsewhere. */
void ph_conn_drop_userdata(struct ph_server *server, int *ref, bool lives);

/* Pushes the name of its server, in a state that has its userdata. */
void ph_conn_push_name(lua_State *L, struct ph_conn *conn);

/* Methods of pipes that only a connection has: post, checkpoint. Into the table
 * on top of the stack. */
void ph_conn_methods(lua_State *L);

/* The connection whose pipe is at stack index 1, for the method `what`; NULL:
 * the host has closed it. Raises where the pipe is no connection. */
struct ph_conn *ph_conn_check(lua_State *L, const char *what);

/* The text of a reason, as on_close gets it; static. */
const char *ph_reason_name(enum ph_reason reason);

/* The reason whose text is at `index`, PH_REASON_ERROR for any other value. */
enum ph_reason ph_reason_check(lua_State *L, int index);

#endif
