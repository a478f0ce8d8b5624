/* SPDX-License-Identifier: MIT */
/*
 * The workers of a host: threads, each with a port, its services and its
 * states.
 *
 * Only worker 0 holds names and accepts. A client of a server that is spread
 * goes to the worker with the fewest: its handle travels in a place, which
 * comes back when that connection ends, or at once where the worker does not
 * serve the name (any more). So max_instances, the ids and the balance are
 * worker 0's, and nothing of a connection is ever seen by two threads.
 *
 * Whatever goes from one worker to another is a note to its port; the states
 * share nothing but the store (pipehost.shared), which has a lock.
 */
#ifndef PH_CREW_H
#define PH_CREW_H

#include "service.h"

#define PH_CREW_MAX 64

struct ph_member {
    struct ph_port *port;
    struct ph_services *services;
    size_t clients; /* that it has of worker 0, who alone looks at it */
};

/* Does not change while the workers run, but for `clients`. */
struct ph_crew {
    unsigned count;
    struct ph_member members[PH_CREW_MAX];
};

/* A client's place at worker 0 while another worker has it. */
struct ph_place;

/* The service's instance has just connected, and its listener is movable: the
 * client goes to the worker with the fewest, NULL; or it stays, then its pipe
 * is ready and is returned. The pipe is taken over in any case: NULL also when
 * the system refused. */
struct ph_pipe *ph_crew_place(struct ph_service *service, struct ph_pipe *pipe,
                              lua_Integer id);

/* The connection that had the place has ended. */
void ph_place_return(struct ph_place *place);

/* Posts to the connections of that name of the script `owner` at all other
 * workers. False: some did not hear of it, for lack of memory. */
bool ph_crew_broadcast(struct ph_services *services, unsigned owner,
                       const char *key, const void *data, size_t len);

/* Has the servers of that name at all other workers stop, with this time for
 * their clients. False: likewise. */
bool ph_crew_stop(struct ph_services *services, unsigned owner, const char *key,
                  lua_Number ms);

#endif
