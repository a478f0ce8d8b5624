/* SPDX-License-Identifier: MIT */
/*
 * pipe.create, pipe.open, pipe.available: options in, handles out.
 *
 * All arguments are checked before anything is made: an error raised afterwards
 * would leave what the system has given. The handle is made next, closed, with
 * its metatable; only then the system is asked. Whatever is raised from there
 * on, the collector finds the handle and releases the pipe.
 */
#include <math.h>
#include <string.h>

#include "frame.h"
#include "lauxlib.h"
#include "misuse.h"
#include "outcome.h"
#include "pipe.h"
#include "runtime.h"

#define UIDS_MAX 65536 /* __len may claim any number */

/* Raised by the first pipe operation under `check`: its address tells it from
 * any error of the script. */
const char ph_check_reached = 0;

void ph_phase_check(lua_State *L, const char *what)
{
    switch (ph_runtime_of(L)->phase) {
    case PH_PHASE_LOADING:
        luaL_error(L, "%s: not while loading; use pipehost.on_start(fn)", what);
        break;
    case PH_PHASE_CHECKING:
        ph_push_place(L);
        lua_setfield(L, LUA_REGISTRYINDEX, "pipehost.checked");
        lua_pushlightuserdata(L, (void *)&ph_check_reached);
        lua_error(L);
        break;
    default:
        break;
    }
}

/* ---- Options ------------------------------------------------------------------ */

/* An option's value on the stack, popped by the caller. */
static int get(lua_State *L, int table, const char *key)
{
    return lua_isnoneornil(L, table) ? (lua_pushnil(L), LUA_TNIL)
                                     : lua_getfield(L, table, key);
}

static int pick(lua_State *L, int table, const char *key,
                const char *const *names)
{
    int found = 0;
    if (get(L, table, key) != LUA_TNIL) {
        const char *text =
            lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
        while (names[found] && strcmp(names[found], text) != 0)
            found++;
        if (!names[found]) {
            lua_pushliteral(L, "");
            for (int i = 0; names[i]; i++) {
                lua_pushfstring(L, "%s\"%s\"", i ? ", " : "", names[i]);
                lua_concat(L, 2);
            }
            luaL_error(L, "option '%s' is one of %s", key,
                       lua_tostring(L, -1));
        }
    }
    lua_pop(L, 1);
    return found;
}

static lua_Integer number(lua_State *L, int table, const char *key,
                          lua_Integer fallback, lua_Integer most)
{
    lua_Integer value = fallback;
    if (get(L, table, key) != LUA_TNIL) {
        int is = 0;
        value = lua_tointegerx(L, -1, &is);
        if (lua_type(L, -1) == LUA_TNUMBER && lua_tonumber(L, -1) == HUGE_VAL) {
            value = most;
            is = 1;
        }
        if (!is || lua_type(L, -1) != LUA_TNUMBER || value < 1 || value > most)
            luaL_error(L, "option '%s' is a whole number from 1 to %I", key,
                       (LUAI_UACINT)most);
    }
    lua_pop(L, 1);
    return value;
}

static bool boolean(lua_State *L, int table, const char *key)
{
    int type = get(L, table, key);
    bool value = lua_toboolean(L, -1);
    if (type != LUA_TNIL && type != LUA_TBOOLEAN)
        luaL_error(L, "option '%s' is true or false", key);
    lua_pop(L, 1);
    return value;
}

static lua_Number timeout(lua_State *L, int table)
{
    lua_Number ms = -1;
    if (get(L, table, "timeout") != LUA_TNIL) {
        if (lua_type(L, -1) != LUA_TNUMBER || !(lua_tonumber(L, -1) >= 0))
            luaL_error(L, "option 'timeout' is a number of milliseconds");
        ms = lua_tonumber(L, -1);
    }
    lua_pop(L, 1);
    return ms;
}

/* Leaves the frame's userdata on the stack. */
static struct ph_frame *frame_option(lua_State *L, int table, enum ph_mode mode)
{
    get(L, table, "frame");
    ph_frame_push(L, -1);
    lua_remove(L, -2);
    if (mode == PH_MODE_MESSAGE && !lua_isnil(L, -1))
        luaL_error(L, "option 'frame' needs mode = \"byte\": a message pipe "
                      "has messages already");
    return ph_frame_check(L, -1);
}

/* The list of uids at the top of the stack, in memory of the state. */
static void uids(lua_State *L, struct ph_create_options *options)
{
    lua_Integer count = luaL_len(L, -1);
    uint32_t *list;
    if (count < 0 || count > UIDS_MAX)
        luaL_error(L, "option 'access' as a list has at most %d uids in it",
                   UIDS_MAX);
    options->access = PH_ACCESS_UIDS;
    list = lua_newuserdatauv(L, (size_t)(count + 1) * sizeof *list, 0);
    for (lua_Integer i = 0; i < count; i++) {
        lua_Integer uid;
        int is;
        lua_geti(L, -2, i + 1);
        uid = lua_tointegerx(L, -1, &is);
        if (!is || uid < 0 || uid >= UINT32_MAX)
            luaL_error(L, "option 'access' as a list has uids in it");
        list[i] = (uint32_t)uid;
        lua_pop(L, 1);
    }
    options->uids = list;
    options->uid_count = (size_t)count;
    lua_insert(L, -2); /* the list stays on the stack while it is used */
}

