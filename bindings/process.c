/* SPDX-License-Identifier: MIT */
#include "process.h"

#include <string.h>

#include "lauxlib.h"
#include "misuse.h"
#include "outcome.h"
#include "pipe.h"
#include "runtime.h"

#define PROCESS  "pipehost.process"
#define MOST     32767 /* arguments, variables: more than any system takes */
#define CLOSE_MS 5000

struct lua_process {
    struct ph_process *process; /* NULL: not started */
};

/* User values: the program's name, then its streams (a pipe, or nil). */
enum { NAME_VALUE = 1, STREAMS_VALUE, VALUES = STREAMS_VALUE + 2 };

static struct ph_process *check(lua_State *L)
{
    struct lua_process *self = luaL_checkudata(L, 1, PROCESS);
    if (!self->process)
        luaL_error(L, "the process is closed");
    return self->process;
}

struct ph_signal *ph_process_signal(lua_State *L, int index)
{
    struct lua_process *self = luaL_testudata(L, index, PROCESS);
    return self && self->process ? ph_process_ended(self->process) : NULL;
}

/* ---- Options ----------------------------------------------------------- */

static const char *const stream_names[] = {"stdin", "stdout", "stderr"};

/* The texts of the list on top of the stack, which keeps them alive, as C takes
 * them. */
static const char *const *check_list(lua_State *L, const char *what)
{
    lua_Integer count = luaL_len(L, -1);
    const char **list;
    size_t len;
    if (count > MOST)
        luaL_error(L, "spawn: there are more than %d %s", MOST, what);
    list = lua_newuserdatauv(L, (size_t)(count + 1) * sizeof *list, 0);
    for (lua_Integer i = 0; i < count; i++) {
        if (lua_rawgeti(L, -2, i + 1) != LUA_TSTRING)
            luaL_error(L, "spawn: %s %I is a %s and not a text", what,
                       (LUAI_UACINT)(i + 1), luaL_typename(L, -1));
        list[i] = lua_tolstring(L, -1, &len);
        if (strlen(list[i]) != len)
            luaL_error(L, "spawn: %s %I has a zero byte in it", what,
                       (LUAI_UACINT)(i + 1));
        lua_pop(L, 1);
    }
    list[count] = NULL;
    return list;
}

static enum ph_stdio check_stream(lua_State *L, int stream)
{
    static const char *const kinds[] = {"null", "pipe", "inherit", "stdout",
                                        NULL};
    const char *text;
    int kind = PH_STDIO_PIPE;
    if (lua_getfield(L, 1, stream_names[stream]) != LUA_TNIL) {
        text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
        for (kind = 0; kinds[kind] && strcmp(kinds[kind], text) != 0; kind++)
            continue;
        if (!kinds[kind])
            luaL_error(L,
                       "spawn: option '%s' is \"pipe\", \"null\" or "
                       "\"inherit\"; for stderr also \"stdout\"",
                       stream_names[stream]);
    }
    lua_pop(L, 1);
    return (enum ph_stdio)kind;
}

/* Leaves on the stack what the options point into. */
static void check_options(lua_State *L, struct ph_process_options *options)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_pushvalue(L, 1);
    options->argv = check_list(L, "argument");
    if (!options->argv[0])
        luaL_error(L, "spawn: a program is needed");
    if (lua_getfield(L, 1, "env") != LUA_TNIL) {
        luaL_checktype(L, -1, LUA_TTABLE);
        options->env = check_list(L, "variable");
    }
    if (lua_getfield(L, 1, "cwd") != LUA_TNIL)
        options->cwd = luaL_checkstring(L, -1);
    for (int i = 0; i < 3; i++)
        options->stdio[i] = check_stream(L, i);
}

/* ---- Start ------------------------------------------------------------- */

/* Sets the user values of the process on top. */
static void push_streams(lua_State *L, const struct lua_process *self)
{
    for (int i = 0; i < 3; i++) {
        struct ph_pipe *pipe = ph_process_stdio(self->process, i);
        struct ph_info info;
        if (!pipe)
            continue;
        ph_pipe_info(pipe, &info);
        lua_pushstring(L, info.name);
        ph_pipe_push(L, -1)->pipe = pipe;
        ph_pipe_retain(pipe);
        lua_setiuservalue(L, -3, STREAMS_VALUE + i);
        lua_pop(L, 1);
    }
}

static int failed(lua_State *L, enum ph_status status, const char *why, long os)
{
    const char *name = lua_tostring(L, -1);
    struct ph_op op = {.status = status, .why = why, .os = os, .bytes = -1};
    if (status == PH_MISUSE)
        return luaL_error(L, "spawn %s: %s", name, why);
    if (!why && status == PH_ABSENT)
        op.why = "there is no such program";
    return ph_push_failure(L, &op, "spawn", name);
}

/* process{ program, argument…, env = { "NAME=value" | "NAME" … }, cwd =,
 * stdin =, stdout =, stderr = } -> process · nil, code, info */
static int process(lua_State *L)
{
    struct ph_process_options options = {0};
    struct ph_runtime *runtime = ph_runtime_of(L);
    struct lua_process *self;
    enum ph_status status;
    const char *why;
    long os;
    ph_phase_check(L, "spawn");
    lua_settop(L, 1);
    check_options(L, &options);
    self = lua_newuserdatauv(L, sizeof *self, VALUES + 1);
    self->process = NULL;
    lua_pushstring(L, options.argv[0]);
    lua_setiuservalue(L, -2, NAME_VALUE);
    status =
        ph_process_start(runtime->port, &options, &self->process, &os, &why);
    if (status != PH_OK) {
        lua_pushstring(L, options.argv[0]);
        return failed(L, status, why, os);
    }
    luaL_setmetatable(L, PROCESS);
    push_streams(L, self);
    ph_made(L);
    return 1;
}

