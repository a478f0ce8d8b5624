/* SPDX-License-Identifier: MIT */
/* The host's functions for the command line (scripts/pipehost/main.lua). */
#ifndef PH_HOST_H
#define PH_HOST_H

#include "lua.h"
#include "value.h"

struct ph_host;

/* Adds the table "host" to the core table at stack index 1: for the main
 * generation, and for test files, which load scripts of their own. */
int ph_host_open(lua_State *L);

/* The host that runs this state. */
struct ph_host *ph_host_of(lua_State *L);

/* Appends the values at stack indices `from` to `to`; raises for one that is no
 * plain data. */
void ph_host_encode(lua_State *L, int from, int to, struct ph_value *value);

/* system.c: adds what tells about the system to the table on top. */
void ph_system_open(lua_State *L);

#endif
