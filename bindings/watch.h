/* SPDX-License-Identifier: MIT */
/* Watched folders as Lua values, for the command line's state. */
#ifndef PH_BINDING_WATCH_H
#define PH_BINDING_WATCH_H

#include "lua.h"

/* The function watch goes into the table on top, and its type into the
 * registry. */
void ph_watch_open(lua_State *L);

#endif
