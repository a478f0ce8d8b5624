/* SPDX-License-Identifier: MIT */
/* Child processes: how they start, what goes through their streams, how they
 * end, and that nothing of their tree is left. */
#include "check.h"
#include "child.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MANY 16
#define MUCH (1u << 20) /* more than any pipe holds */

static const char *self; /* this program, as it was started */

struct child {
    struct bed *bed;
    struct ph_process *process;
    char out[4096];
    size_t len;
};

static enum ph_status start(struct bed *bed, struct child *child,
                            const struct ph_process_options *options)
{
    const char *why = NULL;
    long os = 0;
    enum ph_status status =
        ph_process_start(bed->port, options, &child->process, &os, &why);
    child->bed = bed;
    child->len = 0;
    if (status != PH_OK)
        child->process = NULL;
    if (child->process)
        bed_process(bed, child->process);
    return status;
}

/* With pipes for stdin and stdout, stderr where stdout goes. */
static bool start_role(struct bed *bed, struct child *child,
                       const char *const *argv)
{
    const struct ph_process_options options = {
        .argv = argv, .stdio = {PH_STDIO_PIPE, PH_STDIO_PIPE, PH_STDIO_STDOUT}};
    return expect_status(start(bed, child, &options), OK);
}

static bool wait_for(struct bed *bed, const struct ph_signal *signal)
{
    int64_t limit = ph_port_clock(bed->port) + CHECK_WAIT_US;
    while (!signal->set && ph_port_clock(bed->port) < limit)
        ph_port_run(bed->port, 100000);
    return signal->set;
}

static struct ph_exit exit_of(struct child *child)
{
    const struct ph_exit none = {.code = -2};
    if (!expect(wait_for(child->bed, ph_process_ended(child->process))))
        return none;
    return ph_process_exit(child->process);
}

/* Reads its stdout to the end; what is more than `out` holds is only counted.
 */
static enum ph_status read_all(struct child *child, int stream)
{
    struct ph_pipe *pipe = ph_process_stdio(child->process, stream);
    enum ph_status status;
    size_t kept = 0;
    child->len = 0;
    do {
        struct ph_op *op = bed_op(child->bed);
        status = ph_read_start(op, pipe, PH_READ_SOME, PH_MESSAGE_MAX,
                               after_ms(child->bed, 10000));
        if (status == PH_OK)
            status = await(child->bed, op);
        if (status == PH_OK && kept + op->len < sizeof child->out) {
            memcpy(child->out + kept, op->data, op->len);
            kept += op->len;
        }
        child->len += status == PH_OK ? op->len : 0;
    } while (status == PH_OK);
    child->out[kept] = '\0';
    return status;
}

static bool says(struct child *child, const char *text)
{
    expect_status(read_all(child, 1), CLOSED);
    if (strcmp(child->out, text) != 0)
        printf("# said: %s\n", child->out);
    return strcmp(child->out, text) == 0;
}

/* ---- Starting ---------------------------------------------------------- */

static void arguments_arrive(struct bed *bed)
{
    static const char *const odd[] = {"plain",     "",
                                      "two words", "\ttab",
                                      "q\"uote",   "\\",
                                      "a\\\\b",    "end\\",
                                      "end \\\\",  "\\\"",
                                      "\"\"",      "%PATH%",
                                      "^&|<>",     "f\xc3\xbcnf \xe2\x82\xac",
                                      "*"};
    const char *argv[ph_countof(odd) + 3] = {self, "args"};
    struct child child;
    char text[500] = "";
    for (size_t i = 0; i < ph_countof(odd); i++) {
        argv[i + 2] = odd[i];
        snprintf(text + strlen(text), sizeof text - strlen(text), "[%s]",
                 odd[i]);
    }
    if (!start_role(bed, &child, argv))
        return;
    expect(ph_process_pid(child.process) != 0);
    expect(says(&child, text));
    expect(exit_of(&child).code == 0);
}

static void exit_status(struct bed *bed)
{
    const char *argv[] = {self, "exit", "42", NULL};
    struct child child;
    if (!start_role(bed, &child, argv))
        return;
    expect(exit_of(&child).code == 42);
    expect(ph_process_exit(child.process).signal == 0);
    expect(wait_for(bed, ph_process_gone(child.process)));
}

