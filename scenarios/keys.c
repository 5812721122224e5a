#include "keys.h"

#include "expectation.h"
#include "scenario.h"

#define TEXT_ITEM(word)                                                                            \
    (&(const struct schema_key){.name = word, .kind = SCHEMA_TEXT, .doc = "One text."})
#define ID_ITEM(word) (&(const struct schema_key){.name = word, .kind = SCHEMA_ID})
#define ENUM_ITEM(word, list)                                                                      \
    (&(const struct schema_key){.name = word, .kind = SCHEMA_ENUM, .values = list})
#define END                                                                                        \
    {                                                                                              \
        .name = NULL                                                                               \
    }
#define FORMAT                                                                                     \
    {                                                                                              \
        .name = "format", .kind = SCHEMA_INT, .flags = SCHEMA_REQUIRED, .min = 1, .max = 1,        \
        .doc = "The version of this kind of file. It changes only when old files stop loading.",   \
        .example = "format: 1\n"                                                                   \
    }

static const char *const level_values[] = {
    [LEVEL_MUST] = "must", [LEVEL_SHOULD] = "should", [LEVEL_MAY] = "may", NULL};
static const char *const driver_values[] = {
    [DRIVER_SMOLVM] = "smolvm", [DRIVER_DOCKER] = "docker", NULL};
static const char *const claim_values[] = {
    [CLAIM_SUCCESS] = "success", [CLAIM_FAILURE] = "failure", [CLAIM_EITHER] = "either", NULL};
static const char *const judge_values[] = {[JUDGE_REPORT] = "report", [JUDGE_PASS] = "pass", NULL};
static const char *const label_values[] = {
    [LABEL_ANY] = "any", [LABEL_EGRESS] = "egress", [LABEL_PIPELOCK] = "pipelock", NULL};
static const char *const fingerprint_values[] = {
    [FINGERPRINT_ANY] = "any", [FINGERPRINT_ONCE] = "once", [FINGERPRINT_NONE] = "none", NULL};
static const char *const fatal_values[] = {
    [FATAL_ANY] = "any", [FATAL_CP] = "cp", [FATAL_EXEC] = "exec", NULL};
static const char *const fired_values[] = {[FIRED_ALL] = "all", [FIRED_ANY] = "any", NULL};
static const char *const machines_values[] = {
    [MACHINES_ONE] = "one", [MACHINES_EACH] = "each", NULL};
static const char *const expected_values[] = {
    [EXPECTED_XFAIL] = "xfail", [EXPECTED_SKIP] = "skip", NULL};
static const char *const signals_values[] = {"unseen", "seen", NULL};
static const char *const capability_values[] = {"driver-signals", "plan", "upstream-policy",
                                                "hardened-policy", NULL};
static const char *const declared_values[] = {"upstream-policy", "hardened-policy", NULL};
static const char *const fixture_values[] = {"ca",      "rotated", "pipelock",   "empty",
                                             "none",    "two",     "der",        "leaf",
                                             "expired", "future",  "unreadable", NULL};
static const char *const suite_values[] = {"bullseye", "bookworm", "trixie", NULL};

/* --- scenario ------------------------------------------------------------- */

static const struct schema_key plan_keys[] = {
    {.name = "routes",
     .kind = SCHEMA_LIST,
     .flags = SCHEMA_EMPTY_OK,
     .item = TEXT_ITEM("route"),
     .def_text = "[api.example.com]",
     .doc = "The egress routes. With at least one the egress CA is to be chosen, with none (an "
            "empty list) the pipelock CA.",
     .example = "routes: []\n"},
    {.name = "egress",
     .kind = SCHEMA_ENUM,
     .values = fixture_values,
     .def = "ca",
     .doc = "The fixture that the plan names as the egress CA.",
     .example = "egress: rotated\n"},
    {.name = "pipelock",
     .kind = SCHEMA_ENUM,
     .values = fixture_values,
     .def = "pipelock",
     .doc = "The fixture that the plan names as the pipelock CA.",
     .example = "pipelock: rotated\n"},
    END};
