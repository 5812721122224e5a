/*
 * trial_run.h: playing one trial, from a fresh machine to evidence.
 *
 * Each trial has a folder of its own, which is its state folder (fakes/state.h) and holds
 * what the backend gets: HOME, TMPDIR, the certificate, the plan, and bin/smolvm, first
 * on its PATH, beside a link to this state folder, so that a backend may clean its environment.
 *
 * trial_run() blocks and is meant for a process of its own (runner.h makes one a trial):
 * its machines end when that process does.
 */
#ifndef KILLPOINT_TRIAL_RUN_H
#define KILLPOINT_TRIAL_RUN_H

#include "backend.h"
#include "evidence.h"

#define TRIAL_CA_PATH "/usr/local/share/ca-certificates/bot-bottle-mitm.crt"
#define TRIAL_BUNDLE "/etc/ssl/certs/ca-certificates.crt"

struct container_kind;

struct trial_setup {
    const char *folder;        /* made by trial_run(); its parent has the slot server */
    const char *fixtures_path; /* scenarios/fixtures */
    const struct backend *backend;
    const struct audit_known *known;   /* for the audits, see audit.h; or NULL */
    const struct container_kind *kind; /* of the machines; without namespaces for the backend too */
    const char *copies_path; /* where copied trees wait for their next machine; NULL: nowhere */
    bool compares_bad;       /* with an undisturbed install, even if the scenario does not */
};

/*
 * Plays a trial. Returns 0 with *ret_evidence filled, however the backend behaved, or
 * -errno when the harness itself could not do its part. The machines are stopped, the
 * folder stays for the caller to keep or remove.
 */
int trial_run(const struct trial_setup *setup, const struct trial *trial,
              struct evidence *ret_evidence, struct err *err);

/*
 * The tree of one undisturbed install of the trial's last certificate, on a fresh machine
 * in the setup's folder: what trial.reference may be for all trials of this scenario and layout.
 */
int trial_reference(const struct trial_setup *setup, const struct trial *trial,
                    struct tree *ret_reference, struct err *err);

/*
 * The CA of a fixture and its key, PEM. A fixture without a key is a bad certificate, which
 * has no place in any store: both stay empty.
 */
int trial_read_ca(const char *fixtures_path, const char *fixture, struct buf *ca, struct buf *key,
                  struct err *err);

#endif