/* ---- Methods ----------------------------------------------------------- */

/* Exit status, and the number of the signal if one ended it. */
static int push_exit(lua_State *L)
{
    struct ph_process *self = check(L);
    struct ph_exit how;
    if (!ph_process_ended(self)->set)
        return ph_push_status(L, PH_PENDING, "wait", "process", 0);
    how = ph_process_exit(self);
    lua_pushinteger(L, (lua_Integer)how.code);
    if (!how.signal)
        return 1;
    lua_pushinteger(L, how.signal);
    return 2;
}

static int push_gone(lua_State *L)
{
    if (!ph_process_gone(check(L))->set)
        return ph_push_status(L, PH_PENDING, "gone", "process", 0);
    lua_pushboolean(L, 1);
    return 1;
}

static int exit_resumed(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    (void)context;
    ph_wait_resumed(L);
    return push_exit(L);
}

static int gone_resumed(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    (void)context;
    ph_wait_resumed(L);
    return push_gone(L);
}

static int wait_for(lua_State *L, struct ph_signal *signal, lua_KFunction k)
{
    int64_t deadline = ph_check_deadline(L, 2, -1);
    struct ph_task *task;
    if (signal->set || deadline == PH_NOW)
        return k(L, LUA_OK, 0);
    task = ph_wait_check(L, "process:wait");
    if (ph_task_wait_one(L, signal, deadline))
        return k(L, LUA_OK, 0);
    return ph_wait_yield(L, task, k);
}

/* wait(ms) -> exit status [, signal] · nil, "pending": it goes on */
static int process_wait(lua_State *L)
{
    return wait_for(L, ph_process_ended(check(L)), exit_resumed);
}

/* gone(ms) -> true: nothing of its tree runs · nil, "pending" */
static int process_gone(lua_State *L)
{
    return wait_for(L, ph_process_gone(check(L)), gone_resumed);
}

/* kill(): asks for the end of the whole tree; wait and gone tell */
static int process_kill(lua_State *L)
{
    ph_process_kill(check(L));
    return 0;
}

static int closed(lua_State *L, int status, lua_KContext context)
{
    (void)L;
    (void)status;
    (void)context;
    return 0;
}

/* Kills the tree and waits until it has gone, where the coroutine can suspend;
 * what the system does not let go of is not waited for for ever. */
static int process_ends(lua_State *L)
{
    struct lua_process *self = luaL_checkudata(L, 1, PROCESS);
    struct ph_task *task = ph_wait_task(L);
    struct ph_signal *signal;
    int64_t deadline;
    if (!self->process)
        return 0;
    ph_process_kill(self->process);
    signal = ph_process_gone(self->process);
    deadline = ph_port_clock(ph_runtime_of(L)->port) + CLOSE_MS * INT64_C(1000);
    if (signal->set || !task || ph_task_wait_one(L, signal, deadline))
        return 0;
    return ph_wait_yield(L, task, closed);
}

static int process_gc(lua_State *L)
{
    struct lua_process *self = luaL_checkudata(L, 1, PROCESS);
    struct ph_process *gone = self->process;
    self->process = NULL;
    if (gone)
        ph_process_release(gone);
    return 0;
}

/* close(): kills the tree, and the handle is of no more use; again: nothing */
static int process_close(lua_State *L)
{
    struct lua_process *self = luaL_checkudata(L, 1, PROCESS);
    if (self->process && (ph_process_ended(self->process)->waiters ||
                          ph_process_gone(self->process)->waiters))
        return luaL_error(L, "a coroutine waits for the process");
    return process_gc(L);
}

static int process_tostring(lua_State *L)
{
    struct lua_process *self = luaL_checkudata(L, 1, PROCESS);
    const char *name;
    lua_getiuservalue(L, 1, NAME_VALUE);
    name = lua_tostring(L, -1);
    if (!self->process)
        lua_pushfstring(L, "process %s (closed)", name);
    else
        lua_pushfstring(L, "process %s (%I%s)", name,
                        (LUAI_UACINT)ph_process_pid(self->process),
                        ph_process_ended(self->process)->set ? ", ended" : "");
    return 1;
}

/* pid, the streams, then the methods (upvalue 1). */
static int process_index(lua_State *L)
{
    const char *key = luaL_checkstring(L, 2);
    if (strcmp(key, "pid") == 0) {
        lua_pushinteger(L, ph_process_pid(check(L)));
        return 1;
    }
    for (int i = 0; i < 3; i++)
        if (strcmp(key, stream_names[i]) == 0) {
            lua_getiuservalue(L, 1, STREAMS_VALUE + i);
            return 1;
        }
    lua_pushvalue(L, 2);
    lua_rawget(L, lua_upvalueindex(1));
    return 1;
}

void ph_process_open(lua_State *L)
{
    static const luaL_Reg methods[] = {{"wait", process_wait},
                                       {"gone", process_gone},
                                       {"kill", process_kill},
                                       {"close", process_close},
                                       {NULL, NULL}};
    static const luaL_Reg metamethods[] = {{"__gc", process_gc},
                                           {"__close", process_ends},
                                           {"__tostring", process_tostring},
                                           {NULL, NULL}};
    luaL_newmetatable(L, PROCESS);
    luaL_setfuncs(L, metamethods, 0);
    luaL_newlib(L, methods);
    lua_pushcclosure(L, process_index, 1);
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
    lua_pushcfunction(L, process);
    lua_setfield(L, -2, "process");
}