static void a_crash(struct bed *bed)
{
    const char *argv[] = {self, "crash", NULL};
    struct child child;
    struct ph_exit how;
    if (!start_role(bed, &child, argv))
        return;
    how = exit_of(&child);
    expect(how.code != 0 && how.code != -1);
    if (child_crash_code >= 0)
        expect(how.code == child_crash_code && how.signal == how.code - 128);
}

static void variables(struct bed *bed)
{
    const char *argv[] = {self, "env", "PH_MARK", NULL};
    const char *env[] = {"PH_MARK=gr\xc3\xbcn = 1", "PH_OTHER=", NULL};
    struct ph_process_options options = {
        .argv = argv, .env = env, .stdio = {0, PH_STDIO_PIPE, 0}};
    struct child child;
    if (expect_status(start(bed, &child, &options), OK))
        expect(says(&child, "gr\xc3\xbcn = 1"));
    argv[2] = "PATH"; /* ours stays */
    if (expect_status(start(bed, &child, &options), OK))
        expect(says(&child, child_variable("PATH")));
    env[1] = has_named_pipes ? "Path" : "PATH"; /* removed */
    if (expect_status(start(bed, &child, &options), OK))
        expect(says(&child, "(none)"));
    options.env = NULL;
    argv[2] = "PH_MARK";
    if (expect_status(start(bed, &child, &options), OK))
        expect(says(&child, "(none)"));
    env[0] = "=1";
    options.env = env;
    expect_status(start(bed, &child, &options), MISUSE);
}

/* The folder of this program, and its name there. */
static void folder(struct bed *bed)
{
    const char *name = self, *argv[] = {self, "file", NULL, NULL};
    char folder[1024];
    struct ph_process_options options = {
        .argv = argv, .cwd = folder, .stdio = {0, PH_STDIO_PIPE, 0}};
    struct child child;
    for (const char *at = self; *at; at++)
        if (*at == '/' || *at == '\\')
            name = at + 1;
    argv[2] = name;
    snprintf(folder, sizeof folder, "%.*s", (int)(name - self), self);
    if (expect_status(start(bed, &child, &options), OK))
        expect(says(&child, "found"));
    options.cwd = NULL;
    if (expect_status(start(bed, &child, &options), OK))
        expect(says(&child, "absent"));
    options.cwd = "no such folder";
    expect_status(start(bed, &child, &options), ABSENT);
}

static void no_such_program(struct bed *bed)
{
    const char *argv[] = {"there-is-no-such-program-here", NULL};
    struct ph_process_options options = {
        .argv = argv, .stdio = {PH_STDIO_PIPE, PH_STDIO_PIPE, PH_STDIO_PIPE}};
    struct child child;
    expect_status(start(bed, &child, &options), ABSENT);
    argv[0] = "./there-is-no-such-program-here";
    expect_status(start(bed, &child, &options), ABSENT);
    argv[0] = "";
    expect_status(start(bed, &child, &options), MISUSE);
    argv[0] = self;
    options.stdio[1] = PH_STDIO_STDOUT;
    expect_status(start(bed, &child, &options), MISUSE);
}

/* ---- Streams ----------------------------------------------------------- */

static void streams_are_pipes(struct bed *bed)
{
    const char *argv[] = {self, "copy", NULL};
    struct child child;
    struct ph_pipe *in, *out;
    struct ph_info info;
    struct ph_peer peer;
    long os;
    if (!start_role(bed, &child, argv))
        return;
    in = ph_process_stdio(child.process, 0);
    out = ph_process_stdio(child.process, 1);
    expect(ph_process_stdio(child.process, 2) == NULL);
    ph_pipe_info(in, &info);
    expect(info.mode == PH_MODE_BYTE && info.state == PH_PIPE_CONNECTED);
    expect(strstr(info.name, "process_test") && strstr(info.name, " stdin"));
    expect_status(ph_pipe_peer(in, &peer, &os), OK);
    expect(peer.pid == ph_process_pid(child.process));
    expect_status(read_outcome(bed, in), DENIED);
    expect_status(write_text(bed, out, "x"), DENIED);
    expect_status(write_text(bed, in, "to and fro"), OK);
    expect_status(close_pipe(bed, in), OK);
    expect(says(&child, "to and fro"));
    expect(exit_of(&child).code == 0);
}

