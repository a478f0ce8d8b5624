/* SPDX-License-Identifier: MIT */
/* How outcomes become Lua values: the result, or nil, code, info. */
#ifndef PH_OUTCOME_H
#define PH_OUTCOME_H

#include "lua.h"
#include "overlapped.h"

/* The operation's name in Lua, such as "read". */
const char *ph_op_verb(const struct ph_op *op);

/* Pushes nil, code and info for a DONE operation that failed. `verb` is the
 * operation's name in Lua, `name` the pipe's. Returns 3. */
int ph_push_failure(lua_State *L, const struct ph_op *op, const char *verb,
                    const char *name);

/* The same for a call that is no operation. */
int ph_push_status(lua_State *L, enum ph_status status, const char *verb,
                   const char *name, long os);

/* The same where the reason is known: a static text, or NULL. */
int ph_push_refusal(lua_State *L, enum ph_status status, const char *verb,
                    const char *name, const char *why);

/* An operation that could not be started: no memory, or the host has closed the
 * pipe whose userdata is at `pipe_index` (info.by = "host"). */
int ph_push_start_failure(lua_State *L, enum ph_status status, int pipe_index);

/* Pushes what the method of a DONE operation returns (for create and open:
 * nothing, only failures) and gives the number of values. The pipe's userdata
 * is at `pipe_index`, 0: none. */
int ph_push_result(lua_State *L, struct ph_op *op, int pipe_index);

/* Registers the metatable of info. */
void ph_outcome_open(lua_State *L);

#endif