static const struct schema_key plan_item = {
    .name = "plan", .kind = SCHEMA_MAP, .flags = SCHEMA_EMPTY_OK, .keys = plan_keys};

static const struct schema_key write_keys[] = {
    {.name = "path",
     .kind = SCHEMA_PATH,
     .flags = SCHEMA_REQUIRED,
     .doc = "The file in the guest. Parents are made. A symbolic link there is replaced."},
    {.name = "text",
     .kind = SCHEMA_TEXT,
     .flags = SCHEMA_EMPTY_OK,
     .one_of = 1,
     .doc = "What is written."},
    {.name = "fixture",
     .kind = SCHEMA_ENUM,
     .one_of = 1,
     .values = fixture_values,
     .doc = "The certificate file that is written."},
    {.name = "mode", .kind = SCHEMA_MODE, .def = "0644", .doc = "The file's mode."},
    {.name = "owner",
     .kind = SCHEMA_TEXT,
     .def = "root:root",
     .doc = "The file's owner and group, by name or number."},
    {.name = "append",
     .kind = SCHEMA_BOOL,
     .def = "false",
     .doc = "Adds to the end of a file that is there and keeps its mode and owner."},
    END};
static const struct schema_key symlink_keys[] = {
    {.name = "path",
     .kind = SCHEMA_PATH,
     .flags = SCHEMA_REQUIRED,
     .doc = "Where the link is made; what is there is replaced."},
    {.name = "target",
     .kind = SCHEMA_TEXT,
     .flags = SCHEMA_REQUIRED,
     .doc = "What the link holds."},
    END};
static const struct schema_key mkdir_keys[] = {
    {.name = "path",
     .kind = SCHEMA_PATH,
     .flags = SCHEMA_REQUIRED,
     .doc = "The folder; its parents are made."},
    {.name = "mode", .kind = SCHEMA_MODE, .def = "0755", .doc = "The folder's mode."},
    END};
static const struct schema_key step_keys[] = {
    {.name = "run",
     .kind = SCHEMA_TEXT,
     .one_of = 1,
     .doc = "Runs sh -c TEXT as root in the guest. It must end 0, else the trial is an ERROR.",
     .example = "- run: rm /usr/bin/openssl\n"},
    {.name = "write",
     .kind = SCHEMA_MAP,
     .one_of = 1,
     .keys = write_keys,
     .doc = "Writes a file.",
     .example = "- write: {path: /etc/ssl/certs/ca-certificates.crt, text: ''}\n"},
    {.name = "symlink",
     .kind = SCHEMA_MAP,
     .one_of = 1,
     .keys = symlink_keys,
     .doc = "Makes a symbolic link.",
     .example = "- symlink: {path: /etc/ssl/certs/old.pem, target: /nowhere}\n"},
    {.name = "remove",
     .kind = SCHEMA_PATH,
     .one_of = 1,
     .doc = "Removes a file or a whole folder, which must be there.",
     .example = "- remove: /usr/sbin/update-ca-certificates\n"},
    {.name = "mkdir",
     .kind = SCHEMA_MAP,
     .one_of = 1,
     .keys = mkdir_keys,
     .doc = "Makes a folder.",
     .example = "- mkdir: {path: /opt/certs}\n"},
    {.name = "provision",
     .kind = SCHEMA_ENUM,
     .one_of = 1,
     .values = fixture_values,
     .doc = "Installs a fixture as an undisturbed upstream backend would.",
     .example = "- provision: ca\n"},
    {.name = "read_only",
     .kind = SCHEMA_PATH,
     .one_of = 1,
     .doc = "Mounts a folder or a file read-only, from this step to the trial's end.",
     .example = "- read_only: /usr/local/share/ca-certificates\n"},
    END};
static const struct schema_key step_item = {
    .name = "step", .kind = SCHEMA_MAP, .keys = step_keys, .doc = "One prestate step."};

static const struct schema_key limits_keys[] = {
    {.name = "run_ms",
     .kind = SCHEMA_INT,
     .def = "30000",
     .min = 100,
     .max = 600000,
     .doc = "The backend's deadline in milliseconds, for each of its runs. Past it: TIMEOUT.",
     .example = "run_ms: 10000\n"},
    {.name = "disk",
     .kind = SCHEMA_SIZE,
     .def_text = "no limit of its own",
     .doc = "The size of the file system that takes the guest's writes, for full disks.",
     .example = "disk: 8MiB\n"},
    END};

