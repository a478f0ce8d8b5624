/* SPDX-License-Identifier: MIT */
/* Hand-over: a connection goes from its server to the one that a later
 * generation has for the same name, with a clone of its state. */
#ifndef PH_HANDOVER_H
#define PH_HANDOVER_H

#include "connection.h"

/* A connection on its way: it belongs to the new server already, and goes back
 * to the old one where that does not take it. */
struct ph_crossing {
    struct ph_server *from;  /* NULL: it has arrived */
    int from_ref;            /* its userdata there */
    lua_Integer version;     /* state_version there */
    struct ph_value parcel;  /* its state */
    struct ph_task *session; /* waits there in conn:checkpoint, or NULL */
};

/* Is there a later server that the connection has not tried yet? */
bool ph_conn_wants_crossing(const struct ph_conn *conn);

/* After a reload: the connection, which is at a safe point, goes to the server
 * that its service has now. Where that fails it stays, and goes on. */
void ph_conn_cross(struct ph_conn *conn);

/* Its server has adopted it, or has not, and `refusal` says why: then it goes
 * back. */
void ph_conn_adopted(struct ph_conn *conn, const char *refusal);

/* Frees what the crossing holds; a session that waits goes on without its
 * connection. For ph_conn_free, or when it has arrived. */
void ph_crossing_free(struct ph_conn *conn);

/* conn:checkpoint() of sessions. */
int ph_conn_checkpoint(lua_State *L);

#endif
