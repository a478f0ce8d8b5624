/* SPDX-License-Identifier: MIT */
/* Against programs that use the Win32 API alone, and what only Windows has:
 * descriptors, handles without the quick way. */
#include "check.h"
#include "system_win32.h"

#include <aclapi.h>
#include <psapi.h>
#include <sddl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void full_name(const struct bed *bed, char *out, size_t size)
{
    snprintf(out, size, "\\\\.\\pipe\\%s", bed->name);
}

static HANDLE plain_client(const char *name, DWORD access)
{
    for (int i = 0; i < 100; i++) {
        HANDLE handle =
            CreateFileA(name, access, 0, NULL, OPEN_EXISTING, 0, NULL);
        if (handle != INVALID_HANDLE_VALUE)
            return handle;
        WaitNamedPipeA(name, 100);
    }
    return INVALID_HANDLE_VALUE;
}

/* ---- A client as people write it ---------------------------------------- */

struct plain {
    char name[120];
    bool message;
    int rounds, good;
};

static void ask_blocking(void *user)
{
    struct plain *plain = user;
    DWORD mode = PIPE_READMODE_MESSAGE, done;
    HANDLE pipe = plain_client(plain->name, GENERIC_READ | GENERIC_WRITE);
    if (plain->message)
        SetNamedPipeHandleState(pipe, &mode, NULL, NULL);
    for (int i = 0; i < plain->rounds; i++) {
        int32_t question = i, answer = 0;
        if (WriteFile(pipe, &question, sizeof question, &done, NULL) &&
            ReadFile(pipe, &answer, sizeof answer, &done, NULL) &&
            done == sizeof answer && answer == i + 1)
            plain->good++;
    }
    CloseHandle(pipe);
}

static void blocking_client(struct bed *bed)
{
    enum { ROUNDS = 100 };
    struct ph_create_options options = create_options(PH_MODE_MESSAGE);
    struct plain plain = {.message = true, .rounds = ROUNDS};
    struct ph_pipe *server = bed_pipe(bed);
    struct ph_op *op = bed_op(bed);
    full_name(bed, plain.name, sizeof plain.name);
    expect_status(create(bed, server, &options), OK);
    struct thread *thread = thread_start(ask_blocking, &plain);
    expect_status(connect_client(bed, server), OK);
    for (int i = 0; i < ROUNDS; i++) {
        int32_t number;
        ph_read_start(op, server, PH_READ_MESSAGE, 0, after_ms(bed, 5000));
        if (!expect_status(await(bed, op), OK) || !expect(op->len == 4))
            break;
        memcpy(&number, op->data, sizeof number);
        number++;
        expect_status(write_bytes(bed, server, &number, sizeof number), OK);
    }
    expect_status(read_outcome(bed, server), CLOSED);
    thread_join(thread);
    expect(plain.good == ROUNDS);
}

/* Clients that come in at every moment, say a word and go. */
static void hurry(void *user)
{
    struct plain *plain = user;
    for (int i = 0; i < plain->rounds; i++) {
        DWORD done = 0;
        HANDLE pipe = plain_client(plain->name, GENERIC_READ | GENERIC_WRITE);
        if (WriteFile(pipe, "x", 1, &done, NULL) && done == 1)
            plain->good++;
        CloseHandle(pipe);
    }
}

static void clients_in_a_hurry(struct bed *bed)
{
    enum { EACH = 150, THREADS = 2 };
    struct ph_create_options options = create_options(PH_MODE_MESSAGE);
    struct plain plain[THREADS] = {{.rounds = EACH}, {.rounds = EACH}};
    struct thread *threads[THREADS];
    struct ph_pipe *server = bed_pipe(bed);
    const char *why;
    options.backlog = 2;
    expect_status(create(bed, server, &options), OK);
    for (int i = 0; i < THREADS; i++) {
        full_name(bed, plain[i].name, sizeof plain[i].name);
        threads[i] = thread_start(hurry, &plain[i]);
    }
    for (int i = 0; i < EACH * THREADS; i++) {
        struct ph_pipe *next = bed_pipe(bed);
        if (!expect_status(connect_client(bed, server), OK))
            break;
        expect(reads_text(bed, server, "x"));
        expect_status(read_outcome(bed, server), CLOSED);
        if (i % 3) {
            expect_status(ph_pipe_disconnect(server, &why), OK);
            continue;
        }
        expect_status(create(bed, next, &options), OK);
        expect_status(close_pipe(bed, server), OK);
        server = next;
    }
    for (int i = 0; i < THREADS; i++) {
        thread_join(threads[i]);
        expect(plain[i].good == EACH);
    }
}