static void access_option(lua_State *L, int table,
                          struct ph_create_options *options)
{
    static const char *const names[] = {"me", "admins", "users"};
    const char *text;
    switch (get(L, table, "access")) {
    case LUA_TNIL:
        break;
    case LUA_TTABLE:
        uids(L, options);
        break;
    case LUA_TSTRING:
        text = lua_tostring(L, -1);
        options->access = PH_ACCESS_SDDL;
        options->sddl = text;
        for (size_t i = 0; i < ph_countof(names); i++)
            if (strcmp(names[i], text) == 0)
                options->access = (enum ph_access_kind)i;
        if (options->access != PH_ACCESS_SDDL)
            options->sddl = NULL;
        else if (!strchr(text, ':'))
            luaL_error(L, "option 'access' is \"me\", \"admins\", \"users\", a "
                          "list of uids (Linux) or SDDL (Windows)");
        return; /* the table keeps the text alive */
    default:
        luaL_error(L, "option 'access' is a text or a list of uids");
    }
}

static const char *const create_names[] = {
    "mode",  "access",  "direction",   "max_instances", "backlog",
    "first", "timeout", "max_message", "frame",         NULL};
static const char *const open_names[] = {
    "mode", "timeout", "peer", "wait", "max_message", "frame", NULL};
static const char *const modes[] = {"message", "byte", NULL};

static void check_table(lua_State *L, const char *const *names,
                        const char *what)
{
    if (lua_isnoneornil(L, 2))
        return;
    luaL_checktype(L, 2, LUA_TTABLE);
    ph_check_options(L, 2, names, what);
}

/* ---- Functions ------------------------------------------------------------------ */

/* A zero byte would end the name before its end. */
static const char *check_name(lua_State *L)
{
    size_t len;
    const char *name = luaL_checklstring(L, 1, &len);
    luaL_argcheck(L, strlen(name) == len, 1,
                  "a pipe name has no zero byte in it");
    return name;
}

/* Pushes the handle: closed until the operation is under way. */
static struct lua_pipe *push_handle(lua_State *L, lua_Number timeout_ms,
                                    struct ph_frame *frame)
{
    struct lua_pipe *self = ph_pipe_push(L, 1);
    self->timeout_ms = (float)timeout_ms;
    self->pipe = ph_pipe_new(ph_runtime_of(L)->port);
    if (!self->pipe)
        luaL_error(L, "not enough memory");
    ph_pipe_set_frame(self->pipe, frame);
    ph_made(L);
    lua_replace(L, 1);
    return self;
}

static int launched(lua_State *L, struct ph_task *task, enum ph_status status,
                    const char *what)
{
    if (status == PH_MISUSE)
        return luaL_error(L, "%s '%s': %s", what, ph_pipe_name(L, 1),
                          task->call->why);
    if (status != PH_OK)
        return ph_push_status(L, status, what, ph_pipe_name(L, 1), 0);
    return ph_pipe_await(L, task);
}

static int64_t deadline_of(lua_State *L, lua_Number timeout_ms)
{
    lua_pushnumber(L, timeout_ms);
    int64_t deadline =
        timeout_ms < 0 ? PH_FOREVER : ph_check_deadline(L, -1, -1);
    lua_pop(L, 1);
    return deadline;
}

void ph_create_options(lua_State *L, struct ph_create_options *options)
{
    static const char *const directions[] = {"duplex", "inbound", "outbound",
                                             NULL};
    options->mode = pick(L, 2, "mode", modes) ? PH_MODE_BYTE : PH_MODE_MESSAGE;
    options->direction = (enum ph_direction)pick(L, 2, "direction", directions);
    options->max_instances =
        (uint32_t)number(L, 2, "max_instances", PH_INSTANCES_MAX,
                         PH_INSTANCES_MAX);
    options->backlog = (uint32_t)number(L, 2, "backlog", PH_BACKLOG, 4096);
    options->max_message =
        (size_t)number(L, 2, "max_message", PH_MESSAGE_MAX, 1 << 30);
    options->first = boolean(L, 2, "first");
    access_option(L, 2, options);
}

/* The same; the frame stays on the stack. */
static struct ph_frame *create_options(lua_State *L,
                                       struct ph_create_options *options)
{
    ph_create_options(L, options);
    return frame_option(L, 2, options->mode);
}

