/* SPDX-License-Identifier: MIT */
/* The Lua type "pipehost.pipe" and what other bindings need of it. */
#ifndef PH_BINDING_PIPE_H
#define PH_BINDING_PIPE_H

#include "lua.h"
#include "overlapped.h"

struct lua_pipe {
    struct ph_pipe *pipe; /* NULL: closed by the script, or not yet open */
    struct ph_conn *conn; /* a server's connection, while it is one */
    float timeout_ms;     /* of the handle; negative: none */
    bool host_closed;     /* the host closed it: outcomes, no misuse */
};

/* The one user value of the userdata: the pipe's name; while it is a server's
 * connection, which has the server's name, its `state` or nil. */
#define PH_PIPE_VALUE 1

/* The userdata at `index` (an argument error if it is none), open. Raises when
 * the script has closed it. */
struct lua_pipe *ph_pipe_check(lua_State *L, int index);

/* The name of the pipe at `index`, valid while its userdata lives. */
const char *ph_pipe_name(lua_State *L, int index);

/* Pushes a new closed userdata with the name at stack index `name`; nil where it
 * is to be a connection's. */
struct lua_pipe *ph_pipe_push(lua_State *L, int name);

struct ph_task;

/* Leaves the coroutine for task->call, or gives its result if it is DONE; the
 * pipe's userdata is at stack index 1. For tail calls. */
int ph_pipe_await(lua_State *L, struct ph_task *task);

extern const char ph_check_reached;

/* Raises when the script may not use pipes yet (loading, checking); under check
 * what it raises is the address of ph_check_reached. */
void ph_phase_check(lua_State *L, const char *what);

/* Registers the metatable of operations. */
void ph_operation_open(lua_State *L);

/* read_op, write_op … go into the table of pipe methods on top. */
void ph_operation_methods(lua_State *L);

struct ph_runtime;
/* What is still pending of collected operations is on no account any more. For
 * ph_generation_close, before the state is closed. */
void ph_operation_abandon(struct ph_runtime *runtime);

/* The signal of the operation at `index`, which lives as its handle does; NULL
 * if there is none at that index. */
struct ph_signal *ph_operation_signal(lua_State *L, int index);

/* Fills in what the options for pipe.create at stack index 2 say; raises where
 * one is wrong. What it points to lives in the table, and in a value that it
 * may leave on the stack. */
void ph_create_options(lua_State *L, struct ph_create_options *options);

/* disconnect, peek, peer, info go into the table of pipe methods on top. */
void ph_pipe_info_methods(lua_State *L);

/* The functions create, open, available go into the table on top. */
void ph_open_open(lua_State *L);
/* The metatable of pipes. */
void ph_pipe_open(lua_State *L);

#endif