/* Asks, reads the answer and then the end, when it is let go. */
struct reader {
    char name[120];
    int unread; /* messages that the server does not read */
    HANDLE go;
    bool good;
};

static void ask_and_wait(void *user)
{
    struct reader *reader = user;
    HANDLE pipe = plain_client(reader->name, GENERIC_READ | GENERIC_WRITE);
    char answer[20] = "";
    DWORD done = 0;
    for (int i = 0; i <= reader->unread; i++)
        WriteFile(pipe, "ask", 3, &done, NULL);
    WaitForSingleObject(reader->go, 8000);
    reader->good = ReadFile(pipe, answer, sizeof answer, &done, NULL) &&
                   done == 10 && memcmp(answer, "last words", 10) == 0 &&
                   !ReadFile(pipe, answer, sizeof answer, &done, NULL) &&
                   GetLastError() == ERROR_BROKEN_PIPE;
    CloseHandle(pipe);
}

/* What was sent just before the close arrives, with input unread and without.
 */
static void last_words(struct bed *bed)
{
    struct ph_create_options options = create_options(PH_MODE_MESSAGE);
    for (int i = 0; i < 20; i++) {
        struct ph_pipe *server = bed_pipe(bed);
        struct reader reader = {.unread = i % 2 ? 5 : 0};
        struct ph_peek seen = {0};
        long os;
        full_name(bed, reader.name, sizeof reader.name);
        reader.go = CreateEventA(NULL, TRUE, FALSE, NULL);
        expect_status(create(bed, server, &options), OK);
        struct thread *thread = thread_start(ask_and_wait, &reader);
        expect_status(connect_client(bed, server), OK);
        expect(reads_text(bed, server, "ask"));
        for (int n = 0; n < 1000 && (int)seen.available < reader.unread * 3;
             n++) {
            run_ms(bed, 1);
            ph_pipe_peek(server, &seen, &os);
        }
        expect((int)seen.available == reader.unread * 3);
        expect_status(write_text(bed, server, "last words"), OK);
        expect_status(close_pipe(bed, server), OK);
        SetEvent(reader.go);
        thread_join(thread);
        CloseHandle(reader.go);
        expect(reader.good);
    }
}

/* ---- A server as people write it ---------------------------------------- */

static HANDLE plain_server(const struct bed *bed, DWORD access, DWORD mode,
                           DWORD quota)
{
    char name[120];
    full_name(bed, name, sizeof name);
    return CreateNamedPipeA(name, access | FILE_FLAG_OVERLAPPED, mode, 1, quota,
                            quota, 0, NULL);
}

static DWORD plain_read(HANDLE pipe, void *bytes, DWORD size)
{
    OVERLAPPED ov = {.hEvent = CreateEventA(NULL, TRUE, FALSE, NULL)};
    DWORD done = 0, error = 0;
    if (!ReadFile(pipe, bytes, size, NULL, &ov))
        error = GetLastError();
    if (error == ERROR_SUCCESS || error == ERROR_MORE_DATA ||
        expect(error == ERROR_IO_PENDING)) {
        if (!expect(WaitForSingleObject(ov.hEvent, 5000) == WAIT_OBJECT_0))
            CancelIoEx(pipe, &ov);
        GetOverlappedResult(pipe, &ov, &done, TRUE);
    }
    CloseHandle(ov.hEvent);
    return done;
}

/* Without room in the system every write waits for its reader. */
static void server_without_quota(struct bed *bed)
{
    HANDLE server = plain_server(bed, PIPE_ACCESS_DUPLEX,
                                 PIPE_TYPE_MESSAGE | PIPE_READMODE_MESSAGE, 0);
    struct ph_pipe *client = bed_pipe(bed);
    struct ph_op *out = bed_op(bed);
    char bytes[10];
    expect_status(open_client(bed, client), OK);
    for (int i = 0; i < 20; i++) {
        ph_write_start(out, client, "abc", 3, PH_FOREVER);
        run_ms(bed, 1);
        expect(out->state == PH_OP_PENDING);
        if (i % 2) {
            expect(plain_read(server, bytes, sizeof bytes) == 3);
            expect_status(await(bed, out), OK);
        } else {
            expect(plain_read(server, bytes, 1) == 1);
            expect(plain_read(server, bytes, sizeof bytes) == 2);
            expect_status(await(bed, out), OK);
        }
    }
    ph_write_start(out, client, "lost", 4, after_ms(bed, 10));
    expect_status(await(bed, out), TIMEOUT);
    expect(out->bytes == -1);
    CloseHandle(server);
}