static const struct schema_key calls_keys[] = {{.name = "cp",
                                                .kind = SCHEMA_RANGE,
                                                .min = 0,
                                                .max = INT32_MAX,
                                                .def_text = "any",
                                                .doc = "How many cp calls the backend makes.",
                                                .example = "cp: 1\n"},
                                               {.name = "exec",
                                                .kind = SCHEMA_RANGE,
                                                .min = 0,
                                                .max = INT32_MAX,
                                                .def_text = "any",
                                                .doc = "How many exec calls the backend makes.",
                                                .example = "exec: {min: 1, max: 2}\n"},
                                               END};
static const struct schema_key settle_keys[] = {{.name = "min",
                                                 .kind = SCHEMA_INT,
                                                 .max = 600000,
                                                 .def = "0",
                                                 .doc = "At least this long, in milliseconds.",
                                                 .example = "min: 1000\n"},
                                                {.name = "max",
                                                 .kind = SCHEMA_INT,
                                                 .max = 600000,
                                                 .def = "600000",
                                                 .doc = "At most this long, in milliseconds.",
                                                 .example = "max: 5000\n"},
                                                END};
#define JUDGE_DEFAULT "pass when the claim must be success, else report"
static const struct schema_key store_keys[] = {
    {.name = "must",
     .kind = SCHEMA_ENUM,
     .values = judge_values,
     .def_text = JUDGE_DEFAULT,
     .doc = "The audit's checks of level must. report: measured and shown, not judged.",
     .example = "must: pass\n"},
    {.name = "should",
     .kind = SCHEMA_ENUM,
     .values = judge_values,
     .def_text = JUDGE_DEFAULT,
     .doc = "The audit's checks of level should.",
     .example = "should: report\n"},
    {.name = "exact",
     .kind = SCHEMA_ENUM,
     .values = judge_values,
     .def = "report",
     .doc = "Whether the files equal those of one undisturbed install of the final certificates.",
     .example = "exact: pass\n"},
    END};
static const struct schema_key log_keys[] = {
    {.name = "label",
     .kind = SCHEMA_ENUM,
     .values = label_values,
     .def = "any",
     .doc = "The label that the backend's streams must name, the other one being absent.",
     .example = "label: egress\n"},
    {.name = "fingerprint",
     .kind = SCHEMA_ENUM,
     .values = fingerprint_values,
     .def = "any",
     .doc = "How often the chosen certificate's SHA-256 fingerprint (upper-case hex, colons) "
            "stands in stdout and stderr together.",
     .example = "fingerprint: once\n"},
    {.name = "fatal",
     .kind = SCHEMA_ENUM,
     .values = fatal_values,
     .def = "any",
     .doc = "stderr must name the last call of this kind: the step, its exit status or signal, "
            "and its stdout and stderr, trimmed. The journal says what they were.",
     .example = "fatal: exec\n"},
    {.name = "contains",
     .kind = SCHEMA_LIST,
     .flags = SCHEMA_ONE_OK,
     .item = TEXT_ITEM("text"),
     .def_text = "none",
     .doc = "Texts that stdout and stderr together must hold.",
     .example = "contains: [openssl]\n"},
    END};
