/* SPDX-License-Identifier: MIT */
/*
 * What the load generators of all systems share: options, latencies, and the
 * line they print. The system's half is load_linux.c or load_win32.c. Each of
 * them is one program from one source file, so all of this is static.
 */
#ifndef PIPEHOST_BENCH_LOAD_H
#define PIPEHOST_BENCH_LOAD_H

#include <assert.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum load_mode {
    LOAD_RTT,        /* echo, one message in flight on each connection */
    LOAD_THROUGHPUT, /* echo, depth messages in flight on each */
    LOAD_EXCHANGE    /* connect, ask, answer, END, until disconnected */
};

enum {
    LOAD_FLAG_ASK = 1,
    LOAD_FLAG_END = 2,
    LOAD_INFO_SIZE = 4,      /* bytes of the structure that is the answer */
    LOAD_MOST_BYTES = 65536, /* in flight on one connection */
    LOAD_STALL_MS = 5000,    /* nothing came for so long: give up */
    LOAD_MOST_CONNECTIONS = 20000,
    LOAD_MOST_DEPTH = 64,
    LOAD_MOST_SECONDS = 120
};

/* The exit status. */
enum load_exit {
    LOAD_OK = 0,
    LOAD_FAILED = 1, /* the server closed, or sent something else */
    LOAD_USAGE = 2,
    LOAD_ABSENT = 3, /* no server within wait_ms */
    LOAD_STALLED = 4 /* no answer for LOAD_STALL_MS */
};

struct load_options {
    const char *address; /* socket path or pipe name */
    enum load_mode mode;
    int stream; /* byte mode instead of messages */
    int connections;
    int size;         /* bytes of a message */
    int depth;        /* messages in flight on a connection */
    int wait_ms;      /* for the server to appear */
    int idle;         /* further connections, which say nothing */
    double rate;      /* messages a second, sent by the clock; 0: each after the
                         last one's echo */
    uint64_t count;   /* messages or exchanges; 0: no limit but the time */
    uint64_t time_ns; /* ends the run even when count is not reached */
};

/* Latencies, to about 0.4 %: 128 buckets for each power of two. */
enum { LOAD_BUCKETS = 57 * 128 + 128 };

struct load_latencies {
    uint64_t samples;
    uint64_t bucket[LOAD_BUCKETS];
};

/* By the clock, the run is cut into windows. One slice of time that another
   process takes delays more than a hundredth of all messages of a run, but only
   those of a few windows. */
enum { LOAD_WINDOW_MS = 20, LOAD_MOST_WINDOWS = 8192 };

struct load_result {
    uint64_t count;      /* messages or exchanges that came to their end */
    uint64_t elapsed_ns; /* of the whole run, connecting excluded */
    struct load_latencies all;
    struct load_latencies window;         /* the present one */
    double window_p99[LOAD_MOST_WINDOWS]; /* µs, of each that is over */
    int windows;
};

static const char *const load_mode_names[] = {
    [LOAD_RTT] = "rtt",
    [LOAD_THROUGHPUT] = "throughput",
    [LOAD_EXCHANGE] = "exchange",
};

/* How a number on the command line is checked and stored. */
struct load_int_option {
    const char *word;
    int *where;
    int least;
    int most;
};

static int load_parse_number(const char *text, double least, double most,
                             double *value)
{
    char *end;

    *value = strtod(text, &end);
    return end != text && *end == '\0' && *value >= least && *value <= most;
}

static int load_take_mode(struct load_options *options, const char *name)
{
    size_t i;

    for (i = 0; i < sizeof load_mode_names / sizeof load_mode_names[0]; i++) {
        if (strcmp(name, load_mode_names[i]) == 0) {
            options->mode = (enum load_mode)i;
            return 1;
        }
    }
    return 0;
}

static int load_take_int(struct load_options *options, const char *word,
                         const char *value)
{
    const struct load_int_option known[] = {
        {"--connections", &options->connections, 1, LOAD_MOST_CONNECTIONS},
        {"--size", &options->size, 1, LOAD_MOST_BYTES},
        {"--depth", &options->depth, 1, LOAD_MOST_DEPTH},
        {"--wait", &options->wait_ms, 0, 60000},
        {"--idle", &options->idle, 0, LOAD_MOST_CONNECTIONS},
    };
    double number;
    size_t i;

    for (i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(word, known[i].word) != 0)
            continue;
        if (!load_parse_number(value, known[i].least, known[i].most, &number))
            return 0;
        *known[i].where = (int)number;
        return 1;
    }
    return 0;
}