static void close_input(struct ph_op *op)
{
    ph_pipe_close(op->pipe);
}

/* More than the pipes hold goes both ways at once; the write waits. */
static void much_data(struct bed *bed)
{
    const char *argv[] = {self, "copy", NULL};
    unsigned char *bytes = malloc(MUCH);
    struct ph_op *op = bed_op(bed);
    struct child child;
    struct ph_pipe *in;
    if (!expect(bytes != NULL) || !start_role(bed, &child, argv))
        return;
    for (size_t i = 0; i < MUCH; i++)
        bytes[i] = pattern_at(i);
    in = ph_process_stdio(child.process, 0);
    expect_status(ph_write_start(op, in, bytes, MUCH, after_ms(bed, 10000)),
                  OK);
    expect(op->state == PH_OP_PENDING);
    /* Not at once: a close gives its writes a second, and no more. */
    op->done = close_input;
    expect_status(read_all(&child, 1), CLOSED);
    expect(child.len == MUCH);
    expect_status(op->status, OK);
    free(bytes);
}

static void a_read_ends_in_time(struct bed *bed)
{
    const char *argv[] = {self, "copy", NULL};
    struct ph_op *op = bed_op(bed);
    struct child child;
    struct ph_pipe *out;
    struct ph_peek peek;
    long os;
    if (!start_role(bed, &child, argv))
        return;
    out = ph_process_stdio(child.process, 1);
    ph_read_start(op, out, PH_READ_LINE, 0, after_ms(bed, 20));
    expect_status(await(bed, op), TIMEOUT);
    expect_status(ph_pipe_peek(out, &peek, &os), OK);
    expect(peek.available == 0);
    ph_read_start(op, out, PH_READ_LINE, 0, after_ms(bed, 10000));
    write_text(bed, ph_process_stdio(child.process, 0), "one\ntwo\n");
    close_pipe(bed, ph_process_stdio(child.process, 0));
    expect_status(await(bed, op), OK);
    expect(is_text(op, "one"));
    exit_of(&child);
    expect_status(ph_pipe_peek(out, &peek, &os), OK);
    expect(peek.available == 4);
    expect(says(&child, "two\n"));
    expect_status(ph_pipe_peek(out, &peek, &os), CLOSED);
}

/* Nobody reads any more: that is an outcome, and no signal ends us. */
static void write_to_the_dead(struct bed *bed)
{
    const char *argv[] = {self, "exit", NULL};
    struct child child;
    if (!start_role(bed, &child, argv))
        return;
    exit_of(&child);
    expect(wait_for(bed, ph_process_gone(child.process)));
    expect_status(write_text(bed, ph_process_stdio(child.process, 0), "x"),
                  CLOSED);
}

static void separate_streams(struct bed *bed)
{
    const char *argv[] = {self, "both", NULL};
    struct ph_process_options options = {
        .argv = argv, .stdio = {0, PH_STDIO_PIPE, PH_STDIO_PIPE}};
    struct child child;
    if (expect_status(start(bed, &child, &options), OK)) {
        expect(says(&child, "out"));
        expect_status(read_all(&child, 2), CLOSED);
        expect(strcmp(child.out, "err") == 0);
    }
    options.stdio[2] = PH_STDIO_STDOUT;
    if (expect_status(start(bed, &child, &options), OK))
        expect(says(&child, "outerr"));
    options.stdio[1] = PH_STDIO_NULL;
    options.stdio[2] = PH_STDIO_PIPE;
    if (expect_status(start(bed, &child, &options), OK)) {
        expect_status(read_all(&child, 2), CLOSED);
        expect(strcmp(child.out, "err") == 0);
    }
}

/* The stdout of one program is not held open by the next. */
static void nothing_is_inherited(struct bed *bed)
{
    const char *copier[] = {self, "copy", NULL};
    const char *sleeper[] = {self, "sleep", NULL};
    struct child first, second;
    if (!start_role(bed, &first, copier) || !start_role(bed, &second, sleeper))
        return;
    expect(reads_text(bed, ph_process_stdio(second.process, 1), "up "));
    close_pipe(bed, ph_process_stdio(first.process, 0));
    expect(says(&first, ""));
    expect(!ph_process_ended(second.process)->set);
}

/* ---- Ends -------------------------------------------------------------- */