static const struct schema_key expect_keys[] = {
    {.name = "claim",
     .kind = SCHEMA_ENUM,
     .flags = SCHEMA_REQUIRED,
     .values = claim_values,
     .doc =
         "What the backend's exit status must say: success is 0, failure is anything else but "
         "77 and 99. A backend that dies by a signal has claimed nothing. either needs a reason.",
     .example = "claim: success\n"},
    {.name = "reason",
     .kind = SCHEMA_TEXT,
     .def_text = "none",
     .doc = "Why the claim may be either, or why a rule need not fire.",
     .example = "reason: where the kill lands is chance\n"},
    {.name = "exit",
     .kind = SCHEMA_INT,
     .max = 255,
     .def_text = "any that makes the claim",
     .doc = "The exact exit status.",
     .example = "exit: 2\n"},
    {.name = "calls",
     .kind = SCHEMA_MAP,
     .keys = calls_keys,
     .doc = "How often the backend calls its driver, in each of its runs. The runner's own calls "
            "never count.",
     .example = "calls: {cp: 1, exec: 2}\n"},
    {.name = "settle_ms",
     .kind = SCHEMA_MAP,
     .keys = settle_keys,
     .doc = "The time from the end of the first exec to the begin of the second, from the "
            "journal. Judged when there is a second one.",
     .example = "settle_ms: {min: 1000}\n"},
    {.name = "exec_status",
     .kind = SCHEMA_LIST,
     .item =
         &(const struct schema_key){
             .name = "status",
             .kind = SCHEMA_INT,
             .min = -64,
             .max = 255,
             .doc = "One exec's exit status; -S when signal S killed the client."},
     .def_text = "any",
     .doc = "How the execs ended, in order: exit statuses, -S when signal S killed the client.",
     .example = "exec_status: [137, 0]\n"},
    {.name = "store",
     .kind = SCHEMA_MAP,
     .keys = store_keys,
     .doc = "Which of the audit's levels must hold after the last run.",
     .example = "store: {must: pass, should: report}\n"},
    {.name = "log",
     .kind = SCHEMA_MAP,
     .keys = log_keys,
     .doc = "What the backend's own words must be.",
     .example = "log: {label: egress, fingerprint: once}\n"},
    {.name = "fired",
     .kind = SCHEMA_ENUM,
     .values = fired_values,
     .def = "all",
     .doc = "all: a rule that never fired makes the trial UNRESOLVED. any: it may, with a reason.",
     .example = "fired: any\n"},
    END};

static const struct schema_key matrix_values = {
    .name = "values",
    .kind = SCHEMA_LIST,
    .item = &(const struct schema_key){.name = "value", .kind = SCHEMA_ANY},
    .doc = "The values of one name."};