static int load_take_pair(struct load_options *options, const char *word,
                          const char *value)
{
    double number;

    if (strcmp(word, "--mode") == 0)
        return load_take_mode(options, value);
    if (strcmp(word, "--count") == 0) {
        if (!load_parse_number(value, 1, 1e12, &number))
            return 0;
        options->count = (uint64_t)number;
        return 1;
    }
    if (strcmp(word, "--seconds") == 0) {
        if (!load_parse_number(value, 0.01, LOAD_MOST_SECONDS, &number))
            return 0;
        options->time_ns = (uint64_t)(number * 1e9);
        return 1;
    }
    if (strcmp(word, "--rate") == 0)
        return load_parse_number(value, 1, 1e8, &options->rate);
    return load_take_int(options, word, value);
}

static int load_usage(const char *program)
{
    fprintf(stderr,
            "usage: %s ADDRESS [--mode rtt|throughput|exchange] [--stream]\n"
            "       [--connections N] [--size BYTES] [--depth N]\n"
            "       [--seconds S] [--count N] [--wait MS] [--idle N] "
            "[--rate N]\n",
            program);
    return LOAD_USAGE;
}

/* Reads the arguments into *options, defaults first. Returns LOAD_OK, or
   LOAD_USAGE after a sentence on stderr. */
static int load_parse(struct load_options *options, int argc, char **argv)
{
    int i;

    memset(options, 0, sizeof *options);
    options->connections = options->depth = 1;
    options->size = 64;
    options->wait_ms = 5000;
    for (i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--stream") == 0)
            options->stream = 1;
        else if (argv[i][0] != '-' && options->address == NULL)
            options->address = argv[i];
        else if (i + 1 < argc && load_take_pair(options, argv[i], argv[i + 1]))
            i++;
        else
            return load_usage(argv[0]);
    }
    if (options->address == NULL)
        return load_usage(argv[0]);
    if (options->time_ns == 0)
        options->time_ns =
            (uint64_t)(options->count > 0 ? LOAD_MOST_SECONDS : 2) *
            1000000000u;
    if (options->mode == LOAD_RTT && options->depth != 1) {
        fprintf(stderr, "rtt has one message in flight: no --depth\n");
        return LOAD_USAGE;
    }
    if (options->rate > 0 &&
        (options->mode == LOAD_EXCHANGE || options->depth != 1)) {
        fprintf(stderr, "--rate is for echoes, one on each connection\n");
        return LOAD_USAGE;
    }
    if (options->size * options->depth > LOAD_MOST_BYTES) {
        fprintf(stderr, "more than %d bytes in flight on a connection\n",
                (int)LOAD_MOST_BYTES);
        return LOAD_USAGE;
    }
    return LOAD_OK;
}

static void load_add(struct load_latencies *latencies, uint64_t ns)
{
    unsigned shift = 0;

    while (ns >= 256) {
        ns >>= 1;
        shift++;
    }
    assert((shift << 7) + ns < LOAD_BUCKETS);
    latencies->bucket[(shift << 7) + ns]++;
    latencies->samples++;
}

/* Adds one latency. */
static void load_record(struct load_result *result, uint64_t ns)
{
    load_add(&result->all, ns);
    load_add(&result->window, ns);
}

/* The middle of the bucket that holds this part of all samples, in µs. */
static double load_percentile(const struct load_latencies *latencies,
                              double part)
{
    uint64_t wanted = (uint64_t)(part * (double)latencies->samples);
    uint64_t seen = 0;
    unsigned i, shift;

    for (i = 0; i < LOAD_BUCKETS; i++) {
        seen += latencies->bucket[i];
        if (seen > wanted)
            break;
    }
    if (i >= LOAD_BUCKETS)
        return 0;
    shift = i < 256 ? 0 : (i >> 7) - 1;
    return ((double)(i - (shift << 7)) + 0.5) * (double)(1ull << shift) / 1e3;
}

static int load_compare(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;

    return (a > b) - (a < b);
}

/* The middle one of the windows' 99th percentiles; 0: there was no window. */
static double load_usual_p99(struct load_result *result)
{
    qsort(result->window_p99, (size_t)result->windows,
          sizeof result->window_p99[0], load_compare);
    return result->windows > 0 ? result->window_p99[result->windows / 2] : 0;
}

/* Prints the result as one line of JSON on stdout. */
static void load_print(struct load_result *result,
                       const struct load_options *options)
{
    double seconds = (double)result->elapsed_ns / 1e9;
    double rate = seconds > 0 ? (double)result->count / seconds : 0;

    printf("{\"mode\": \"%s\", \"connections\": %d, \"size\": %d, "
           "\"depth\": %d, ",
           load_mode_names[options->mode], options->connections, options->size,
           options->depth);
    printf("\"count\": %" PRIu64 ", \"seconds\": %.6f, "
           "\"per_second\": %.1f, ",
           result->count, seconds, rate);
    printf("\"usual_p99_us\": %.3f, ", load_usual_p99(result));
    printf("\"p50_us\": %.3f, \"p99_us\": %.3f, \"p999_us\": %.3f}\n",
           load_percentile(&result->all, 0.5),
           load_percentile(&result->all, 0.99),
           load_percentile(&result->all, 0.999));
}

#endif
