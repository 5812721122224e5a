#include "report_text.h"

#include <ctype.h>
#include <jansson.h>
#include <string.h>

/* Bytes of a short text, from its start and its end. */
#define HEAD_MAX 100
#define TAIL_MAX 200
#define REPLACEMENT "\xef\xbf\xbd"

/* The length of the next character, and what stands for it; results are UTF-8, but are checked. */
static size_t next_character(const char *at, const char **ret_instead)
{
    const unsigned char *byte = (const unsigned char *)at;
    size_t len = byte[0] < 0x80   ? 1
                 : byte[0] < 0xc2 ? 0
                 : byte[0] < 0xe0 ? 2
                 : byte[0] < 0xf0 ? 3
                 : byte[0] < 0xf5 ? 4
                                  : 0;
    *ret_instead = NULL;
    for (size_t i = 1; i < len; i++)
        if ((byte[i] & 0xc0) != 0x80)
            len = 0;
    bool control = len == 1 && byte[0] < ' ' && byte[0] != '\n' && byte[0] != '\t';
    /* U+FFFE, U+FFFF, and what are halves of others, U+D800 to U+DFFF. */
    bool no_character = len == 3 && ((byte[0] == 0xef && byte[1] == 0xbf && byte[2] >= 0xbe) ||
                                     (byte[0] == 0xed && byte[1] >= 0xa0));
    if (len == 0 || control || byte[0] == 0x7f || no_character)
        *ret_instead = REPLACEMENT;
    return len ? len : 1;
}

void report_add_clean(struct buf *text, const char *words)
{
    const char *instead;
    for (size_t len; *words; words += len) {
        len = next_character(words, &instead);
        buf_append(text, instead ? instead : words, instead ? strlen(instead) : len);
    }
}

/* Where a character starts, at this byte or behind it. */
static size_t character_start(const struct buf *line, size_t at)
{
    while (at < line->len && ((unsigned char)line->data[at] & 0xc0) == 0x80)
        at++;
    return at;
}

void report_add_short(struct buf *text, const char *words, const char *folder)
{
    CLEANUP(buf_release) struct buf line = BUF_INIT;
    size_t folder_len = strlen(folder);
    for (; *words; words++)
        if (folder_len > 0 && strncmp(words, folder, folder_len) == 0) {
            buf_add(&line, "TRIAL");
            words += folder_len - 1;
        } else if (*words == '\n')
            buf_add(&line, words[1] ? "\\n" : "");
        else
            buf_append(&line, (unsigned char)*words < ' ' || *words == 0x7f ? "?" : words, 1);
    size_t head = line.len, tail = line.len;
    if (line.len > HEAD_MAX + TAIL_MAX) {
        head = character_start(&line, HEAD_MAX);
        tail = character_start(&line, line.len - TAIL_MAX);
    }
    buf_append(text, buf_str(&line), head);
    buf_printf(text, "%s%s", tail > head ? " … " : "", buf_str(&line) + tail);
}

void report_add_html(struct buf *text, const char *words)
{
    CLEANUP(buf_release) struct buf clean = BUF_INIT;
    report_add_clean(&clean, words);
    for (const char *at = buf_str(&clean); *at; at++)
        switch (*at) {
        case '&': buf_add(text, "&amp;"); break;
        case '<': buf_add(text, "&lt;"); break;
        case '>': buf_add(text, "&gt;"); break;
        case '"': buf_add(text, "&quot;"); break;
        case '\'': buf_add(text, "&#39;"); break;
        default: buf_append(text, at, 1);
        }
}

/* A character that is written as a reference is never markup. */
void report_add_markdown(struct buf *text, const char *words)
{
    CLEANUP(buf_release) struct buf clean = BUF_INIT;
    report_add_clean(&clean, words);
    for (const char *at = buf_str(&clean); *at; at++)
        if (*at == '\n' || *at == '\t')
            buf_add(text, " ");
        else if (ispunct((unsigned char)*at) && !strchr(",./-\"';=()?+", *at))
            buf_printf(text, "&#%d;", *at);
        else
            buf_append(text, at, 1);
}

static void add_command(struct buf *text, const char *words, const char *special)
{
    CLEANUP(buf_release) struct buf clean = BUF_INIT;
    report_add_clean(&clean, words);
    for (const char *at = buf_str(&clean); *at; at++)
        if (strchr(special, *at))
            buf_printf(text, "%%%02X", (unsigned)*at);
        else
            buf_append(text, at, 1);
}

void report_add_message(struct buf *text, const char *words)
{
    add_command(text, words, "%\n");
}

void report_add_property(struct buf *text, const char *words)
{
    add_command(text, words, "%\n:,");
}

static bool is_utf8(const char *word)
{
    json_t *json = json_string(word);
    json_decref(json);
    return json != NULL;
}

/* What reports cannot hold, as a shell makes it; of newlines at its end it keeps none. */
static void add_printed(struct buf *text, const char *word)
{
    buf_add(text, "\"$(printf '");
    for (const unsigned char *at = (const unsigned char *)word; *at; at++)
        buf_printf(text, *at < ' ' || *at >= 0x7f || strchr("\\%'", *at) ? "\\%03o" : "%c", *at);
    buf_add(text, "')\"");
}

void report_add_word(struct buf *text, const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "-_./:=@%+,";
    if (*word && word[strspn(word, plain)] == '\0')
        buf_add(text, word);
    else if (is_utf8(word))
        buf_add_quoted(text, word);
    else
        add_printed(text, word);
}
