/*
 * plan.h: which CA a bottle's plan asks for.
 *
 * A plan is JSON: {"egress": {"routes": [...], "ca_cert": PATH}, "pipelock": {"ca_cert":
 * PATH}}. With at least one route the egress proxy stands between guest and world, and its
 * CA is chosen; without one it is pipelock's. Other keys are not looked at, so that a plan
 * may carry more than this program needs. null counts as absent.
 */
#ifndef PROVISION_PLAN_H
#define PROVISION_PLAN_H

#include "error.h"

enum label { LABEL_EGRESS, LABEL_PIPELOCK };

/* "egress" or "pipelock". */
const char *label_name(enum label label);

struct plan {
    enum label label;
    char *cert_path; /* owned; relative paths of the plan are put behind the plan's folder */
};

/*
 * Errors: file_read()'s; EINVAL for bad syntax and duplicate keys ("FILE:LINE:COLUMN: ..."),
 * for a wrong type in either half, and for a chosen ca_cert that is missing ("FILE: ...",
 * because a parsed document has no positions any more).
 */
int plan_load(const char *path, struct plan *ret_plan, struct error *error);
void plan_release(struct plan *plan);

#endif
