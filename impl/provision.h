/*
 * provision.h: one CA into one running machine, by one cp and at most two execs.
 *
 * This is the whole policy: what is called, what counts as an installation, and when the
 * exec is run a second time. A second exec is the same exec, started no earlier than the
 * settle time after the first one's end; whatever it says is final.
 *
 *   upstream  a second exec after exit status 137 only
 *   hardened  after 137, and after a failure of the driver itself: it died by a signal, or
 *             it says that it lost the machine (its own words; docker: status 255, too)
 */
#ifndef PROVISION_PROVISION_H
#define PROVISION_PROVISION_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"

enum driver { DRIVER_SMOLVM, DRIVER_DOCKER };
enum policy { POLICY_UPSTREAM, POLICY_HARDENED };

struct provision {
    enum driver driver;
    enum policy policy;
    const char *driver_path; /* the program; without a slash it is looked up on PATH */
    const char *machine;
    const char *cert_path; /* on the host */
    const char *ca_path;   /* in the guest */
    const char *script;    /* for sh -c in the guest */
    int64_t settle_ns;
};

/*
 * Installs. Returns the number of execs it took, 1 or 2.
 * Errors: EIO when a step failed for good; the text names the step, its exit status or
 * signal and both its streams, after a second exec those of the first as well.
 * execve(2)'s when the driver cannot be started.
 * Source of the lost machine's words: smolvm 0.8.0, "io operation failed"; docker 28, measured
 * (fakes/README.md).
 */
int provision_run(const struct provision *provision, struct error *error);

#endif
