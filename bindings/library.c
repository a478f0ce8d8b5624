/* SPDX-License-Identifier: MIT */
/*
 * The table "core": the C functions that the Lua library is written on. They
 * are no interface for scripts and check only what a mistake of the library
 * could pass; what scripts pass on through it is checked like any argument.
 */
#include "library.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "embedded.h"
#include "faults.h"
#include "frame.h"
#include "lauxlib.h"
#include "lua_version.h"
#include "lualib.h"
#include "misuse.h"
#include "outcome.h"
#include "pipe.h"
#include "process.h"
#include "runtime.h"
#include "server.h"
#include "shared.h"
#include "value.h"

int luaopen_lfs(lua_State *L);

/* ---- Sources ------------------------------------------------------------------- */

static int read_file(lua_State *L, const char *path)
{
    FILE *file = fopen(path, "rb");
    luaL_Buffer buffer;
    size_t got;
    if (!file)
        return 0;
    luaL_buffinit(L, &buffer);
    do {
        char *room = luaL_prepbuffer(&buffer);
        got = fread(room, 1, LUAL_BUFFERSIZE, file);
        luaL_addsize(&buffer, got);
    } while (got == LUAL_BUFFERSIZE);
    fclose(file);
    luaL_pushresult(&buffer);
    return 1;
}

/* Pushes the text of folder/name. */
static bool read_from(lua_State *L, const char *folder, const char *name)
{
    int found = read_file(L, lua_pushfstring(L, "%s/%s", folder, name));
    lua_remove(L, found ? -2 : -1);
    return found;
}

static int compare_names(const void *name, const void *embedded)
{
    return strcmp(name, ((const struct ph_embedded *)embedded)->name);
}

static const struct ph_embedded *find_embedded(const char *name)
{
    return bsearch(name, ph_embedded, ph_embedded_count, sizeof *ph_embedded,
                   compare_names);
}

bool ph_library_load(lua_State *L, const char *folder, const char *name)
{
    const char *chunk_name = lua_pushfstring(L, "@%s", name);
    const struct ph_embedded *embedded = find_embedded(name);
    int status;
    if (folder && read_from(L, folder, name)) {
        size_t size;
        const char *text = lua_tolstring(L, -1, &size);
        status = luaL_loadbufferx(L, text, size, chunk_name, "t");
        lua_remove(L, -2);
    } else if (embedded) {
        status = luaL_loadbufferx(L, (const char *)embedded->data,
                                  embedded->size, chunk_name, "bt");
    } else {
        lua_pop(L, 1);
        return false;
    }
    lua_remove(L, -2);
    return status == LUA_OK ? true : lua_error(L);
}

/* library_load(name, folder) -> function · nil */
static int library_load(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    return ph_library_load(L, luaL_optstring(L, 2, NULL), name);
}

/* library_text(name) -> the text of an embedded file that is no module · nil */
static int library_text(lua_State *L)
{
    const struct ph_embedded *embedded =
        find_embedded(luaL_checkstring(L, 1));
    if (!embedded)
        return 0;
    lua_pushlstring(L, (const char *)embedded->data, embedded->size);
    return 1;
}

