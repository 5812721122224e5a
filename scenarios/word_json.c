#include "word_json.h"

#include <errno.h>
#include <string.h>

json_t *word_json(const char *word)
{
    json_t *json = json_string(word);
    if (json)
        return json;
    CLEANUP(buf_release) struct buf text = BUF_INIT;
    for (const unsigned char *at = (const unsigned char *)word; *at; at++)
        buf_printf(&text, *at <= ' ' || *at >= 0x7f || *at == '%' ? "%%%02X" : "%c", *at);
    return json_pack("{s:s}", "bytes", buf_str(&text));
}

json_t *word_json_list(const char *const *words)
{
    json_t *list = json_array();
    for (; words && *words; words++)
        json_array_append_new(list, word_json(*words));
    return list;
}

int word_json_read(const json_t *json, struct buf *ret_word)
{
    const char *text = json_string_value(json);
    const char *bytes = json_string_value(json_object_get(json, "bytes"));
    size_t len = bytes ? strlen(bytes) : 0;
    if (text && strlen(text) == json_string_length(json))
        buf_add(ret_word, text);
    else if (!bytes || buf_add_decoded(ret_word, bytes, len) < len)
        return -EINVAL;
    return 0;
}
