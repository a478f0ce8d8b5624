/* SPDX-License-Identifier: MIT */
/* Plans: which faults, and when. */
#include "fault.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "faulty.h"

struct ph_plan {
    struct ph_port *port;
    struct ph_plan *next;
    uint32_t owners; /* who put it up, and connections */
    char *name;      /* folded */
    enum ph_fault_side side;
    uint64_t seed;
    bool together;
    struct ph_fault *faults;
    size_t count;
    unsigned lanes;      /* of all faults */
    uint64_t operations; /* in these lanes */
    struct ph_lane_counts counts[PH_LANES];
    struct ph_fault_event *events;
    size_t event_count;
    struct ph_faulty_lane *users;
};

#define PH_FAULT_TEXT_(name, text) [PH_FAULT_##name] = text,
static const char *const kind_names[] = {PH_FAULT_LIST(PH_FAULT_TEXT_)};

const char *ph_fault_name(enum ph_fault_kind kind)
{
    assert((unsigned)kind < PH_FAULT_KINDS);
    return kind_names[kind];
}

/* ---- Names ----------------------------------------------------------- */

/* Without \\.\pipe\ and with small letters, as both systems compare them as far
 * as ASCII goes. */
static char *fold(const char *name)
{
    static const char prefix[] = "\\\\.\\pipe\\";
    char *folded = ph_strdup(name);
    if (!folded)
        return NULL;
    for (char *at = folded; *at; at++)
        if (*at >= 'A' && *at <= 'Z')
            *at = (char)(*at - 'A' + 'a');
    if (strncmp(folded, prefix, sizeof prefix - 1) == 0)
        memmove(folded, folded + sizeof prefix - 1,
                strlen(folded) - sizeof prefix + 2);
    return folded;
}

static bool is_of(const struct ph_plan *plan, const char *folded,
                  enum ph_fault_side side)
{
    return (plan->side == PH_SIDE_ANY || plan->side == side) &&
           strcmp(plan->name, folded) == 0;
}

enum ph_status ph_plan_find(const struct ph_port *port, const char *name,
                            enum ph_fault_side side, struct ph_plan **out)
{
    char *folded = fold(name);
    if (!folded)
        return PH_NOMEM;
    *out = port->plans;
    while (*out && !is_of(*out, folded, side))
        *out = (*out)->next;
    free(folded);
    return PH_OK;
}

/* ---- Putting up and taking down --------------------------------------- */

void ph_plan_release(struct ph_plan *plan)
{
    assert(plan->owners);
    if (--plan->owners)
        return;
    assert(!plan->users);
    free(plan->name);
    free(plan->faults);
    free(plan->events);
    free(plan);
}

static bool copy(struct ph_plan *plan, const struct ph_plan_options *options)
{
    size_t size = options->count * sizeof *options->faults;
    plan->name = fold(options->name);
    plan->faults = malloc(size ? size : 1);
    plan->events = malloc(PH_FAULT_EVENTS * sizeof *plan->events);
    if (!plan->name || !plan->faults || !plan->events)
        return false;
    for (size_t i = 0; i < options->count; i++) {
        plan->faults[i] = options->faults[i];
        plan->lanes |= options->faults[i].lanes;
    }
    return true;
}

enum ph_status ph_plan_add(struct ph_port *port,
                           const struct ph_plan_options *options,
                           struct ph_plan **out)
{
    struct ph_plan *plan = calloc(1, sizeof *plan);
    if (!plan)
        return PH_NOMEM;
    plan->owners = 1;
    if (!copy(plan, options)) {
        ph_plan_release(plan);
        return PH_NOMEM;
    }
    plan->port = port;
    plan->side = options->side;
    plan->seed = options->seed;
    plan->together = options->together;
    plan->count = options->count;
    plan->next = port->plans;
    port->plans = plan;
    *out = plan;
    return PH_OK;
}

void ph_plan_close(struct ph_plan *plan)
{
    struct ph_plan **link = &plan->port->plans;
    assert(plan->owners);
    while (*link != plan)
        link = &(*link)->next;
    *link = plan->next;
    plan->count = 0;
    for (struct ph_faulty_lane *at = plan->users; at; at = at->next) {
        at->stalled = false;
        at->due = plan->port->now;
        at->verdict.kinds &= ~(1u << PH_FAULT_DELAY); /* of more bytes */
        if (*at->flight == PH_HELD)
            ph_timer_start(plan->port, &at->timer, at->due);
    }
}

struct ph_port *ph_plan_port(const struct ph_plan *plan)
{
    return plan->port;
}

const struct ph_lane_counts *ph_plan_counts(const struct ph_plan *plan,
                                            enum ph_lane lane)
{
    assert((unsigned)lane < PH_LANES);
    return &plan->counts[lane];
}

const struct ph_fault_event *ph_plan_events(const struct ph_plan *plan,
                                            size_t *count)
{
    *count = plan->event_count;
    return plan->events;
}

