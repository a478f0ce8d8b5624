/* SPDX-License-Identifier: MIT */
/* Names, who serves them, in which mode, and for whom. */
#include "check.h"

#include <stdio.h>
#include <string.h>

static enum ph_status open_as(struct bed *bed, struct ph_pipe *pipe,
                              const struct ph_open_options *options)
{
    struct ph_op *op = bed_op(bed);
    enum ph_status status = ph_open_start(op, pipe, bed->name, options, PH_NOW);
    return status == PH_OK ? await(bed, op) : status;
}

/* Another port stands for another process. */
static void exists(struct bed *bed)
{
    struct ph_create_options options = create_options(PH_MODE_MESSAGE);
    struct bed other = {0};
    struct ph_pipe *server = bed_pipe(bed), *theirs;
    struct ph_op op = {0}, end = {0};
    long os;
    expect_status(ph_port_create(&other.port, &os), OK);
    memcpy(other.name, bed->name, sizeof other.name);
    theirs = ph_pipe_new(other.port);
    expect_status(create(bed, server, &options), OK);
    expect_status(ph_create_start(&op, theirs, other.name, &options, PH_NOW),
                  OK);
    expect_status(await(&other, &op), EXISTS);
    expect_status(ph_create_start(&op, theirs, other.name, &options,
                                  after_ms(&other, 3000)),
                  OK);
    run_ms(&other, 30);
    expect(op.state == PH_OP_PENDING);
    expect_status(close_pipe(bed, server), OK);
    run_ms(bed, 1);
    expect_status(await(&other, &op), OK);
    expect_status(ph_close_start(&end, theirs, PH_NOW), OK);
    expect_status(await(&other, &end), OK);
    ph_pipe_release(theirs);
    ph_op_clear(&op);
    for (int i = 0; i < 50 && ph_port_counts(other.port).listeners; i++)
        run_ms(&other, 1);
    run_ms(&other, 1);
    ph_port_destroy(other.port);
}

static void same_name_here(struct bed *bed)
{
    struct ph_create_options options = create_options(PH_MODE_MESSAGE);
    struct ph_create_options bytes = create_options(PH_MODE_BYTE);
    struct ph_pipe *again = bed_pipe(bed);
    options.first = true;
    expect_status(create(bed, bed_pipe(bed), &options), OK);
    expect_status(create(bed, again, &options), EXISTS);
    expect_status(create(bed, again, &bytes), MODE);
    options.first = false;
    for (char *at = bed->name; *at; at++)
        if (*at >= 'a' && *at <= 'z')
            *at = (char)(*at - 'a' + 'A');
    expect_status(create(bed, again, &options), OK);
    expect_status(open_client(bed, bed_pipe(bed)), OK);
}

/* The name is free as soon as the close is done. */
static void name_is_given_back(struct bed *bed)
{
    struct ph_create_options options = create_options(PH_MODE_MESSAGE);
    options.first = true;
    for (int i = 0; i < 100; i++) {
        struct ph_pipe *server = bed_pipe(bed), *client = bed_pipe(bed);
        expect_status(create(bed, server, &options), OK);
        if (i % 3) {
            expect_status(open_client(bed, client), OK);
            if (i % 3 == 2)
                expect_status(connect_client(bed, server), OK);
        }
        expect_status(close_pipe(bed, server), OK);
        expect_status(open_client(bed, bed_pipe(bed)), ABSENT);
        if (i % 3) {
            expect_status(read_outcome(bed, client), CLOSED);
            expect_status(close_pipe(bed, client), OK);
        }
    }
}

/* A client finds the name at every moment although instances come and go. */
static void name_never_vanishes(struct bed *bed)
{
    struct ph_create_options options = create_options(PH_MODE_MESSAGE);
    struct ph_pipe *servers[2] = {bed_pipe(bed), bed_pipe(bed)};
    int out_of_luck = 0;
    options.max_instances = 2;
    options.backlog = 1;
    expect_status(create(bed, servers[0], &options), OK);
    for (int i = 0; i < 40; i++) {
        struct ph_pipe *client = bed_pipe(bed);
        enum ph_status status;
        expect_status(create(bed, servers[1], &options), OK);
        status = open_client(bed, client);
        if (status == PH_BUSY)
            out_of_luck++;
        else if (expect_status(status, OK))
            expect_status(connect_client(bed, servers[i % 2]), OK);
        expect_status(close_pipe(bed, servers[0]), OK);
        servers[0] = servers[1];
        servers[1] = bed_pipe(bed);
        expect_status(close_pipe(bed, client), OK);
    }
    expect(out_of_luck < 40);
}

static void modes(struct bed *bed)
{
    struct ph_open_options options = open_options();
    struct ph_create_options bytes = create_options(PH_MODE_BYTE);
    struct ph_pipe *client = bed_pipe(bed);
    struct ph_info info;
    expect_status(create(bed, bed_pipe(bed), &bytes), OK);
    options.mode = PH_MODE_MESSAGE;
    expect_status(open_as(bed, client, &options), MODE);
    options.mode = PH_MODE_ANY;
    expect_status(open_as(bed, client, &options), OK);
    ph_pipe_info(client, &info);
    expect(info.mode == PH_MODE_BYTE && !info.server);
    expect(info.state == PH_PIPE_CONNECTED && strlen(info.path) > 5);
    expect_status(open_as(bed, client, &options), MISUSE);
}