/* check_create(name, opts): raises where create would, and makes nothing */
static int check_create(lua_State *L)
{
    struct ph_create_options options = {0};
    const char *why, *name = check_name(L);
    luaL_checktype(L, 2, LUA_TTABLE);
    if (ph_name_check(name, &why) != PH_OK)
        return luaL_error(L, "%s", why);
    create_options(L, &options);
    return 0;
}

/* create(name, opts) -> pipe · nil, "exists" | "denied" | "mode" | "toobig".
 * With the upvalue true: for a server, whose clients may go to other workers. */
static int create(lua_State *L)
{
    struct ph_create_options options = {0};
    struct ph_frame *frame;
    struct ph_task *task;
    struct lua_pipe *self;
    lua_Number ms;
    check_name(L);
    ph_phase_check(L, "pipe.create");
    check_table(L, create_names, "pipe.create");
    lua_settop(L, 2);
    ms = timeout(L, 2);
    frame = create_options(L, &options);
    options.movable = lua_toboolean(L, lua_upvalueindex(1)) &&
                      ph_runtime_of(L)->workers > 1;
    task = ph_wait_check(L, "pipe.create");
    lua_pushvalue(L, 1);
    self = push_handle(L, ms, frame);
    return launched(L, task,
                    ph_create_start(ph_task_call(L, task), self->pipe,
                                    lua_tostring(L, -1), &options,
                                    deadline_of(L, ms)),
                    "pipe.create");
}

/* How long open waits where `wait` does not say it: only with a time-out. */
static enum ph_open_wait wait_option(lua_State *L, lua_Number ms)
{
    static const char *const waits[] = {"exists", "free", "no", NULL};
    int type = get(L, 2, "wait");
    lua_pop(L, 1);
    if (type == LUA_TNIL)
        return ms > 0 ? PH_OPEN_EXISTS : PH_OPEN_NO;
    return (enum ph_open_wait)pick(L, 2, "wait", waits);
}

/* open(name, opts) -> pipe · nil, "absent" | "busy" | "denied" | "mode" |
 * "timeout" */
static int open(lua_State *L)
{
    static const char *const peers[] = {"user", "any", NULL};
    struct ph_open_options options = {0};
    struct ph_frame *frame;
    struct ph_task *task;
    struct lua_pipe *self;
    lua_Number ms;
    check_name(L);
    ph_phase_check(L, "pipe.open");
    check_table(L, open_names, "pipe.open");
    lua_settop(L, 2);
    ms = timeout(L, 2);
    if (get(L, 2, "mode") != LUA_TNIL)
        options.mode =
            pick(L, 2, "mode", modes) ? PH_MODE_BYTE : PH_MODE_MESSAGE;
    lua_pop(L, 1);
    options.wait = wait_option(L, ms);
    options.any_peer = pick(L, 2, "peer", peers) == 1;
    options.own_peer = get(L, 2, "peer") != LUA_TNIL && !options.any_peer;
    lua_pop(L, 1);
    options.max_message =
        (size_t)number(L, 2, "max_message", PH_MESSAGE_MAX, 1 << 30);
    frame = frame_option(L, 2, options.mode);
    task = ph_wait_check(L, "pipe.open");
    lua_pushvalue(L, 1);
    self = push_handle(L, ms, frame);
    return launched(L, task,
                    ph_open_start(ph_task_call(L, task), self->pipe,
                                  lua_tostring(L, -1), &options,
                                  deadline_of(L, ms)),
                    "pipe.open");
}

static int push_available(lua_State *L, struct ph_task *task)
{
    int values = ph_push_result(L, task->call, 0);
    ph_task_call_over(task);
    return values;
}

static int available_resumed(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    (void)context;
    ph_wait_resumed(L);
    return push_available(L, ph_runtime_of(L)->current);
}

/* available(name, ms) -> true · nil, "absent" | "timeout": could it be opened
 * now? Never connects; a reservation it is not. */
static int available(lua_State *L)
{
    const char *name = check_name(L);
    int64_t deadline = ph_check_deadline(L, 2, -1);
    struct ph_task *task;
    enum ph_status status;
    ph_phase_check(L, "pipe.available");
    task = ph_wait_check(L, "pipe.available");
    status = ph_available_start(ph_task_call(L, task), task->runtime->port,
                                name, deadline);
    if (status == PH_MISUSE)
        return luaL_error(L, "pipe.available '%s': %s", name, task->call->why);
    if (status != PH_OK)
        return ph_push_status(L, status, "available", name, 0);
    if (task->call->state == PH_OP_DONE)
        return push_available(L, task);
    return ph_wait_yield(L, task, available_resumed);
}

void ph_open_open(lua_State *L)
{
    static const luaL_Reg functions[] = {{"create", create},
                                         {"check_create", check_create},
                                         {"open", open},
                                         {"available", available},
                                         {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
    lua_pushboolean(L, 1);
    lua_pushcclosure(L, create, 1);
    lua_setfield(L, -2, "create_served");
}
