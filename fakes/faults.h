/*
 * faults.h: the rules that are armed, and how often each fired.
 *
 * A machine has one set, given at its start; a call may bring a set of its own
 * (KILLPOINT_FAULTS), which then holds for this call instead. fault/rule.h is the grammar.
 */
#ifndef KILLPOINT_FAULTS_H
#define KILLPOINT_FAULTS_H

#include "../fault/rule.h"
#include "../fault/rule_set.h"

struct faults {
    struct rule_set set;
    uint64_t *fired; /* one a rule */
};
#define FAULTS_INIT                                                                                \
    {                                                                                              \
        {NULL, 0}, NULL                                                                            \
    }

void faults_release(struct faults *faults);
/*
 * text: rules separated by newlines, or @FILE; NULL and "" arm nothing. -ENOTSUP: a rule
 * that this machine could never fire.
 */
int faults_parse(struct faults *faults, const char *text, struct err *err);

/* The checked rules of $KILLPOINT_FAULTS, one a line, freed by the caller; NULL: none set. */
int faults_from_environment(char **ret_faults, struct err *err);

/* -ENOTSUP for a rule that could never fire: it is refused rather than taken and forgotten. */
int faults_check_rule(const struct rule *rule, struct err *err);

/*
 * The next rule from *at (start with 0) that holds in this call at this place: its index,
 * or -1. *at is set behind it.
 */
int faults_next(const struct faults *faults, enum rule_call call, uint32_t nth,
                enum rule_place place, size_t *at);

/* Whether a whole tree may have to be killed in this call, which needs a tracer. */
bool faults_kill_trees(const struct faults *faults, enum rule_call call, uint32_t nth);

/* Whether one of the rules may lose files (lose=all): syncs are to be followed. */
bool faults_may_lose_files(const struct faults *faults);

/* Whether a rule is about the container's first process or the VM as a whole. */
bool faults_need_namespaces(const struct rule_set *rules);

/* [{"rule": "…", "fired": N}, …] */
void faults_print_json(const struct faults *faults, struct buf *json);

#endif
