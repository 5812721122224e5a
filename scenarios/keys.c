#include "expectation.h"
#include "keys_macros.h"

static const char *const expected_values[] = {
    [EXPECTED_XFAIL] = "xfail", [EXPECTED_SKIP] = "skip", NULL};
static const char *const signals_values[] = {"unseen", "seen", NULL};
static const char *const declared_values[] = {"upstream-policy", "hardened-policy", NULL};
static const char *const suite_values[] = {"bullseye", "bookworm", "trixie", NULL};

/* --- backend -------------------------------------------------------------- */

static const struct schema_key command_keys[] = {
    {.name = "smolvm",
     .kind = SCHEMA_LIST,
     .item = TEXT_ITEM("argument"),
     .doc = "The command line that drives smolvm.",
     .example = "smolvm: ['{bin}/provision-ca', --machine, '{machine}', --plan, '{plan}']\n"},
    {.name = "docker",
     .kind = SCHEMA_LIST,
     .item = TEXT_ITEM("argument"),
     .doc = "The command line that drives docker.",
     .example = "docker: [./install.sh, '{machine}', '{cert}']\n"},
    END};
static const struct schema_key backend_keys[] = {
    FORMAT,
    {.name = "name",
     .kind = SCHEMA_ID,
     .flags = SCHEMA_REQUIRED,
     .doc = "The backend's name, also its file's.",
     .example = "name: upstream\n"},
    {.name = "title",
     .kind = SCHEMA_TEXT,
     .flags = SCHEMA_REQUIRED,
     .doc = "What it is, in a line.",
     .example = "title: provision-ca with the upstream policy\n"},
    {.name = "command",
     .kind = SCHEMA_MAP,
     .flags = SCHEMA_REQUIRED,
     .keys = command_keys,
     .doc = "Its command line for each driver that it can drive, as a list of arguments. "
            "Placeholders: {machine} {cert} {plan} {label} {ca_path} {bundle}, {bin} for the "
            "folder of killpoint's own program, {dir} for the folder of this file.",
     .example = "command:\n  smolvm: ['{dir}/install.sh', '{machine}', '{cert}']\n"},
    {.name = "driver_signals",
     .kind = SCHEMA_ENUM,
     .values = signals_values,
     .def = "unseen",
     .doc = "seen: it can tell a driver killed by a signal from one that returned 128+S. A shell "
            "cannot.",
     .example = "driver_signals: seen\n"},
    {.name = "capabilities",
     .kind = SCHEMA_LIST,
     .flags = SCHEMA_ONE_OK,
     .item = ENUM_ITEM("capability", declared_values),
     .def_text = "none",
     .doc = "What scenarios may need: upstream-policy is the contract of existing backends (a "
            "retry after 137 alone, certificates let through that are no CA or not valid), "
            "hardened-policy refuses those and may recover from a lost driver.",
     .example = "capabilities: [upstream-policy]\n"},
    {.name = "env",
     .kind = SCHEMA_NAMED,
     .item =
         &(const struct schema_key){
             .name = "env", .kind = SCHEMA_TEXT, .flags = SCHEMA_EMPTY_OK, .doc = "One value."},
     .def_text = "none",
     .doc = "More environment for it.",
     .example = "env: {LANG: C}\n"},
    {.name = "exit_map",
     .kind = SCHEMA_NAMED,
     .item = &(const struct schema_key){.name = "exit_map",
                                        .kind = SCHEMA_INT,
                                        .max = 255,
                                        .doc = "What the contract calls it."},
     .def_text = "every status is taken as it is",
     .doc = "Its exit statuses that mean something else in the contract: 0 success, 2 of no use, "
            "77 not supported, 99 the adapter is broken, anything else failure.",
     .example = "exit_map: {64: 2, 69: 77}\n"},
    {.name = "expectations",
     .kind = SCHEMA_TEXT,
     .def_text = "none",
     .doc = "The file of its expectation list, relative to this file.",
     .example = "expectations: upstream.expect.yaml\n"},
    END};
const struct schema_key keys_backend = {
    .name = "backend",
    .kind = SCHEMA_MAP,
    .keys = backend_keys,
    .doc = "A backend: a program under test, and how it is started."};

/* --- expectations --------------------------------------------------------- */

