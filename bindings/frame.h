/* SPDX-License-Identifier: MIT */
/* The option `frame` of byte pipes, and the Lua type that it becomes. */
#ifndef PH_BINDING_FRAME_H
#define PH_BINDING_FRAME_H

#include "lua.h"
#include "overlapped.h"

/* The frame at `index`: a userdata of the core function `frame`, or nil or none
 * (NULL). It lives as long as the userdata, or who has a reference. */
struct ph_frame *ph_frame_check(lua_State *L, int index);

/* Pushes what the option at `index` means: nil, or a userdata that the Lua
 * function given to `set_framer` makes of it. Raises its message. */
void ph_frame_push(lua_State *L, int index);

/* The functions frame and set_framer go into the table on top. */
void ph_frame_open(lua_State *L);

#endif
