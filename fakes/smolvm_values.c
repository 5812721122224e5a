#include "smolvm_values.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *smolvm_number_parse(const char *text, int64_t max, int64_t *ret_number)
{
    const char *at = text + (*text == '+');
    int64_t number = 0;
    if (!*text)
        return "cannot parse integer from empty string";
    if (!*at)
        return "invalid digit found in string";
    for (; *at; at++) {
        if (*at < '0' || *at > '9')
            return "invalid digit found in string";
        if (number > (max - (*at - '0')) / 10)
            return "number too large to fit in target type";
        number = number * 10 + (*at - '0');
    }
    *ret_number = number;
    return NULL;
}

static const struct {
    const char *words;
    int64_t ns;
} units[] = {
    {" nanos nsec ns ", 1},
    {" micros usec us ", 1000},
    {" millis msec ms ", 1000000},
    {" seconds second secs sec s ", 1000000000},
    {" minutes minute mins min m ", 60 * 1000000000LL},
    {" hours hour hrs hr h ", 3600 * 1000000000LL},
    {" days day d ", 86400 * 1000000000LL},
    {" weeks week wks wk w ", 7 * 86400 * 1000000000LL},
};

static int64_t unit_ns(const char *word, size_t len)
{
    char padded[16];
    if (len + 3 > sizeof padded)
        return 0;
    snprintf(padded, sizeof padded, " %.*s ", (int)len, word);
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (strstr(units[i].words, padded))
            return units[i].ns;
    return 0;
}

int smolvm_duration_parse(const char *text, int64_t *ret_ms, struct err *err)
{
    int64_t total_ns = 0;
    const char *at = text + strspn(text, " ");
    if (!*at)
        return err_text(err, EINVAL, "value was empty");
    while (*at) {
        size_t digits = strspn(at, "0123456789");
        if (digits == 0)
            return err_text(err, EINVAL, "expected number at %zu", (size_t)(at - text));
        if (digits > 12)
            return err_text(err, EINVAL, "number is too large");
        int64_t number = strtoll(at, NULL, 10);
        at += digits + strspn(at + digits, " ");
        size_t len = strspn(at, "abcdefghijklmnopqrstuvwxyz");
        if (len == 0)
            return err_text(err, EINVAL, "time unit needed, for example %lldsec or %lldms",
                            (long long)number, (long long)number);
        int64_t unit = unit_ns(at, len), part_ns;
        if (unit == 0)
            return err_text(err, EINVAL, "unknown time unit \"%.*s\"", (int)len, at);
        if (__builtin_mul_overflow(number, unit, &part_ns) ||
            __builtin_add_overflow(total_ns, part_ns, &total_ns))
            return err_text(err, EINVAL, "number is too large");
        at += len + strspn(at + len, " ");
    }
    *ret_ms = total_ns / 1000000 + (total_ns % 1000000 != 0);
    return 0;
}

const char *smolvm_port_check(const char *value)
{
    const char *colon = strchr(value, ':');
    if (!colon)
        return "expected HOST:GUEST";
    CLEANUP(io_free) char *host = io_format("%.*s", (int)(colon - value), value);
    int64_t port = 0, guest = 0;
    const char *why = smolvm_number_parse(host, 65535, &port);
    if (!why)
        why = smolvm_number_parse(colon + 1, 65535, &guest);
    return why ? why : port && guest ? NULL : "a port is 1 to 65535";
}
