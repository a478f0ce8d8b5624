/* SPDX-License-Identifier: MIT */
/* Plans of faults for Lua: host/overlapped/fault.h. */
#ifndef PH_BINDING_FAULTS_H
#define PH_BINDING_FAULTS_H

#include "lua.h"

/* Puts the function faults into the table on top of the stack. */
void ph_faults_open(lua_State *L);

#endif
