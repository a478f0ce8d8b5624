/* SPDX-License-Identifier: MIT */
/* Child processes as Lua values ("pipehost.process"), for tests. */
#ifndef PH_BINDING_PROCESS_H
#define PH_BINDING_PROCESS_H

#include "lua.h"
#include "overlapped.h"

/* The function process goes into the table on top, and its type into the
 * registry. */
void ph_process_open(lua_State *L);

/* The signal of the end of the process at `index`, NULL if it is none. */
struct ph_signal *ph_process_signal(lua_State *L, int index);

#endif
