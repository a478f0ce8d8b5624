/* SPDX-License-Identifier: MIT */
/* The port itself: timers, posts, and waits for one or many signals. */
#include "check.h"

#include <stdlib.h>
#include <string.h>

#define MANY 300

/* ---- Timers ------------------------------------------------------------- */

struct alarm {
    struct ph_timer timer;
    struct alarms *all;
    int64_t at;
    int fired;
};

struct alarms {
    struct bed *bed;
    struct alarm each[MANY];
    int count;
    int64_t last;
};

static void rang(struct ph_timer *timer)
{
    struct alarm *alarm = ph_container_of(timer, struct alarm, timer);
    struct alarms *all = alarm->all;
    expect(alarm->fired++ == 0);
    expect(alarm->at >= all->last); /* in order */
    expect(ph_port_now(all->bed->port) >= alarm->at);
    all->last = alarm->at;
    all->count++;
}

static void set_alarm(struct alarms *all, int i, int64_t at)
{
    struct alarm *alarm = &all->each[i];
    alarm->timer.fire = rang;
    alarm->all = all;
    alarm->at = at;
    ph_timer_start(all->bed->port, &alarm->timer, at);
}

static void timers_in_order(struct bed *bed)
{
    struct alarms *all = calloc(1, sizeof *all);
    uint32_t seed = 3;
    int stopped = 0;
    int64_t begin = ph_port_clock(bed->port);
    all->bed = bed;
    for (int i = 0; i < MANY; i++)
        set_alarm(all, i, begin + 1000 + next_random(&seed) % 60000);
    for (int i = 0; i < MANY; i += 3) {
        if (i % 2) { /* moved */
            set_alarm(all, i, begin + 1000 + next_random(&seed) % 60000);
        } else {
            ph_timer_stop(bed->port, &all->each[i].timer);
            ph_timer_stop(bed->port, &all->each[i].timer);
            stopped++;
        }
    }
    expect(ph_port_counts(bed->port).timers == (size_t)(MANY - stopped));
    for (int i = 0; i < 500 && all->count < MANY - stopped; i++)
        ph_port_run(bed->port, PH_FOREVER);
    expect(all->count == MANY - stopped);
    run_ms(bed, 5);
    expect(all->count == MANY - stopped);
    free(all);
}

struct repeat {
    struct ph_timer timer;
    struct bed *bed;
    int left;
};

static void again(struct ph_timer *timer)
{
    struct repeat *repeat = ph_container_of(timer, struct repeat, timer);
    if (--repeat->left > 0)
        ph_timer_start(repeat->bed->port, timer,
                       ph_port_now(repeat->bed->port));
}

/* One that starts itself anew does not keep the loop to itself. */
static void timer_repeats(struct bed *bed)
{
    struct repeat repeat = {.timer.fire = again, .bed = bed, .left = 100};
    struct pair pair = bed_pair(bed, PH_MODE_MESSAGE);
    ph_timer_start(bed->port, &repeat.timer, 0);
    expect_status(write_text(bed, pair.client, "x"), OK);
    expect(reads_text(bed, pair.server, "x"));
    for (int i = 0; i < 1000 && repeat.left > 0; i++)
        ph_port_run(bed->port, 1000);
    expect(repeat.left == 0);
}

static void waits_are_bounded(struct bed *bed)
{
    int64_t begin = ph_port_clock(bed->port);
    expect_status(ph_port_run(bed->port, 0), OK);
    expect(ph_port_clock(bed->port) - begin < 2000000);
    begin = ph_port_clock(bed->port);
    while (ph_port_clock(bed->port) < begin + 20000)
        expect_status(ph_port_run(bed->port, 20000), OK);
    expect(ph_port_clock(bed->port) - begin < 5000000);
}

/* ---- Posts -------------------------------------------------------------- */

#define POSTS 2000

struct note {
    struct ph_post post;
    struct mail *mail;
    int number;
};

struct mail {
    struct bed *bed;
    int seen, next;
    bool in_order;
    struct note notes[POSTS];
};