static const struct schema_key scenario_keys[] = {
    FORMAT,
    {.name = "id",
     .kind = SCHEMA_ID,
     .flags = SCHEMA_REQUIRED | SCHEMA_SLASH,
     .doc = "The scenario's name. It is unique and never changes: expectation lists and old "
            "results go by it.",
     .example = "id: kill/before-command\n"},
    {.name = "title",
     .kind = SCHEMA_TEXT,
     .flags = SCHEMA_REQUIRED,
     .doc = "One line that says what happens.",
     .example = "title: SIGKILL before the first command runs\n"},
    {.name = "level",
     .kind = SCHEMA_ENUM,
     .flags = SCHEMA_REQUIRED,
     .values = level_values,
     .doc = "How much it weighs: must, should or may hold.",
     .example = "level: must\n"},
    {.name = "refs",
     .kind = SCHEMA_LIST,
     .flags = SCHEMA_ONE_OK,
     .item = TEXT_ITEM("ref"),
     .def_text = "none",
     .doc = "Why it exists: requirements, issues.",
     .example = "refs: [E1]\n"},
    {.name = "tags",
     .kind = SCHEMA_LIST,
     .flags = SCHEMA_ONE_OK,
     .item = ID_ITEM("tag"),
     .def_text = "none",
     .doc = "Words to group scenarios by.",
     .example = "tags: [kill, retry]\n"},
    {.name = "needs",
     .kind = SCHEMA_LIST,
     .flags = SCHEMA_ONE_OK,
     .item = ENUM_ITEM("need", capability_values),
     .def_text = "none",
     .doc = "Capabilities without which a backend is UNSUPPORTED here. driver-signals and plan "
            "follow from the backend's file, the others are declared in it.",
     .example = "needs: [driver-signals]\n"},
    {.name = "driver",
     .kind = SCHEMA_LIST,
     .flags = SCHEMA_ONE_OK,
     .item = ENUM_ITEM("driver", driver_values),
     .def = "smolvm",
     .doc = "The command line that the backend drives; of several each is a trial.",
     .example = "driver: [smolvm, docker]\n"},
    {.name = "layout",
     .kind = SCHEMA_LIST,
     .flags = SCHEMA_ONE_OK,
     .item = ID_ITEM("layout"),
     .def = "bookworm",
     .doc = "The Debian tree of the guest; of several each is a trial.",
     .example = "layout: [bullseye, bookworm, trixie]\n"},
    {.name = "plan",
     .kind = SCHEMA_LIST,
     .flags = SCHEMA_ONE_OK | SCHEMA_VARS,
     .item = &plan_item,
     .def_text = "one plan with every default",
     .doc = "What the backend is told to install. A list of plans is as many runs of the backend, "
            "see machines.",
     .example = "plan: {routes: [api.example.com]}\n"},
    {.name = "machines",
     .kind = SCHEMA_ENUM,
     .values = machines_values,
     .def = "one",
     .doc = "With several plans: one plays them one after the other on one machine; each gives "
            "every plan a machine of its own and plays all at once.",
     .example = "plan: [{}, {egress: rotated}]\nmachines: each\n"},
    {.name = "guest",
     .kind = SCHEMA_LIST,
     .flags = SCHEMA_VARS,
     .item = &step_item,
     .def_text = "no steps",
     .doc = "What is done to the guest before the backend starts, in order. Each step is exactly "
            "one action. Nothing here counts as a call of the backend.",
     .example = "guest:\n  - provision: ca\n  - remove: /etc/ssl/certs/ca-certificates.crt\n"},
    {.name = "limits",
     .kind = SCHEMA_MAP,
     .flags = SCHEMA_VARS,
     .keys = limits_keys,
     .doc = "Time and space.",
     .example = "limits: {run_ms: 10000, disk: 8MiB}\n"},
    {.name = "matrix",
     .kind = SCHEMA_NAMED,
     .item = &matrix_values,
     .doc = "Names with lists of values. The scenario is played for each combination; ${name} in "
            "plan, guest, limits, faults and expect is replaced. A scalar that is nothing but "
            "${name} takes the value's type. Every name must be used.",
     .example = "matrix: {ms: [50, 100]}\nfaults: ['exec#1 at:ms=${ms}']\n"},
    {.name = "faults",
     .kind = SCHEMA_LIST,
     .flags = SCHEMA_ONE_OK | SCHEMA_VARS,
     .item = &(const struct schema_key){.name = "faults", .kind = SCHEMA_RULE},
     .def_text = "none",
     .doc = "What goes wrong: rules, [CALL[#N] ]WHERE[:KEY=VALUE]..., the first that matches "
            "wins. Calls are counted per machine.",
     .example = "faults:\n  - exec#1 begin\n  - cp#1 end:reply=lost\n"},
    {.name = "expect",
     .kind = SCHEMA_MAP,
     .flags = SCHEMA_REQUIRED | SCHEMA_VARS,
     .keys = expect_keys,
     .doc = "What must hold. Each part is a check with an id of its own.",
     .example = "expect:\n  claim: success\n  calls: {cp: 1, exec: 2}\n"},
    END};
const struct schema_key keys_scenario = {
    .name = "scenario",
    .kind = SCHEMA_MAP,
    .keys = scenario_keys,
    .doc = "A scenario: one thing that happens to a backend, and what must hold then."};

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
     .example = "match: prestate/stale-bundle-temp:store/should/no-temporaries\n"},
    {.name = "verdict",
     .kind = SCHEMA_ENUM,
     .flags = SCHEMA_REQUIRED,
     .values = expected_values,
     .doc = "xfail: it is played and must fail. skip: it is not played.",
     .example = "verdict: xfail\n"},
    {.name = "reason",
     .kind = SCHEMA_TEXT,
     .flags = SCHEMA_REQUIRED,
     .doc = "Why.",
     .example = "reason: the upstream script never removes temporaries\n"},
    {.name = "ref",
     .kind = SCHEMA_TEXT,
     .def_text = "none",
     .doc = "Where it is followed up.",
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
     .example = "expectations:\n  - match: kill/*\n    verdict: xfail\n    reason: no retry yet\n"},
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
