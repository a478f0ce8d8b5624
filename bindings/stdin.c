/* SPDX-License-Identifier: MIT */
#include "stdin.h"

#include "lauxlib.h"
#include "outcome.h"
#include "input.h"
#include "runtime.h"

#define INPUT "pipehost.input"

struct lua_input {
    struct ph_input *input; /* NULL: closed */
};

/* input() -> input · nil, code, info */
static int input(lua_State *L)
{
    struct lua_input *self = lua_newuserdatauv(L, sizeof *self, 0);
    enum ph_status status;
    long os;
    self->input = NULL;
    luaL_setmetatable(L, INPUT);
    status = ph_input_open(ph_runtime_of(L)->port, &self->input, &os);
    if (status != PH_OK)
        return ph_push_status(L, status, "input", NULL, os);
    return 1;
}

static int read_resumed(lua_State *L, int status, lua_KContext context)
{
    struct ph_task *task = ph_runtime_of(L)->current;
    int values;
    (void)status;
    (void)context;
    ph_wait_resumed(L);
    values = ph_push_result(L, task->call, 0);
    ph_task_call_over(task);
    return values;
}

/* input:read(ms) -> data · nil, code, info: "closed" is the end */
static int read(lua_State *L)
{
    struct lua_input *self = luaL_checkudata(L, 1, INPUT);
    int64_t deadline = ph_check_deadline(L, 2, -1);
    struct ph_task *task = ph_wait_check(L, "input:read");
    struct ph_op *op = ph_task_call(L, task);
    enum ph_status status;
    if (!self->input)
        return luaL_error(L, "the input is closed");
    status = ph_input_start(op, self->input, deadline);
    if (status == PH_MISUSE)
        return luaL_error(L, "%s", op->why);
    if (status != PH_OK)
        return ph_push_status(L, status, "input", NULL, 0);
    if (op->state == PH_OP_DONE)
        return read_resumed(L, LUA_OK, 0);
    return ph_wait_yield(L, task, read_resumed);
}

/* input:close(); again: nothing happens */
static int close_input(lua_State *L)
{
    struct lua_input *self = luaL_checkudata(L, 1, INPUT);
    struct ph_input *input = self->input;
    self->input = NULL;
    if (input)
        ph_input_close(input);
    return 0;
}

void ph_stdin_open(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"read", read}, {"close", close_input}, {NULL, NULL}};
    luaL_newmetatable(L, INPUT);
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, close_input);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
    lua_pushcfunction(L, input);
    lua_setfield(L, -2, "input");
}
