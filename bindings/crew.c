/* SPDX-License-Identifier: MIT */
#include "crew.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "connection.h"

/* Owned by worker 0; whoever has it reads it, and posts it back. */
struct ph_place {
    struct ph_post post;
    struct ph_crew *crew;
    unsigned at;          /* the worker that has the client */
    struct ph_pipe *pipe; /* keeps the place; worker 0's */
    struct ph_gift gift;
    bool given; /* the gift has not been taken */
    unsigned owner;
    lua_Integer id;
    const char *path, *key; /* behind `name` */
    char name[];
};

/* ---- Back at worker 0 ---------------------------------------------------- */

/* A worker did not want it: it is served here, if it can be. */
static void serve_here(struct ph_place *place)
{
    struct ph_services *services = place->crew->members[0].services;
    struct ph_service *service =
        ph_services_find(services, place->owner, place->key);
    if (service && ph_pipe_take_back(place->pipe, &place->gift) == PH_OK) {
        ph_service_admit(service, place->pipe, place->id, NULL);
        return;
    }
    ph_gift_drop(&place->gift);
    ph_pipe_close(place->pipe);
    ph_pipe_release(place->pipe);
}

static void came_back(struct ph_post *post)
{
    struct ph_place *place = ph_container_of(post, struct ph_place, post);
    struct ph_member *member = &place->crew->members[place->at];
    assert(member->clients);
    member->clients--;
    if (place->given) {
        serve_here(place);
    } else {
        ph_pipe_close(place->pipe);
        ph_pipe_release(place->pipe);
    }
    free(place);
}

void ph_place_return(struct ph_place *place)
{
    place->post.arrive = came_back;
    ph_port_post(place->crew->members[0].port, &place->post);
}

/* ---- At the other worker ------------------------------------------------ */

static void client_came(struct ph_post *post)
{
    struct ph_place *place = ph_container_of(post, struct ph_place, post);
    struct ph_member *member = &place->crew->members[place->at];
    struct ph_service *service =
        ph_services_find(member->services, place->owner, place->key);
    struct ph_pipe *pipe = NULL;
    if (service)
        pipe =
            ph_pipe_take(member->port, &place->gift, place->name, place->path);
    if (!pipe) {
        ph_place_return(place);
        return;
    }
    place->given = false;
    ph_service_admit(service, pipe, place->id, place);
}

/* ---- Who gets it -------------------------------------------------------- */

static unsigned least_busy(struct ph_crew *crew)
{
    unsigned best = 0;
    size_t fewest = crew->members[0].services->clients;
    for (unsigned i = 1; i < crew->count; i++) {
        if (crew->members[i].clients >= fewest)
            continue;
        fewest = crew->members[i].clients;
        best = i;
    }
    return best;
}

static struct ph_place *new_place(struct ph_service *service,
                                  struct ph_pipe *pipe, lua_Integer id)
{
    struct ph_info info;
    struct ph_place *place;
    size_t name, path, key = strlen(service->key) + 1;
    ph_pipe_info(pipe, &info);
    name = strlen(info.name) + 1;
    path = strlen(info.path) + 1;
    place = calloc(1, sizeof *place + name + path + key);
    if (!place)
        return NULL;
    memcpy(place->name, info.name, name);
    place->path = memcpy(place->name + name, info.path, path);
    place->key = memcpy(place->name + name + path, service->key, key);
    place->crew = service->services->crew;
    place->owner = service->owner;
    place->pipe = pipe;
    place->id = id;
    place->given = true;
    return place;
}

struct ph_pipe *ph_crew_place(struct ph_service *service, struct ph_pipe *pipe,
                              lua_Integer id)
{
    struct ph_crew *crew = service->services->crew;
    unsigned to = service->server->spread ? least_busy(crew) : 0;
    struct ph_place *place = to ? new_place(service, pipe, id) : NULL;
    struct ph_gift gift;
    ph_pipe_give(pipe, &gift);
    if (place) {
        place->at = to;
        place->gift = gift;
        place->post.arrive = client_came;
        crew->members[to].clients++;
        ph_port_post(crew->members[to].port, &place->post);
        return NULL;
    }
    if (ph_pipe_take_back(pipe, &gift) == PH_OK)
        return pipe;
    ph_gift_drop(&gift);
    ph_pipe_release(pipe);
    return NULL;
}

/* ---- Notes to all others ------------------------------------------------ */

/* To the services of this name of the script, in another worker. */
struct note {
    struct ph_post post;
    struct ph_services *services; /* that worker's */
    void (*act)(struct ph_service *service, const struct note *note);
    unsigned owner;
    const char *key; /* behind `data` */
    lua_Number ms;
    size_t len;
    char data[];
};

static void note_came(struct ph_post *post)
{
    struct note *note = ph_container_of(post, struct note, post);
    struct ph_service *service = note->services->first;
    for (; service; service = service->next)
        if (service->owner == note->owner &&
            strcmp(service->key, note->key) == 0)
            note->act(service, note);
    free(note);
}

static struct note *copy_note(const struct note *model, const void *data)
{
    size_t key = strlen(model->key) + 1;
    struct note *note = malloc(sizeof *note + model->len + key);
    if (!note)
        return NULL;
    *note = *model;
    if (model->len)
        memcpy(note->data, data, model->len);
    note->key = memcpy(note->data + model->len, model->key, key);
    note->post.arrive = note_came;
    return note;
}

/* False: some were not told, for lack of memory. */
static bool tell_others(struct ph_services *from, struct note *model,
                        const void *data)
{
    struct ph_crew *crew = from->crew;
    bool all = true;
    for (unsigned i = 0; crew && i < crew->count; i++) {
        const struct ph_member *member = &crew->members[i];
        struct note *note;
        if (member->services == from)
            continue;
        model->services = member->services;
        note = copy_note(model, data);
        if (note)
            ph_port_post(member->port, &note->post);
        else
            all = false;
    }
    return all;
}

static void post_to_all(struct ph_service *service, const struct note *note)
{
    ph_service_post(service, NULL, note->data, note->len);
}

bool ph_crew_broadcast(struct ph_services *services, unsigned owner,
                       const char *key, const void *data, size_t len)
{
    struct note note = {
        .act = post_to_all, .owner = owner, .key = key, .len = len};
    return tell_others(services, &note, data);
}

/* Protected: server:stop_here(ms) as a task of its state. */
static int spawn_stop(lua_State *L)
{
    struct ph_server *server = lua_touserdata(L, 1);
    ph_server_push(L, server, PH_SERVER_OBJECT);
    lua_getfield(L, -1, "stop_here");
    lua_insert(L, -2);
    lua_pushvalue(L, 2);
    ph_task_spawn(L, 2);
    return 0;
}

static void stop_service(struct ph_service *service, const struct note *note)
{
    lua_State *L = service->server ? service->server->runtime->L : NULL;
    if (!L)
        return;
    lua_pushcfunction(L, spawn_stop);
    lua_pushlightuserdata(L, service->server);
    lua_pushnumber(L, note->ms);
    if (lua_pcall(L, 2, 0, 0) == LUA_OK)
        return;
    ph_runtime_log(service->server->runtime, PH_LOG_ERROR, "stop: %s",
                   lua_tostring(L, -1));
    lua_pop(L, 1);
}

bool ph_crew_stop(struct ph_services *services, unsigned owner, const char *key,
                  lua_Number ms)
{
    struct note note = {
        .act = stop_service, .owner = owner, .key = key, .ms = ms};
    return tell_others(services, &note, NULL);
}
