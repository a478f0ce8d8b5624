/* SPDX-License-Identifier: MIT */
/*
 * How what has happened becomes Lua values. An outcome is nil, a code and info:
 * a table with the details, whose text is one whole sentence,
 *
 *   VERB PIPE: REASON (CODE, system error N)
 *
 * so that assert(pipe.open(…)) raises something that can be read as it is. The
 * codes are those of enum ph_status; the system's number is kept, whatever it
 * was mapped to.
 */
#include "outcome.h"

#include <assert.h>
#include <string.h>

#include "lauxlib.h"
#include "pipe.h"
#include "runtime.h"

static const char *const verbs[] = {
    [PH_OP_CREATE] = "create",       [PH_OP_OPEN] = "open",
    [PH_OP_AVAILABLE] = "available", [PH_OP_CONNECT] = "connect",
    [PH_OP_READ] = "read",           [PH_OP_WRITE] = "write",
    [PH_OP_TRANSACT] = "transact",   [PH_OP_FLUSH] = "flush",
    [PH_OP_CLOSE] = "close",         [PH_OP_WATCH] = "watch",
    [PH_OP_INPUT] = "input",
};

const char *ph_op_verb(const struct ph_op *op)
{
    bool message = op->kind == PH_OP_READ && (op->goal == PH_READ_MESSAGE ||
                                              op->goal == PH_READ_FRAME);
    return message ? "receive" : verbs[op->kind];
}

/* What is said where the operation itself gives no `why`. */
static const char *const reasons[PH_STATUS_COUNT] = {
    [PH_PENDING] = "is not done yet",
    [PH_TIMEOUT] = "timed out",
    [PH_CANCELLED] = "was cancelled",
    [PH_CLOSED] = "the other end has closed",
    [PH_BUSY] = "all instances are busy",
    [PH_ABSENT] = "there is no such pipe",
    [PH_DENIED] = "access is denied",
    [PH_EXISTS] = "another server has this name already",
    [PH_TOOBIG] = "the message is longer than the pipe's max_message",
    [PH_MODE] = "the pipe has another mode",
    [PH_PROTOCOL] = "what came is not what the protocol asks for",
    [PH_NOMEM] = "out of memory",
    [PH_BUDGET] = "the script has used up its budget",
    [PH_SYSTEM] = "the system refused",
};

struct failure {
    enum ph_status status;
    const char *verb, *name, *why;
    long os;
    int64_t bytes;
};

static void push_sentence(lua_State *L, const struct failure *failure)
{
    const char *why = failure->why ? failure->why : reasons[failure->status];
    const char *code = ph_status_name(failure->status);
    lua_pushfstring(L, "%s%s%s: %s (%s", failure->verb,
                    failure->name ? " " : "",
                    failure->name ? failure->name : "", why, code);
    if (failure->os)
        lua_pushfstring(L, ", system error %I)", (LUAI_UACINT)failure->os);
    else
        lua_pushliteral(L, ")");
    lua_concat(L, 2);
}

static int push_failure(lua_State *L, const struct failure *failure)
{
    assert(failure->status != PH_OK && failure->status != PH_MISUSE);
    lua_pushnil(L);
    lua_pushstring(L, ph_status_name(failure->status));
    lua_createtable(L, 0, 6);
    luaL_setmetatable(L, PH_INFO);
    lua_pushvalue(L, -2);
    lua_setfield(L, -2, "code");
    lua_pushstring(L, failure->verb);
    lua_setfield(L, -2, "op");
    lua_pushstring(L, failure->name);
    lua_setfield(L, -2, "pipe");
    if (failure->os) {
        lua_pushinteger(L, failure->os);
        lua_setfield(L, -2, "os");
    }
    if (failure->bytes >= 0) {
        lua_pushinteger(L, failure->bytes);
        lua_setfield(L, -2, "bytes");
    }
    push_sentence(L, failure);
    lua_setfield(L, -2, "message");
    return 3;
}

int ph_push_failure(lua_State *L, const struct ph_op *op, const char *verb,
                    const char *name)
{
    struct failure failure = {.status = op->status,
                              .verb = verb,
                              .name = name,
                              .why = op->why,
                              .os = op->os,
                              .bytes = op->bytes};
    return push_failure(L, &failure);
}

int ph_push_status(lua_State *L, enum ph_status status, const char *verb,
                   const char *name, long os)
{
    struct failure failure = {
        .status = status, .verb = verb, .name = name, .os = os, .bytes = -1};
    return push_failure(L, &failure);
}

int ph_push_refusal(lua_State *L, enum ph_status status, const char *verb,
                    const char *name, const char *why)
{
    struct failure failure = {
        .status = status, .verb = verb, .name = name, .why = why, .bytes = -1};
    return push_failure(L, &failure);
}

/* On the info on top: the script did not close this, nor did the peer. */
static int mark_host(lua_State *L)
{
    lua_pushliteral(L, "host");
    lua_setfield(L, -2, "by");
    return 3;
}

static const char host_closed[] = "the host has closed it";

int ph_push_start_failure(lua_State *L, enum ph_status status, int pipe_index)
{
    struct failure failure = {.status = status,
                              .verb = "use",
                              .name = ph_pipe_name(L, pipe_index),
                              .bytes = -1};
    if (status != PH_CLOSED)
        return push_failure(L, &failure);
    failure.why = host_closed;
    push_failure(L, &failure);
    return mark_host(L);
}

/* A message's end is told only by read, which may take it in parts. */
static int push_data(lua_State *L, const struct ph_op *op)
{
    lua_pushlstring(L, op->len ? (const char *)op->data : "", op->len);
    if (op->kind != PH_OP_READ || op->goal != PH_READ_SOME)
        return 1;
    lua_pushboolean(L, op->more);
    return 2;
}

int ph_push_result(lua_State *L, struct ph_op *op, int pipe_index)
{
    const char *verb = ph_op_verb(op);
    const char *name = op->name;
    if (pipe_index)
        name = ph_pipe_name(L, pipe_index);
    if (op->status == PH_MISUSE)
        return luaL_error(L, "%s %s: %s", verb, name ? name : "", op->why);
    if (op->status == PH_CANCELLED && pipe_index &&
        ((struct lua_pipe *)lua_touserdata(L, pipe_index))->host_closed)
        return ph_push_start_failure(L, PH_CLOSED, pipe_index);
    if (op->status != PH_OK)
        return ph_push_failure(L, op, verb, name);
    switch (op->kind) {
    case PH_OP_READ:
    case PH_OP_TRANSACT:
    case PH_OP_INPUT:
        return push_data(L, op);
    case PH_OP_CREATE:
    case PH_OP_OPEN:
        lua_pushvalue(L, pipe_index);
        return 1;
    case PH_OP_CLOSE:
        if (!op->all_read && op->unread != PH_OK)
            return ph_push_status(L, op->unread, verb, name, 0);
        break;
    default:
        break;
    }
    lua_pushboolean(L, 1);
    return 1;
}

/* The sentence, and below it the lines of `report` where there are some. */
static int info_tostring(lua_State *L)
{
    lua_getfield(L, 1, "message");
    if (lua_getfield(L, 1, "report") != LUA_TSTRING) {
        lua_pop(L, 1);
        return 1;
    }
    lua_pushliteral(L, "\n");
    lua_insert(L, -2);
    lua_concat(L, 3);
    return 1;
}

void ph_outcome_open(lua_State *L)
{
    luaL_newmetatable(L, PH_INFO);
    lua_pushcfunction(L, info_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pop(L, 1);
}
