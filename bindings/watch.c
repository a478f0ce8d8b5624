/* SPDX-License-Identifier: MIT */
#include "watch.h"

#include <string.h>

#include "lauxlib.h"
#include "outcome.h"
#include "runtime.h"

#define FOLDER "pipehost.folder"

struct lua_folder {
    struct ph_folder *folder; /* NULL: closed */
};

static const char *reason(enum ph_status status)
{
    switch (status) {
    case PH_ABSENT:
        return "there is no such folder";
    case PH_DENIED:
        return "access is denied";
    case PH_NOMEM:
        return "the system watches no more folders";
    default:
        return "the system cannot watch it";
    }
}

/* nil, code, info */
static int refused(lua_State *L, enum ph_status status, const char *path,
                   long os)
{
    ph_push_status(L, status, "watch", path, os);
    lua_pushfstring(L, "%s (%s, system error %I)", reason(status),
                    ph_status_name(status), (LUAI_UACINT)os);
    lua_setfield(L, -2, "message");
    return 3;
}

/* watch(path, names_only) -> folder · nil, code, info */
static int watch(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    bool names_only = lua_toboolean(L, 2);
    struct lua_folder *self = lua_newuserdatauv(L, sizeof *self, 1);
    enum ph_status status;
    long os = 0;
    self->folder = NULL;
    luaL_setmetatable(L, FOLDER);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, 1);
    status = ph_folder_open(ph_runtime_of(L)->port, path, names_only,
                            &self->folder, &os);
    if (status != PH_OK)
        return refused(L, status, path, os);
    return 1;
}

/* { [name] = "changed" | "writing" }, the last mark of each, and whether some
 * were lost. */
static int push_changes(lua_State *L, const struct ph_op *op)
{
    const char *at = (const char *)op->data;
    const char *end = op->len ? at + op->len : at;
    lua_newtable(L);
    for (; at < end; at += strlen(at) + 1) {
        lua_pushstring(L, *at == PH_MARK_WRITING ? "writing" : "changed");
        lua_setfield(L, -2, at + 1);
    }
    lua_pushboolean(L, op->more);
    return 2;
}

static int changes_resumed(lua_State *L, int status, lua_KContext context)
{
    const struct ph_op *op = ph_runtime_of(L)->current->call;
    (void)status;
    (void)context;
    ph_wait_resumed(L);
    if (op->status == PH_OK)
        return push_changes(L, op);
    lua_getiuservalue(L, 1, 1);
    return ph_push_failure(L, op, "watch", lua_tostring(L, -1));
}

/* folder:changes(ms) -> { [name] = … }, lost · nil, code, info: "closed": it is
 * there no more; "cancelled": this handle was closed */
static int changes(lua_State *L)
{
    struct lua_folder *self = luaL_checkudata(L, 1, FOLDER);
    int64_t deadline = ph_check_deadline(L, 2, -1);
    struct ph_task *task = ph_wait_check(L, "folder:changes");
    struct ph_op *op = ph_task_call(L, task);
    if (!self->folder)
        return luaL_error(L, "the folder is watched no more");
    if (ph_watch_start(op, self->folder, deadline) != PH_OK)
        return luaL_error(L, "%s", op->why);
    if (op->state == PH_OP_DONE)
        return changes_resumed(L, LUA_OK, 0);
    return ph_wait_yield(L, task, changes_resumed);
}

/* folder:close(); again: nothing happens */
static int close_folder(lua_State *L)
{
    struct lua_folder *self = luaL_checkudata(L, 1, FOLDER);
    struct ph_folder *folder = self->folder;
    self->folder = NULL;
    if (folder)
        ph_folder_close(folder);
    return 0;
}

void ph_watch_open(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"changes", changes}, {"close", close_folder}, {NULL, NULL}};
    luaL_newmetatable(L, FOLDER);
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, close_folder);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
    lua_pushcfunction(L, watch);
    lua_setfield(L, -2, "watch");
}