static void name_of_another(struct bed *bed)
{
    struct ph_create_options options = create_options(PH_MODE_MESSAGE);
    struct ph_op *op = bed_op(bed);
    char name[120];
    full_name(bed, name, sizeof name);
    HANDLE theirs = CreateNamedPipeA(
        name, PIPE_ACCESS_DUPLEX, PIPE_TYPE_MESSAGE | PIPE_READMODE_MESSAGE,
        PIPE_UNLIMITED_INSTANCES, 100, 100, 0, NULL);
    expect_status(create(bed, bed_pipe(bed), &options), EXISTS);
    ph_create_start(op, bed_pipe(bed), bed->name, &options,
                    after_ms(bed, 2000));
    run_ms(bed, 20);
    expect(op->state == PH_OP_PENDING);
    CloseHandle(theirs);
    expect_status(await(bed, op), OK);
}

/* A client of the old kind does not read what was merged in byte mode. */
static void byte_mode_reader(struct bed *bed)
{
    struct ph_create_options options = create_options(PH_MODE_MESSAGE);
    struct ph_pipe *server = bed_pipe(bed);
    char name[120], bytes[20];
    DWORD done = 0;
    full_name(bed, name, sizeof name);
    expect_status(create(bed, server, &options), OK);
    HANDLE client = plain_client(name, GENERIC_READ | GENERIC_WRITE);
    expect_status(connect_client(bed, server), OK);
    expect_status(write_text(bed, server, "one"), OK);
    expect_status(write_text(bed, server, "two"), OK);
    expect(ReadFile(client, bytes, sizeof bytes, &done, NULL) && done == 6);
    CloseHandle(client);
}

/* ---- Access ------------------------------------------------------------- */

static void descriptor_of(struct bed *bed, const struct ph_create_options *with,
                          char *out, size_t size)
{
    struct ph_pipe *server = bed_pipe(bed);
    PSECURITY_DESCRIPTOR descriptor = NULL;
    char name[120], *text = NULL;
    full_name(bed, name, sizeof name);
    expect_status(create(bed, server, with), OK);
    HANDLE client = plain_client(name, GENERIC_READ);
    expect(
        GetSecurityInfo(client, SE_KERNEL_OBJECT,
                        OWNER_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION,
                        NULL, NULL, NULL, NULL, &descriptor) == 0);
    expect(ConvertSecurityDescriptorToStringSecurityDescriptorA(
        descriptor, SDDL_REVISION_1,
        OWNER_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION, &text, NULL));
    snprintf(out, size, "%s", text ? text : "");
    LocalFree(text);
    LocalFree(descriptor);
    CloseHandle(client);
    expect_status(close_pipe(bed, server), OK);
}

static void descriptors(struct bed *bed)
{
    static const char *const more[] = {"", "(A;;0x12019b;;;BA)",
                                       "(A;;0x12019b;;;AU)"};
    static const enum ph_access_kind kinds[] = {PH_ACCESS_ME, PH_ACCESS_ADMINS,
                                                PH_ACCESS_USERS};
    char text[600], want[600];
    for (size_t i = 0; i < ph_countof(kinds); i++) {
        struct ph_create_options options = create_options(PH_MODE_BYTE);
        char *sid;
        options.access = kinds[i];
        descriptor_of(bed, &options, text, sizeof text);
        ConvertSidToStringSidA(win_port(bed->port)->me.sid, &sid);
        snprintf(want, sizeof want, "O:%sD:P(A;;GA;;;SY)(A;;GA;;;%s)%s", sid,
                 sid, more[i]);
        LocalFree(sid);
        check(strcmp(text, want) == 0, text, __FILE__, __LINE__);
    }
}

/* ---- Without FILE_SKIP_COMPLETION_PORT_ON_SUCCESS ----------------------- */

static struct ph_pipe *slow_client(struct bed *bed)
{
    struct ph_pipe *pipe = bed_pipe(bed);
    char name[120];
    DWORD mode = PIPE_READMODE_MESSAGE;
    full_name(bed, name, sizeof name);
    HANDLE handle = CreateFileA(name, GENERIC_READ | GENERIC_WRITE, 0, NULL,
                                OPEN_EXISTING, FILE_FLAG_OVERLAPPED, NULL);
    SetNamedPipeHandleState(handle, &mode, NULL, NULL);
    CreateIoCompletionPort(handle, win_port(bed->port)->iocp, 0, 0);
    ph_win_pipe_take(pipe, handle, false);
    pipe->mode = PH_MODE_MESSAGE;
    pipe->max_message = PH_MESSAGE_MAX;
    pipe->state = PH_PIPE_CONNECTED;
    return pipe;
}