void ph_plan_note(struct ph_plan *plan, enum ph_lane lane,
                  enum ph_fault_kind kind, uint64_t number, int64_t value)
{
    assert((unsigned)lane < PH_LANES && (unsigned)kind < PH_FAULT_KINDS);
    plan->counts[lane].done[kind]++;
    if (plan->event_count < PH_FAULT_EVENTS)
        plan->events[plan->event_count++] =
            (struct ph_fault_event){lane, kind, number, value};
}

void ph_lane_join(struct ph_faulty_lane *lane, struct ph_plan *plan)
{
    plan->owners++;
    lane->plan = plan;
    lane->next = plan->users;
    lane->link = &plan->users;
    if (lane->next)
        lane->next->link = &lane->next;
    plan->users = lane;
}

void ph_lane_leave(struct ph_faulty_lane *lane)
{
    ph_timer_stop(lane->plan->port, &lane->timer);
    *lane->link = lane->next;
    if (lane->next)
        lane->next->link = lane->link;
    ph_plan_release(lane->plan);
}

/* ---- Decisions -------------------------------------------------------- */

/* The same for the same seed, lane, number and salt, whatever came before: so
 * that several connections and lanes don't change each other's faults.
 * (SplitMix64's mixing, Steele, Lea, Flood 2014.) */
uint64_t ph_plan_draw(const struct ph_plan *plan, enum ph_lane lane,
                      uint64_t number, uint64_t salt)
{
    uint64_t z =
        plan->seed + number * UINT64_C(0x9e3779b97f4a7c15) +
        ((salt << 8 | (uint64_t)lane) + 1) * UINT64_C(0xd1b54a32d192ed03);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static bool is_due(const struct ph_plan *plan, const struct ph_fault *fault,
                   enum ph_lane lane, uint64_t number, uint64_t salt)
{
    if (!(fault->lanes >> lane & 1) || number < fault->first ||
        number > fault->last || (number - fault->first) % fault->every)
        return false;
    return fault->parts >= PH_FAULT_WHOLE ||
           ph_plan_draw(plan, lane, number, salt) % PH_FAULT_WHOLE <
               fault->parts;
}

static int64_t spread(const struct ph_plan *plan, const struct ph_fault *fault,
                      enum ph_lane lane, const struct ph_verdict *verdict)
{
    int64_t range = 2 * fault->spread + 1, time;
    uint64_t by = ph_plan_draw(plan, lane, verdict->number, UINT64_C(1) << 40);
    time = fault->value - fault->spread + (int64_t)(by % (uint64_t)range);
    return time > 0 ? time : 0;
}

static void apply(const struct ph_plan *plan, const struct ph_fault *fault,
                  enum ph_lane lane, struct ph_verdict *verdict)
{
    verdict->kinds |= 1u << fault->kind;
    switch (fault->kind) {
    case PH_FAULT_FAIL:
        verdict->status = fault->status;
        break;
    case PH_FAULT_CUT:
        if (verdict->cut < 0 || fault->value < verdict->cut)
            verdict->cut = fault->value;
        break;
    case PH_FAULT_JOIN:
        verdict->join = fault->value;
        break;
    case PH_FAULT_LATE:
        verdict->late = fault->value;
        break;
    case PH_FAULT_DELAY:
        verdict->delay += spread(plan, fault, lane, verdict);
        break;
    default:
        break;
    }
}

static bool counts_operations(enum ph_fault_kind kind)
{
    return kind == PH_FAULT_FAIL || kind == PH_FAULT_LATE;
}

static void judge(const struct ph_plan *plan, enum ph_lane lane,
                  bool operations, struct ph_verdict *verdict)
{
    verdict->cut = -1;
    for (size_t i = 0; i < plan->count; i++) {
        const struct ph_fault *fault = &plan->faults[i];
        if (counts_operations(fault->kind) == operations &&
            is_due(plan, fault, lane, verdict->number, i))
            apply(plan, fault, lane, verdict);
    }
}

struct ph_verdict ph_plan_judge(struct ph_plan *plan, enum ph_lane lane,
                                size_t len)
{
    struct ph_verdict verdict = {.number = ++plan->counts[lane].units};
    plan->counts[lane].bytes += len;
    judge(plan, lane, false, &verdict);
    return verdict;
}

struct ph_verdict ph_plan_judge_operation(struct ph_plan *plan,
                                          enum ph_lane lane)
{
    uint64_t of_lane = ++plan->counts[lane].operations;
    struct ph_verdict verdict = {.number = of_lane};
    if (plan->lanes >> lane & 1 && plan->together)
        verdict.number = ++plan->operations;
    judge(plan, lane, true, &verdict);
    if (ph_verdict_has(&verdict, PH_FAULT_FAIL))
        ph_plan_note(plan, lane, PH_FAULT_FAIL, verdict.number, 0);
    return verdict;
}