static const struct schema_key expectation_keys[] = {
    {.name = "match",
     .kind = SCHEMA_TEXT,
     .flags = SCHEMA_REQUIRED,
     .doc = "GLOB or GLOB:CHECK. The glob knows * (any run) and ? (any byte); brackets are "
            "themselves. It is held against ID[VALUES]@LAYOUT, ID[VALUES] and ID. With a check "
            "the entry covers that failing check and no other.",
     .example = "match: partial/stale-bundle-temporary:store/should/no-temporaries\n"},
    {.name = "verdict",
     .kind = SCHEMA_ENUM,
     .flags = SCHEMA_REQUIRED,
     .values = expected_values,
     .doc = "xfail: it is played and must fail. skip: it is not played; of one check, that may "
            "fail or "
            "pass.",
     .example = "verdict: xfail\n"},
    {.name = "reason",
     .kind = SCHEMA_TEXT,
     .flags = SCHEMA_REQUIRED,
     .doc = "Why.",
     .example = "reason: the upstream script never removes temporaries\n"},
    {.name = "ref",
     .kind = SCHEMA_TEXT,
     .flags = SCHEMA_REQUIRED,
     .doc = "Where it is followed up, or what it is about.",
     .example = "ref: issue 12\n"},
    {.name = "expires",
     .kind = SCHEMA_DATE,
     .def_text = "never",
     .doc = "The last day it holds (UTC). After it the run fails.",
     .example = "expires: 2027-06-30\n"},
    {.name = "layout",
     .kind = SCHEMA_TEXT,
     .def_text = "any",
     .doc = "A glob: only on layouts that match.",
     .example = "layout: bullseye*\n"},
    END};
static const struct schema_key expectation_item = {
    .name = "expectation", .kind = SCHEMA_MAP, .keys = expectation_keys};
static const struct schema_key expectations_keys[] = {
    FORMAT,
    {.name = "expectations",
     .kind = SCHEMA_LIST,
     .flags = SCHEMA_REQUIRED,
     .item = &expectation_item,
     .doc = "The entries. One that matches no trial, has expired, or whose trial passes fails the "
            "run.",
     .example =
         "expectations:\n  - match: kill/*\n    verdict: xfail\n    reason: no retry yet\n    "
         "ref: issue 12\n"},
    END};
const struct schema_key keys_expectations = {
    .name = "expectations",
    .kind = SCHEMA_MAP,
    .keys = expectations_keys,
    .doc = "An expectation list: what a backend is known not to do right."};

/* --- layout --------------------------------------------------------------- */

static const struct schema_key layout_keys[] = {
    FORMAT,
    {.name = "name",
     .kind = SCHEMA_ID,
     .flags = SCHEMA_REQUIRED,
     .doc = "The layout's name, also its file's.",
     .example = "name: bookworm-mini\n"},
    {.name = "title",
     .kind = SCHEMA_TEXT,
     .flags = SCHEMA_REQUIRED,
     .doc = "What it is, in a line.",
     .example = "title: Debian 12, five roots\n"},
    {.name = "suite",
     .kind = SCHEMA_ENUM,
     .one_of = 1,
     .values = suite_values,
     .doc = "The Debian release it is built from.",
     .example = "suite: bookworm\n"},
    {.name = "base",
     .kind = SCHEMA_ID,
     .one_of = 1,
     .doc = "The layout that it changes.",
     .example = "base: bookworm\n"},
    {.name = "host",
     .kind = SCHEMA_BOOL,
     .one_of = 1,
     .doc = "true: the machine's own Debian, read-only.",
     .example = "host: true\n"},
    {.name = "packages",
     .kind = SCHEMA_LIST,
     .item = TEXT_ITEM("package"),
     .def_text = "none",
     .doc = "What is installed beside the essential packages; with suite only.",
     .example = "packages: [ca-certificates, openssl]\n"},
    {.name = "roots",
     .kind = SCHEMA_LIST,
     .item = TEXT_ITEM("root"),
     .def_text = "all",
     .doc = "The only roots that ca-certificates.conf enables; the others' files are removed.",
     .example = "roots: [ISRG_Root_X1]\n"},
    {.name = "deselected",
     .kind = SCHEMA_LIST,
     .item = TEXT_ITEM("root"),
     .def_text = "none",
     .doc = "Roots that ca-certificates.conf switches off with '!'.",
     .example = "deselected: [ISRG_Root_X1]\n"},
    {.name = "local",
     .kind = SCHEMA_LIST,
     .item = TEXT_ITEM("file"),
     .def_text = "none",
     .doc = "Other local CAs, by the names of their files in scenarios/layouts/files.",
     .example = "local: [other-ca.crt]\n"},
    {.name = "hook",
     .kind = SCHEMA_TEXT,
     .def_text = "none",
     .doc = "A hook for /etc/ca-certificates/update.d, by its file's name.",
     .example = "hook: slow-hook\n"},
    END};
const struct schema_key keys_layout = {.name = "layout",
                                       .kind = SCHEMA_MAP,
                                       .keys = layout_keys,
                                       .doc =
                                           "A layout: the Debian tree that a guest is made from."};

const struct schema_key *const keys_all[] = {&keys_scenario, &keys_backend, &keys_layout,
                                             &keys_expectations, NULL};
