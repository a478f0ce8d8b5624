/* SPDX-License-Identifier: MIT */
/*
 * Descriptor 0 in the port's epoll set. It stays blocking: the flag would be
 * that of the terminal, which other processes share.
 */
#include "input.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "system_linux.h"

struct linux_input {
    struct ph_input base;
    struct watch watch;
    bool file; /* epoll takes no files: reading one never blocks */
};

static void read_once(struct ph_input *input)
{
    ssize_t got;
    do {
        got = read(STDIN_FILENO, input->bytes, PH_INPUT_MOST);
    } while (got < 0 && errno == EINTR);
    input->os = got < 0 ? errno : 0;
    input->len = got > 0 ? (size_t)got : 0;
    /* EIO: the terminal has gone, which is an end like any other. */
    input->ended = got <= 0;
    if (input->os == EIO)
        input->os = 0;
    ph_input_arrived(input);
}

static void ready(struct watch *watch, uint32_t events)
{
    struct linux_input *self =
        ph_container_of(watch, struct linux_input, watch);
    (void)events;
    ph_watch_arm(self->base.port, watch, 0);
    read_once(&self->base);
}

enum ph_status ph_backend_input_open(struct ph_port *port,
                                     struct ph_input **out, long *os)
{
    struct linux_input *self = calloc(1, sizeof *self);
    if (!self)
        return PH_NOMEM;
    self->base.port = port;
    self->watch = (struct watch){.fd = STDIN_FILENO, .ready = ready};
    if (ph_watch_arm(port, &self->watch, EPOLLIN) == PH_OK) {
        ph_watch_arm(port, &self->watch, 0);
    } else if (errno == EPERM) {
        self->file = true;
    } else {
        *os = errno;
        free(self);
        return PH_SYSTEM;
    }
    *out = &self->base;
    return PH_OK;
}

void ph_backend_input_ask(struct ph_input *input)
{
    struct linux_input *self = ph_container_of(input, struct linux_input, base);
    if (!self->file &&
        ph_watch_arm(input->port, &self->watch, EPOLLIN) == PH_OK)
        return;
    read_once(input);
}

void ph_backend_input_close(struct ph_input *input)
{
    struct linux_input *self = ph_container_of(input, struct linux_input, base);
    ph_watch_arm(input->port, &self->watch, 0);
    free(input->bytes);
    free(self);
}