static void note_arrives(struct ph_post *post)
{
    struct note *note = ph_container_of(post, struct note, post);
    struct mail *mail = note->mail;
    mail->in_order = mail->in_order && note->number == mail->next;
    mail->next = note->number + 1;
    mail->seen++;
}

static void send_all(void *user)
{
    struct mail *mail = user;
    for (int i = 0; i < POSTS; i++)
        ph_port_post(mail->bed->port, &mail->notes[i].post);
}

static struct mail *new_mail(struct bed *bed)
{
    struct mail *mail = calloc(1, sizeof *mail);
    mail->bed = bed;
    mail->in_order = true;
    for (int i = 0; i < POSTS; i++) {
        mail->notes[i].post.arrive = note_arrives;
        mail->notes[i].mail = mail;
        mail->notes[i].number = i;
    }
    return mail;
}

static void posts(struct bed *bed)
{
    struct mail *mails[4];
    struct thread *threads[4];
    for (int i = 0; i < 4; i++) {
        mails[i] = new_mail(bed);
        threads[i] = thread_start(send_all, mails[i]);
        expect(threads[i] != NULL);
    }
    for (int i = 0; i < 4; i++) {
        /* For ever: every one of them wakes it. */
        for (int n = 0; n <= POSTS * 4 && mails[i]->seen < POSTS; n++)
            ph_port_run(bed->port, PH_FOREVER);
        expect(mails[i]->seen == POSTS && mails[i]->in_order);
    }
    for (int i = 0; i < 4; i++) {
        thread_join(threads[i]);
        free(mails[i]);
    }
}

static void post_from_here(struct bed *bed)
{
    struct mail *mail = new_mail(bed);
    for (int i = 0; i < 100; i++) {
        ph_port_post(bed->port, &mail->notes[i].post);
        expect(mail->seen == i);
        ph_port_run(bed->port, PH_FOREVER);
        expect(mail->seen == i + 1);
    }
    free(mail);
}

/* ---- Waits -------------------------------------------------------------- */

struct many {
    struct ph_signal signals[MANY];
    struct ph_signal *list[MANY];
    struct ph_waiter waiters[MANY];
    struct ph_wait wait;
    int calls;
};

static void wait_done(struct ph_wait *wait)
{
    struct many *many = wait->user;
    expect(wait->state == PH_WAIT_ENDED);
    many->calls++;
}

static struct many *new_many(struct bed *bed, size_t count,
                             enum ph_wait_mode mode)
{
    struct many *many = calloc(1, sizeof *many);
    for (size_t i = 0; i < count; i++)
        many->list[i] = &many->signals[i];
    many->wait.port = bed->port;
    many->wait.signals = many->list;
    many->wait.waiters = many->waiters;
    many->wait.count = count;
    many->wait.mode = mode;
    many->wait.done = wait_done;
    many->wait.user = many;
    return many;
}

static void run_until_ended(struct bed *bed, struct many *many)
{
    for (int i = 0; i < 100 && many->wait.state == PH_WAIT_RUNS; i++)
        ph_port_run(bed->port, 100000);
    expect(many->wait.state == PH_WAIT_ENDED);
}

/* More than the 64 that WaitForMultipleObjects takes; the lowest wins. */
static void wait_any(struct bed *bed)
{
    struct many *many = new_many(bed, MANY, PH_WAIT_ANY);
    ph_wait_start(&many->wait, PH_FOREVER);
    expect(many->wait.state == PH_WAIT_RUNS);
    ph_signal_set(&many->signals[250]);
    ph_signal_set(&many->signals[130]);
    expect(many->calls == 0);
    run_until_ended(bed, many);
    expect(many->calls == 1 && many->wait.index == 130);
    expect_status(many->wait.status, OK);
    expect(many->signals[130].set && many->signals[250].set);
    ph_signal_reset(&many->signals[130]);
    ph_wait_start(&many->wait, PH_FOREVER);
    expect(many->wait.state == PH_WAIT_ENDED && many->wait.index == 250);
    expect(many->calls == 1);
    ph_signal_reset(&many->signals[250]);
    ph_wait_start(&many->wait, PH_NOW);
    expect(many->wait.state == PH_WAIT_ENDED);
    expect_status(many->wait.status, PENDING);
    free(many);
}