static void one_way(struct bed *bed, enum ph_direction direction)
{
    struct ph_create_options options = create_options(PH_MODE_MESSAGE);
    options.direction = direction;
    struct pair pair = bed_pair_with(bed, &options);
    struct ph_pipe *from = direction == PH_INBOUND ? pair.client : pair.server;
    struct ph_pipe *to = direction == PH_INBOUND ? pair.server : pair.client;
    expect_status(write_text(bed, from, "this way"), OK);
    expect(reads_text(bed, to, "this way"));
    if (has_named_pipes || to == pair.server) {
        expect(write_text(bed, to, "that way") != PH_OK);
        expect(read_outcome(bed, from) != PH_OK);
    }
    expect_status(close_pipe(bed, from), OK);
    expect_status(read_outcome(bed, to), CLOSED);
}

static void inbound(struct bed *bed)
{
    one_way(bed, PH_INBOUND);
}

static void outbound(struct bed *bed)
{
    one_way(bed, PH_OUTBOUND);
}

static void peers(struct bed *bed)
{
    struct pair pair = bed_pair(bed, PH_MODE_MESSAGE);
    struct ph_peer a, b;
    long os;
    expect_status(ph_pipe_peer(pair.server, &a, &os), OK);
    expect_status(ph_pipe_peer(pair.client, &b, &os), OK);
    expect(a.pid && a.pid == b.pid);
    expect(has_named_pipes ? strncmp(a.sid, "S-1-", 4) == 0 : a.has_uid);
    expect(strcmp(a.sid, b.sid) == 0 && a.uid == b.uid);
    expect_status(close_pipe(bed, pair.client), OK);
    expect_status(ph_pipe_peer(pair.server, &b, &os), OK);
    expect(a.pid == b.pid);
}

static void access_kinds(struct bed *bed)
{
    static const uint32_t uids[] = {12345};
    struct ph_create_options options = create_options(PH_MODE_MESSAGE);
    struct ph_pipe *pipe = bed_pipe(bed), *client = bed_pipe(bed);
    options.access = PH_ACCESS_ADMINS;
    expect_status(create(bed, pipe, &options), OK);
    expect_status(open_client(bed, client), OK);
    expect_status(close_pipe(bed, pipe), OK);
    if (!has_named_pipes)
        return;
    pipe = bed_pipe(bed);
    options.access = PH_ACCESS_UIDS;
    options.uids = uids;
    options.uid_count = 1;
    expect_status(create(bed, pipe, &options), MISUSE);
    options.access = PH_ACCESS_SDDL;
    options.sddl = "nonsense";
    expect_status(create(bed, pipe, &options), MISUSE);
    options.sddl = "D:P(A;;GA;;;WD)";
    expect_status(create(bed, pipe, &options), OK);
    expect_status(close_pipe(bed, pipe), OK);
    pipe = bed_pipe(bed);
    options.access = PH_ACCESS_USERS;
    expect_status(create(bed, pipe, &options), OK);
    expect_status(open_client(bed, bed_pipe(bed)), OK);
}

static void names(struct bed *bed)
{
    static const char *const good[] = {"a",   "ServerInfo", "a b",
                                       "x.y", "a-b_c",      "J\xc3\xbcrgen"};
    static const char *const bad[] = {"",    ".hidden", "a\\b",
                                      "a/b", "..",      "\\\\.\\pipe\\"};
    char longest[PH_NAME_MAX + 2];
    const char *why;
    (void)bed;
    for (size_t i = 0; i < ph_countof(good); i++)
        expect_status(ph_name_check(good[i], &why), OK);
    for (size_t i = 0; i < ph_countof(bad); i++) {
        why = NULL;
        expect_status(ph_name_check(bad[i], &why), MISUSE);
        expect(why && strlen(why) > 10);
    }
    memset(longest, 'n', sizeof longest);
    longest[PH_NAME_MAX + 1] = '\0';
    expect_status(ph_name_check(longest, &why), MISUSE);
    if (has_named_pipes) { /* a socket's path may be shorter */
        longest[PH_NAME_MAX] = '\0';
        expect_status(ph_name_check(longest, &why), OK);
        expect_status(ph_name_check("\\\\.\\pipe\\a\\b", &why), OK);
        expect_status(ph_name_check("/tmp/x", &why), MISUSE);
        expect_status(ph_name_check("\xff", &why), MISUSE);
    }
}

/* A name with other letters than ASCII, and one in full. */
static void special_names(struct bed *bed)
{
    static const char *const before[] = {"J\xc3\xbcrgen ",
                                         "\\\\.\\pipe\\full "};
    char tail[50];
    snprintf(tail, sizeof tail, "%.49s", bed->name);
    for (size_t i = 0; i < ph_countof(before); i++) {
        snprintf(bed->name, sizeof bed->name, "%s%s", before[i], tail);
        struct pair pair = bed_pair(bed, PH_MODE_BYTE);
        expect_status(write_text(bed, pair.client, "x"), OK);
        expect(reads_text(bed, pair.server, "x"));
    }
}

int main(void)
{
    run_test("exists", exists);
    run_test("same name here", same_name_here);
    run_test("name is given back", name_is_given_back);
    run_test("name never vanishes", name_never_vanishes);
    run_test("modes", modes);
    run_test("inbound", inbound);
    run_test("outbound", outbound);
    run_test("peers", peers);
    run_test("access kinds", access_kinds);
    run_test("names", names);
    run_test("special names", special_names);
    return tests_end();
}