static void killed(struct bed *bed)
{
    const char *argv[] = {self, "sleep", NULL};
    struct child child;
    if (!start_role(bed, &child, argv))
        return;
    expect(reads_text(bed, ph_process_stdio(child.process, 1), "up "));
    ph_process_kill(child.process);
    ph_process_kill(child.process);
    expect(exit_of(&child).code == 137);
    expect(wait_for(bed, ph_process_gone(child.process)));
    ph_process_kill(child.process);
    expect(says(&child, ""));
}

/* The end of stdout is the proof: each member of the tree holds it open. */
static void an_orphan_is_killed(struct bed *bed)
{
    const char *argv[] = {self, "orphan", "stay", NULL};
    struct child child;
    if (!start_role(bed, &child, argv))
        return;
    expect(reads_text(bed, ph_process_stdio(child.process, 1), "up "));
    ph_process_kill(child.process);
    expect(says(&child, ""));
    expect(wait_for(bed, ph_process_gone(child.process)));
}

static void an_orphan_outlives_its_program(struct bed *bed)
{
    const char *argv[] = {self, "orphan", NULL};
    struct child child;
    if (!start_role(bed, &child, argv))
        return;
    expect(exit_of(&child).code == 0);
    expect(reads_text(bed, ph_process_stdio(child.process, 1), "up "));
    run_ms(bed, 100);
    expect(!ph_process_gone(child.process)->set);
    ph_process_kill(child.process);
    expect(says(&child, ""));
    expect(wait_for(bed, ph_process_gone(child.process)));
    expect(ph_process_exit(child.process).code == 0);
}

/* A program that starts others by this contract and dies without a word takes
 * them along: nobody here kills the sleeper. */
static void the_tree_of_the_dead(struct bed *bed)
{
    const char *argv[] = {self, "desert", NULL};
    struct child child;
    if (!start_role(bed, &child, argv))
        return;
    expect(exit_of(&child).code == 0);
    expect(says(&child, "up "));
    expect(wait_for(bed, ph_process_gone(child.process)));
}

/* Linux: how the program ended is not known then; that it did, is. */
static void the_watcher_is_killed(struct bed *bed)
{
    const char *argv[] = {self, "unwatch", NULL};
    struct child child;
    struct ph_exit how;
    if (!start_role(bed, &child, argv))
        return;
    how = exit_of(&child);
    if (how.code == 3)
        skip("the system itself watches there");
    else
        expect(how.code == -1);
    expect(wait_for(bed, ph_process_gone(child.process)));
}

/* Released while it runs: strip sees that nothing is left. */
static void released(struct bed *bed)
{
    const char *argv[] = {self, "sleep", NULL};
    struct child child;
    start_role(bed, &child, argv);
}

static void many_at_once(struct bed *bed)
{
    const char *argv[] = {self, "exit", NULL, NULL};
    struct child *children = calloc(MANY, sizeof *children);
    char code[16];
    int started = 0;
    argv[2] = code;
    for (; children && started < MANY; started++) {
        snprintf(code, sizeof code, "%d", started);
        if (!start_role(bed, &children[started], argv))
            break;
    }
    for (int i = 0; i < started; i++)
        expect(exit_of(&children[i]).code == i);
    free(children);
}

int main(int argc, char **argv)
{
    int status = child_main(argc, argv);
    if (status >= 0)
        return status;
    self = argv[0];
    run_test("arguments arrive", arguments_arrive);
    run_test("exit status", exit_status);
    run_test("a crash", a_crash);
    run_test("variables", variables);
    run_test("folder", folder);
    run_test("no such program", no_such_program);
    run_test("streams are pipes", streams_are_pipes);
    run_test("much data", much_data);
    run_test("a read ends in time", a_read_ends_in_time);
    run_test("write to the dead", write_to_the_dead);
    run_test("separate streams", separate_streams);
    run_test("nothing is inherited", nothing_is_inherited);
    run_test("killed", killed);
    run_test("an orphan is killed", an_orphan_is_killed);
    run_test("an orphan outlives its program", an_orphan_outlives_its_program);
    run_test("the tree of the dead", the_tree_of_the_dead);
    run_test("the watcher is killed", the_watcher_is_killed);
    run_test("released", released);
    run_test("many at once", many_at_once);
    return tests_end();
}