static void wait_all(struct bed *bed)
{
    struct many *many = new_many(bed, MANY, PH_WAIT_ALL);
    ph_wait_start(&many->wait, PH_FOREVER);
    for (int i = MANY - 1; i >= 0; i--) {
        expect(many->wait.state == PH_WAIT_RUNS);
        ph_signal_set(&many->signals[i]);
        if (i % 50 == 0 && i)
            run_ms(bed, 0);
    }
    run_until_ended(bed, many);
    expect(many->calls == 1);
    expect_status(many->wait.status, OK);
    ph_signal_reset(&many->signals[7]);
    ph_wait_start(&many->wait, after_ms(bed, 20));
    run_until_ended(bed, many);
    expect(many->calls == 2);
    expect_status(many->wait.status, PENDING);
    expect(many->signals[8].set); /* nothing was consumed */
    free(many);
}

static void wait_dropped(struct bed *bed)
{
    struct many *many = new_many(bed, 3, PH_WAIT_ANY);
    ph_wait_start(&many->wait, after_ms(bed, 5));
    ph_wait_drop(&many->wait);
    run_ms(bed, 10);
    ph_signal_set(&many->signals[0]);
    ph_signal_reset(&many->signals[0]);
    ph_wait_start(&many->wait, PH_FOREVER);
    ph_signal_set(&many->signals[1]);
    ph_wait_drop(&many->wait);
    run_ms(bed, 1);
    expect(many->calls == 0);
    free(many);
}

/* Waiting never ends an operation; the operation's end ends the wait. */
static void wait_for_operations(struct bed *bed)
{
    enum { COUNT = 100 };
    struct many *many = new_many(bed, COUNT, PH_WAIT_ANY);
    struct ph_create_options options = create_options(PH_MODE_MESSAGE);
    struct pair pairs[COUNT];
    struct ph_op *ops[COUNT];
    for (int i = 0; i < COUNT; i++) {
        pairs[i] = bed_pair_with(bed, &options);
        ops[i] = bed_op(bed);
        ph_read_start(ops[i], pairs[i].server, PH_READ_MESSAGE, 0, PH_FOREVER);
        many->list[i] = &ops[i]->signal;
    }
    ph_wait_start(&many->wait, after_ms(bed, 10));
    run_until_ended(bed, many);
    expect_status(many->wait.status, PENDING);
    expect(ops[0]->state == PH_OP_PENDING);
    ph_wait_start(&many->wait, PH_FOREVER);
    expect_status(write_text(bed, pairs[77].client, "x"), OK);
    run_until_ended(bed, many);
    expect(many->wait.index == 77);
    expect(is_text(ops[77], "x"));
    many->wait.mode = PH_WAIT_ALL;
    ph_wait_start(&many->wait, PH_FOREVER);
    for (int i = 0; i < COUNT; i++)
        if (i % 10)
            expect_status(write_text(bed, pairs[i].client, "y"), OK);
        else
            ph_op_cancel(ops[i]);
    run_until_ended(bed, many);
    expect_status(many->wait.status, OK);
    expect_status(ops[50]->status, CANCELLED);
    expect_status(ops[51]->status, OK);
    free(many);
}

int main(void)
{
    run_test("timers in order", timers_in_order);
    run_test("timer repeats", timer_repeats);
    run_test("waits are bounded", waits_are_bounded);
    run_test("posts", posts);
    run_test("post from here", post_from_here);
    run_test("wait any", wait_any);
    run_test("wait all", wait_all);
    run_test("wait dropped", wait_dropped);
    run_test("wait for operations", wait_for_operations);
    return tests_end();
}