static void every_result_by_packet(struct bed *bed)
{
    struct ph_create_options options = create_options(PH_MODE_MESSAGE);
    struct ph_pipe *server = bed_pipe(bed), *client;
    char *bytes = calloc(1, 50000);
    struct ph_op *op = bed_op(bed);
    expect_status(create(bed, server, &options), OK);
    client = slow_client(bed);
    expect_status(connect_client(bed, server), OK);
    for (int i = 0; i < 50; i++) {
        expect_status(write_text(bed, client, "ask"), OK);
        expect(reads_text(bed, server, "ask"));
        expect_status(write_text(bed, server, ""), OK);
        expect_status(write_bytes(bed, server, bytes, 50000), OK);
        expect(reads_text(bed, client, ""));
        ph_read_start(op, client, PH_READ_MESSAGE, 0, after_ms(bed, 2000));
        if (i % 5 == 4) {
            ph_op_cancel(op);
            if (await(bed, op) == PH_OK)
                continue;
            ph_read_start(op, client, PH_READ_MESSAGE, 0, after_ms(bed, 2000));
        }
        expect_status(await(bed, op), OK);
        expect(op->len == 50000);
    }
    free(bytes);
}

/* ---- Handles and memory ------------------------------------------------- */

#define HANDLES 0x10000 /* looked at: those of a small process are below it */

/* One by one: Wine 8 does not count them (GetProcessHandleCount says 0). */
static int open_handles(void)
{
    int count = 0;
    DWORD flags;
    for (uintptr_t value = 4; value < HANDLES; value += 4)
        if (GetHandleInformation((HANDLE)value, &flags))
            count++;
    return count;
}

static SIZE_T memory_in_use(void)
{
    PROCESS_MEMORY_COUNTERS counters = {.cb = sizeof counters};
    K32GetProcessMemoryInfo(GetCurrentProcess(), &counters, sizeof counters);
    return counters.WorkingSetSize;
}

/* The bed would keep them until the end. */
static void free_operations(struct bed *bed)
{
    while (bed->ops) {
        struct bed_op *op = bed->ops;
        bed->ops = op->next;
        ph_op_clear(&op->op);
        free(op);
    }
}

static void one_life(struct bed *bed, int i)
{
    struct ph_create_options options = create_options(PH_MODE_MESSAGE);
    struct pair pair = {ph_pipe_new(bed->port), ph_pipe_new(bed->port)};
    struct ph_op *op = bed_op(bed);
    const char *why;
    expect_status(create(bed, pair.server, &options), OK);
    expect_status(open_client(bed, pair.client), OK);
    expect_status(connect_client(bed, pair.server), OK);
    expect_status(write_text(bed, pair.server, "x"), OK);
    ph_flush_start(op, pair.server, i % 2 ? after_ms(bed, 1) : PH_NOW);
    await(bed, op);
    if (i % 3 == 0)
        ph_pipe_disconnect(pair.server, &why);
    expect_status(close_pipe(bed, pair.server), OK);
    expect_status(close_pipe(bed, pair.client), OK);
    ph_pipe_release(pair.server);
    ph_pipe_release(pair.client);
    run_ms(bed, 0);
}

/* 200 connects and disconnects cost no handle and no memory. The first lives
 * make what stays: helpers for flushes, the system's own. */
static void nothing_is_lost(struct bed *bed)
{
    int before = 0, after;
    SIZE_T memory = 0;
    for (int i = 0; i < 240; i++) {
        one_life(bed, i);
        free_operations(bed);
        if (i != 39)
            continue;
        before = open_handles();
        memory = memory_in_use();
    }
    after = open_handles();
    expect(before > 5 && after <= before + 8);
    expect(memory > 0 && memory_in_use() < memory + (256u << 10));
}

int main(void)
{
    run_test("blocking client", blocking_client);
    run_test("clients in a hurry", clients_in_a_hurry);
    run_test("last words", last_words);
    run_test("server without quota", server_without_quota);
    run_test("name of another", name_of_another);
    run_test("byte mode reader", byte_mode_reader);
    run_test("descriptors", descriptors);
    run_test("every result by packet", every_result_by_packet);
    run_test("nothing is lost", nothing_is_lost);
    return tests_end();
}