/* library_names() -> the names of all embedded files */
static int library_names(lua_State *L)
{
    lua_createtable(L, (int)ph_embedded_count, 0);
    for (size_t i = 0; i < ph_embedded_count; i++) {
        lua_pushstring(L, ph_embedded[i].name);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

/* ---- Functions of the core -------------------------------------------------------- */

static const char *const levels[] = {"debug", "info", "warn", "error", NULL};

/* log(level, message, fields): fields is a list key, value, key … of texts */
static int log_line(lua_State *L)
{
    enum { MOST = 32 };
    struct ph_runtime *runtime = ph_runtime_of(L);
    const char *fields[MOST];
    int level = luaL_checkoption(L, 1, NULL, levels);
    const char *text = luaL_checkstring(L, 2);
    lua_Integer count = lua_istable(L, 3) ? luaL_len(L, 3) : 0;
    if (count > MOST)
        count = MOST;
    if (count < 0) /* as a __len may have it */
        count = 0;
    luaL_checkstack(L, MOST, NULL);
    for (lua_Integer i = 0; i < count; i++) {
        lua_geti(L, 3, i + 1);
        fields[i] = luaL_checkstring(L, -1);
    }
    runtime->log(runtime->log_user, (enum ph_level)level, text, fields,
                 (size_t)count);
    return 0;
}

/* set_timeout(pipe, ms): of the handle; nil: none */
static int set_timeout(lua_State *L)
{
    struct lua_pipe *self = ph_pipe_check(L, 1);
    self->timeout_ms = (float)luaL_optnumber(L, 2, -1);
    return 0;
}

/* host_close(pipe): closed by the host, so that what the script still does with
 * it returns nil, "closed" */
static int host_close(lua_State *L)
{
    struct lua_pipe *self = luaL_checkudata(L, 1, PH_PIPE);
    self->host_closed = true;
    if (self->pipe)
        ph_pipe_close(self->pipe);
    return 0;
}

static bool is_logged(lua_State *L, int level)
{
    return level >= (int)*ph_runtime_of(L)->log_least;
}

/* log_enabled(level) -> boolean: would such a line be written? */
static int log_enabled(lua_State *L)
{
    lua_pushboolean(L, is_logged(L, luaL_checkoption(L, 1, NULL, levels)));
    return 1;
}

static int logged(lua_State *L, int status, lua_KContext context)
{
    (void)L;
    (void)status;
    (void)context;
    return 0;
}

/* Most lines are of a level that nobody wants: they end here. */
static int log_if_enabled(lua_State *L)
{
    if (!is_logged(L, (int)lua_tointeger(L, lua_upvalueindex(1))))
        return 0;
    lua_pushvalue(L, lua_upvalueindex(2));
    lua_insert(L, 1);
    lua_callk(L, lua_gettop(L) - 1, 0, 0, logged);
    return 0;
}

/* logger(level, write) -> function(...): calls write(...) if lines of that level
 * are written */
static int logger(lua_State *L)
{
    lua_pushinteger(L, luaL_checkoption(L, 1, NULL, levels));
    luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_pushvalue(L, 2);
    lua_pushcclosure(L, log_if_enabled, 2);
    return 1;
}

/* is_open(pipe) -> false: the script or the host has closed it */
static int is_open(lua_State *L)
{
    struct lua_pipe *self = luaL_checkudata(L, 1, PH_PIPE);
    lua_pushboolean(L, self->pipe &&
                           ph_pipe_state(self->pipe) != PH_PIPE_CLOSED);
    return 1;
}

static void set_number(lua_State *L, const char *key, lua_Integer value)
{
    lua_pushinteger(L, value);
    lua_setfield(L, -2, key);
}

static void add_listed(void *user, const struct ph_listed *one)
{
    static const char *const modes[] = {NULL, "message", "byte"};
    lua_State *L = user;
    lua_createtable(L, 0, 5);
    lua_pushstring(L, one->name);
    lua_setfield(L, -2, "name");
    lua_pushstring(L, modes[one->mode]);
    lua_setfield(L, -2, "mode");
    if (one->instances >= 0)
        set_number(L, "instances", one->instances);
    if (one->owner.pid)
        set_number(L, "pid", one->owner.pid);
    if (one->owner.has_uid)
        set_number(L, "uid", one->owner.uid);
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
}

/* list() -> the plain pipes that somebody serves, each { name, mode, instances,
 * pid, uid }, nil what is not known */
static int list(lua_State *L)
{
    lua_newtable(L);
    ph_pipe_list(add_listed, L);
    return 1;
}

/* interrupt(task): what it waits for returns nil, "cancelled"; the task itself
 * goes on */
static int interrupt(lua_State *L)
{
    ph_task_interrupt(ph_task_check(L, 1));
    return 0;
}

static int phase(lua_State *L)
{
    static const char *const names[] = {"loading", "checking", "running",
                                        NULL};
    struct ph_runtime *runtime = ph_runtime_of(L);
    lua_pushstring(L, names[runtime->phase]);
    if (!lua_isnoneornil(L, 1))
        runtime->phase = (enum ph_phase)luaL_checkoption(L, 1, NULL, names);
    return 1;
}

/* tracked(): the script has read a file that it had not read before */
static int tracked(lua_State *L)
{
    ph_signal_set(&ph_runtime_of(L)->tracked);
    return 0;
}

/* commit(): the script runs; the tasks that waited for that start */
static int commit(lua_State *L)
{
    ph_runtime_commit(ph_runtime_of(L));
    return 0;
}

/* checked(error) -> the place where a check ended, nil for other errors */
static int checked(lua_State *L)
{
    if (lua_touserdata(L, 1) != (const void *)&ph_check_reached)
        return 0;
    lua_getfield(L, LUA_REGISTRYINDEX, "pipehost.checked");
    return 1;
}

/* failure(code, op, pipe, message) -> nil, code, info */
static int failure(lua_State *L)
{
    lua_settop(L, 4);
    lua_pushnil(L);
    lua_pushvalue(L, 1);
    lua_createtable(L, 0, 4);
    luaL_setmetatable(L, PH_INFO);
    lua_pushvalue(L, 1);
    lua_setfield(L, -2, "code");
    lua_pushvalue(L, 2);
    lua_setfield(L, -2, "op");
    lua_pushvalue(L, 3);
    lua_setfield(L, -2, "pipe");
    lua_pushvalue(L, 4);
    lua_setfield(L, -2, "message");
    return 3;
}

/* clone(value) -> a copy of plain data · nil, why it is none */
static int clone(lua_State *L)
{
    struct ph_value *value;
    luaL_checkany(L, 1);
    value = ph_value_push(L);
    if (!ph_value_encode(L, 1, value))
        return ph_value_decode(L, value);
    lua_pushnil(L);
    lua_insert(L, -2);
    return 2;
}

/* is_info(value) -> boolean */
static int is_info(lua_State *L)
{
    bool is = lua_istable(L, 1) && lua_getmetatable(L, 1);
    if (is) {
        luaL_getmetatable(L, PH_INFO);
        is = lua_rawequal(L, -1, -2);
    }
    lua_pushboolean(L, is);
    return 1;
}

/* check_options(table, names, what): raises on an unknown key, with the near
 * one */
static int check_options(lua_State *L)
{
    enum { MOST = 64 };
    const char *names[MOST + 1];
    lua_Integer count = luaL_len(L, 2);
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_argcheck(L, count >= 0 && count <= MOST, 2, "too many names");
    luaL_checkstack(L, MOST, NULL);
    for (lua_Integer i = 0; i < count; i++) {
        lua_geti(L, 2, i + 1);
        names[i] = luaL_checkstring(L, -1);
    }
    names[count] = NULL;
    ph_check_options(L, 1, names, luaL_checkstring(L, 3));
    return 0;
}

/* place() -> "file:line: " of the script's line that is being run, or "" */
static int place(lua_State *L)
{
    ph_push_place(L);
    return 1;
}

/* index(table, what) -> a function for __index: what the table has, and for
 * other keys an error that names the nearest one */
static int strict_index(lua_State *L)
{
    const char *what = luaL_checkstring(L, 2);
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_pushvalue(L, 1);
    ph_push_index(L, what);
    return 1;
}

/* watch_made(fn): fn(object) is called for each pipe, operation, task and process
 * that the script makes. For tests. */
static int watch_made(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_settop(L, 1);
    lua_setfield(L, LUA_REGISTRYINDEX, PH_MADE);
    ph_runtime_of(L)->told = true;
    return 0;
}

/* guard(what): raises where the script may not use pipes yet */
static int guard(lua_State *L)
{
    ph_phase_check(L, luaL_checkstring(L, 1));
    return 0;
}

static const luaL_Reg functions[] = {
    {"log", log_line},
    {"set_timeout", set_timeout},
    {"host_close", host_close},
    {"interrupt", interrupt},
    {"is_open", is_open},
    {"log_enabled", log_enabled},
    {"logger", logger},
    {"list", list},
    {"phase", phase},
    {"tracked", tracked},
    {"commit", commit},
    {"checked", checked},
    {"failure", failure},
    {"clone", clone},
    {"is_info", is_info},
    {"check_options", check_options},
    {"place", place},
    {"index", strict_index},
    {"guard", guard},
    {"watch_made", watch_made},
    {"library_load", library_load},
    {"library_text", library_text},
    {"library_names", library_names},
    {NULL, NULL},
};

static void push_names(lua_State *L, const char *const *names)
{
    lua_newtable(L);
    for (lua_Integer i = 1; *names; i++) {
        lua_pushstring(L, *names++);
        lua_rawseti(L, -2, i);
    }
}

static void push_number(lua_State *L, const char *name, lua_Integer value)
{
    lua_pushinteger(L, value);
    lua_setfield(L, -2, name);
}

void ph_library_open(lua_State *L)
{
    luaL_openlibs(L);
    luaL_requiref(L, "lfs", luaopen_lfs, 0);
    lua_pop(L, 1);
    ph_outcome_open(L);
    ph_operation_open(L);
    ph_pipe_open(L);
    luaL_newlib(L, functions);
    ph_task_open(L);
    ph_coroutine_open(L);
    ph_faults_open(L);
    ph_frame_open(L);
    ph_open_open(L);
    ph_server_open(L);
    ph_process_open(L);
    ph_shared_types(L);
    ph_push_types(L);
    lua_setfield(L, -2, "types");
    push_names(L, ph_conn_fields);
    lua_setfield(L, -2, "connection_fields");
    push_number(L, "worker", ph_runtime_of(L)->worker);
    push_number(L, "workers", ph_runtime_of(L)->workers);
    luaL_getmetatable(L, PH_PIPE);
    lua_getfield(L, -1, "methods");
    lua_setfield(L, -3, "methods");
    lua_pop(L, 1);
}
