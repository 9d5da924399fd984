/*
 * The tokenizer against the recorded cases, and against what the fast tokenizer's rules say where the
 * recorded (slow) one differs; its options, long prompts, and byte pairs by their definition.
 */
#include "ref/tokenizer.h"
#include "ref/tokenizer_bpe.h"
#include "ref/tokenizer_text.h"
#include "small_tokenizer.h"
#include "support.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- The recorded cases ------------------------------------------------------------------- */

static void compare_ids(const cJSON *recorded, const int64_t *ids, size_t count, const char *text)
{
    ck_assert_msg((size_t)cJSON_GetArraySize(recorded) == count, "\"%s\": expected %d ids, got %zu", text,
        cJSON_GetArraySize(recorded), count);
    size_t i = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, recorded)
    {
        ck_assert_msg(item->valuedouble == (double)ids[i], "\"%s\": id %zu: expected %g, got %" PRId64, text,
            i, item->valuedouble, ids[i]);
        i++;
    }
}

static void check_case(const struct tokenizer *tokenizer, const cJSON *item, const char *name)
{
    const char *text = cJSON_GetObjectItem(item, "text")->valuestring;
    char padded[32];
    snprintf(padded, sizeof padded, "%s_77", name);
    struct error error = {""};
    int64_t *ids = NULL, ids77[77];
    size_t count = 0;
    ck_assert_msg(
        tokenizer_encode_all(tokenizer, text, &ids, &count, &error) == STATUS_OK, "%s", error.message);
    compare_ids(cJSON_GetObjectItem(item, name), ids, count, text);
    free(ids);

    struct warnings warnings = {0};
    ck_assert_uint_eq(tokenizer_length(tokenizer), 77);
    ck_assert_int_eq(tokenizer_encode(tokenizer, text, ids77, &warnings, &error), STATUS_OK);
    compare_ids(cJSON_GetObjectItem(item, padded), ids77, 77, text);
    ck_assert_msg(
        warnings.count == (count > 77), "\"%s\": %zu ids and %zu warnings", text, count, warnings.count);
    warnings_free(&warnings);
}

START_TEST(recorded_cases)
{
    static const char *const names[] = {"tokenizer", "tokenizer_2"};
    const char *name = names[_i];
    struct tokenizer *tokenizer = open_tokenizer(golden_path("models/tiny-sdxl/%s", name));
    ck_assert_int_eq(tokenizer_vocabulary_size(tokenizer), 1214);
    cJSON *json = golden_json("models/tokenizer_cases.json");
    int compared = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(json, "cases"))
    {
        if (!cJSON_IsTrue(cJSON_GetObjectItem(item, "fast_expected_equal"))) continue;
        check_case(tokenizer, item, name);
        compared++;
    }
    ck_assert_int_ge(compared, 32);
    cJSON_Delete(json);
    tokenizer_free(tokenizer);
}
END_TEST

/* --- The prompts of the recorded pipelines ------------------------------------------------ */

/* The ids of one prompt of a trace; `text` NULL is an absent prompt, which Stable Diffusion takes for "". */
static int check_trace_ids(
    const struct tensor_set *set, const char *model, size_t encoder, const char *sign, const char *text)
{
    static const char *const encoders[] = {"text_encoder", "text_encoder_2"};
    static const char *const tokenizers[] = {"tokenizer", "tokenizer_2"};
    char name[64];
    snprintf(name, sizeof name, "%sinput_ids.%s", sign, encoders[encoder]);
    const struct tensor *recorded = tensor_set_find(set, name);
    if (!recorded) return 0;
    struct tokenizer *tokenizer = open_tokenizer(golden_path("models/%s/%s", model, tokenizers[encoder]));
    struct error error = {""};
    int64_t ids[77];
    ck_assert_int_eq(tokenizer_encode(tokenizer, text ? text : "", ids, NULL, &error), STATUS_OK);
    ck_assert_uint_eq(tensor_count(recorded), 77);
    for (size_t i = 0; i < 77; i++)
        ck_assert_msg(tensor_get_int(recorded, i) == ids[i],
            "%s: \"%s\": id %zu: expected %" PRId64 ", got %" PRId64, name, text, i,
            tensor_get_int(recorded, i), ids[i]);
    tokenizer_free(tokenizer);
    return 1;
}

START_TEST(recorded_prompts)
{
    static const char *const traces[] = {"sd-ddim5", "sd-pndm6", "sd21v-ddim6-leading", "sdxl-ays10-sde",
        "sdxl-batch2-nonsquare", "sdxl-euler-sigmas", "shapes-ays10-sde", "shapes-sde-karras20"};
    struct tensor_set *set = golden_tensors("models/traces/%s.safetensors", traces[_i]);
    struct error error = {""};
    cJSON *info = NULL;
    const char *text = tensor_set_metadata(set, "info");
    ck_assert_int_eq(json_parse(text, strlen(text), "info", &info, &error), STATUS_OK);
    const char *model = cJSON_GetObjectItem(info, "model")->valuestring;
    const cJSON *call = cJSON_GetObjectItem(info, "call");
    int compared = 0;
    for (int negative = 0; negative < 2; negative++) {
        const char *key = negative ? "negative_prompt" : "prompt", *sign = negative ? "negative_" : "";
        const char *key_2 = negative ? "negative_prompt_2" : "prompt_2";
        const char *prompt = cJSON_GetStringValue(cJSON_GetObjectItem(call, key));
        const char *prompt_2 = cJSON_GetStringValue(cJSON_GetObjectItem(call, key_2));
        compared += check_trace_ids(set, model, 0, sign, prompt);
        compared += check_trace_ids(set, model, 1, sign, prompt_2 ? prompt_2 : prompt);
    }
    ck_assert_int_ge(compared, 2);
    cJSON_Delete(info);
    tensor_set_free(set);
}
END_TEST

/* --- Where fast and slow differ ----------------------------------------------------------- */

/* What the rules give, piece by piece, for the texts whose recorded ids are the slow tokenizer's, and for
 * more; the tokenizers library itself (a 0.2x release), given the same vocabulary, agrees on each of them. A
 * byte stands as its symbol: 0xE4 as U+00E4, 0x80 as U+0122, and so on. */
static const struct expectation {
    const char *text, *pieces;
} EXPECTATIONS[] = {
    /* Ideographs are letters: a run is one word, and only its last byte ends a word. */
    {"一只猫", "ä ¸ Ģ å ı ª ç Į «</w>"},
    {"東京 tower と neko", "æ Ŀ ± ä º ¬</w> t o w er</w> ã ģ ¨</w> n e k o</w>"},
    /* U+200B, a format character, is neither space, letter nor digit: a word of its own. */
    {"a\u200bb", "a</w> â Ģ ĭ</w> b</w>"},
    /* Lower case is taken character by character: no final sigma. */
    {"ΟΔΟΣ", "Î ¿ Î ´ Î ¿ Ï ĥ</w>"},
    /* Control characters stay: neither space, letter nor digit. */
    {"tab\abell", "ta b</w> ć</w> be ll</w>"},
    /* Letter numbers and fractions are numbers, one a word; so are digits of other scripts. */
    {"ⅧⅧ", "â ħ ·</w> â ħ ·</w>"},
    /* The whole lower case of U+0130 is "i" and U+0307, which is no letter. */
    {"İ", "i</w> Ì ĩ</w>"},
    /* NFC: marks are put in order (U+0323 below before U+0301 above) and composed, here to U+1EB9 U+0301
     * ... */
    {"e\u0301\u0323", "á º ¹</w> Ì ģ</w>"},
    /* ... a singleton (U+212B, the Angstrom sign) goes to U+00C5, and to lower case ... */
    {"\u212b", "Ã ¥</w>"},
    /* ... and what must not be composed stays apart: U+0958 is U+0915 U+093C. */
    {"\u0958", "à ¤ ķ</w> à ¤ ¼</w>"},
    /* Only the ASCII apostrophe makes contractions, after lower case; "'s" wins over the run of others. */
    {"'S", "'s</w>"},
    {"''s", "' '</w> s</w>"},
    {"\u2019s", "â Ģ Ļ</w> s</w>"},
    /* White space is Unicode's; U+180E and U+001F are none. */
    {"a\u2028\xC2\x85\u205Fb", "a</w> b</w>"},
    {"a\037b", "a</w> ğ</w> b</w>"},
    /* The begin, end and unknown tokens are looked for after lower case, in the middle of words too. */
    {"a<|EndOfText|>b", "a</w> <|endoftext|> b</w>"},
    {"<|startoftext", "< |</w> st ar t o f t ext</w>"},
};

/* The id that vocab.json gives a piece. */
static int64_t piece_id(const cJSON *vocab, const char *piece)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(vocab, piece);
    ck_assert_msg(item != NULL, "no piece %s", piece);
    return (int64_t)item->valuedouble;
}

/* Compares the ids between begin and end with those of the pieces in `expected`, separated by spaces. */
static void check_pieces(
    const struct tokenizer *tokenizer, const cJSON *vocab, const char *text, const char *expected)
{
    struct error error = {""};
    int64_t *ids = NULL;
    size_t count = 0, at = 1;
    ck_assert_msg(
        tokenizer_encode_all(tokenizer, text, &ids, &count, &error) == STATUS_OK, "%s", error.message);
    char *pieces = strdup(expected), *rest = NULL;
    for (char *piece = strtok_r(pieces, " ", &rest); piece; piece = strtok_r(NULL, " ", &rest)) {
        ck_assert_msg(at + 1 < count, "\"%s\": no id for %s and what follows", text, piece);
        ck_assert_msg(ids[at] == piece_id(vocab, piece),
            "\"%s\": id %zu: expected %s (%" PRId64 "), got %" PRId64, text, at, piece,
            piece_id(vocab, piece), ids[at]);
        at++;
    }
    ck_assert_msg(at + 1 == count, "\"%s\": expected %zu pieces, got %zu", text, at - 1, count - 2);
    free(pieces);
    free(ids);
}

START_TEST(fast_rules)
{
    cJSON *vocab = golden_json("models/tiny-sd/tokenizer/vocab.json");
    struct tokenizer *tokenizer = open_tokenizer(golden_path("models/tiny-sd/tokenizer"));
    for (size_t i = 0; i < sizeof EXPECTATIONS / sizeof *EXPECTATIONS; i++)
        check_pieces(tokenizer, vocab, EXPECTATIONS[i].text, EXPECTATIONS[i].pieces);
    tokenizer_free(tokenizer);
    cJSON_Delete(vocab);
}
END_TEST

/* --- A small vocabulary ------------------------------------------------------------------- */

/* The ids of a text with begin and end, as "10 8 11". */
static void check_ids(const char *folder, const char *text, const char *expected)
{
    struct tokenizer *tokenizer = open_tokenizer(folder);
    struct error error = {""};
    int64_t *ids = NULL;
    size_t count = 0, used = 0;
    ck_assert_msg(
        tokenizer_encode_all(tokenizer, text, &ids, &count, &error) == STATUS_OK, "%s", error.message);
    char got[512] = "";
    for (size_t i = 0; i < count && used < sizeof got - 24; i++)
        used += (size_t)snprintf(got + used, sizeof got - used, "%s%" PRId64, i ? " " : "", ids[i]);
    ck_assert_msg(strcmp(got, expected) == 0, "\"%s\": expected %s, got %s", text, expected, got);
    free(ids);
    tokenizer_free(tokenizer);
}

START_TEST(small_vocabulary)
{
    char *folder = small_folder();
    check_ids(folder, "abc", "10 8 11");      /* b c</w>, then a bc</w> */
    check_ids(folder, "ABab", "10 6 0 4 11"); /* a b; the last b is "b</w>" */
    check_ids(folder, "xa", "10 11 3 11");    /* no symbol for x: the unknown token, here the end */
    check_ids(folder, "a!b <e>", "10 3 12 4 11 11");

    /* Line ends of another system, no end of line at the end, a longer header, as some copies have it. */
    write_text(
        folder, "merges.txt", "\"bpe_simple_vocab_16e6.txt#version: 0.2\r\nb c</w>\r\na b\r\na bc</w>");
    check_ids(folder, "abc", "10 8 11");
    /* Nothing to merge. */
    write_text(folder, "merges.txt", "#version: 0.2\n");
    check_ids(folder, "abc", "10 0 1 5 11");

    /* Only vocab.json and merges.txt are required, if the vocabulary has the class's default tokens. */
    write_text(
        folder, "vocab.json", "{\"a\": 0, \"a</w>\": 1, \"<|startoftext|>\": 2, \"<|endoftext|>\": 3}");
    ck_assert_int_eq(unlink(path_in(folder, "special_tokens_map.json")), 0);
    ck_assert_int_eq(unlink(path_in(folder, "tokenizer_config.json")), 0);
    check_ids(folder, "aa", "2 0 1 3");
    struct tokenizer *tokenizer = open_tokenizer(folder);
    ck_assert_uint_eq(tokenizer_length(tokenizer), 77);
    tokenizer_free(tokenizer);
    remove_folder(folder);
}
END_TEST

/* The flags of added tokens, given in each of the three ways. */
START_TEST(added_tokens)
{
    char *folder = small_folder();
    write_text(folder, "special_tokens_map.json",
        "{\"bos_token\": \"<B>\", \"eos_token\": {\"content\": \"<E>\", \"normalized\": false}, "
        "\"unk_token\": \"<E>\", \"pad_token\": \"!\", \"additional_special_tokens\": ["
        "{\"content\": \"<L>\", \"lstrip\": true, \"rstrip\": true, \"normalized\": false}, "
        "{\"content\": \"ca\", \"single_word\": true, \"normalized\": true}, \"<L\"]}");
    write_text(folder, "added_tokens.json", "{\"<L>\": 13, \"ca\": 14, \"<L\": 15, \"Cat\": 16}");
    check_ids(folder, "<E><b>", "10 11 10 11"); /* <B>, a string, is looked for in lower case, <E> is not */
    check_ids(folder, "a <L> a", "10 3 13 3 11");
    check_ids(folder, "a <L a", "10 3 15 3 11"); /* the longest wins, else the shorter */
    check_ids(folder, "a CA b", "10 3 14 4 11"); /* in lower case, alone */
    check_ids(folder, "aCA b", "10 0 2 3 4 11"); /* not in a word */
    check_ids(folder, "cat", "10 16 11");        /* an ordinary added token is normalised itself */
    struct tokenizer *tokenizer = open_tokenizer(folder);
    ck_assert_int_eq(tokenizer_vocabulary_size(tokenizer), 17);
    tokenizer_free(tokenizer);

    /* Newer folders define all tokens in tokenizer_config.json; special_tokens_map.json is not asked then. */
    write_text(folder, "special_tokens_map.json", "{\"pad_token\": \"nowhere\"}");
    write_text(folder, "tokenizer_config.json",
        "{\"model_max_length\": 6, \"bos_token\": \"<B>\", \"eos_token\": \"<E>\", \"unk_token\": \"<E>\", "
        "\"pad_token\": \"!\", \"added_tokens_decoder\": {"
        "\"10\": {\"content\": \"<B>\", \"normalized\": false, \"special\": true}, "
        "\"11\": {\"content\": \"<E>\", \"normalized\": true, \"special\": true}, "
        "\"13\": {\"content\": \"<new>\", \"normalized\": false, \"special\": false}}}");
    check_ids(folder, "<e><NEW><new>!", "10 11 11 11 11 11 11 13 12 11");
    tokenizer = open_tokenizer(folder);
    ck_assert_int_eq(tokenizer_vocabulary_size(tokenizer), 14);
    ck_assert_uint_eq(tokenizer_length(tokenizer), 6);
    tokenizer_free(tokenizer);
    remove_folder(folder);
}
END_TEST

START_TEST(cut_prompts)
{
    char *folder = small_folder();
    struct tokenizer *tokenizer = open_tokenizer(folder);
    struct warnings warnings = {0};
    struct error error = {""};
    int64_t ids[8];
    static const int64_t padded[8] = {10, 3, 4, 11, 12, 12, 12, 12}, full[8] = {10, 3, 3, 3, 3, 3, 3, 11};
    ck_assert_int_eq(tokenizer_encode(tokenizer, "a b", ids, &warnings, &error), STATUS_OK);
    ck_assert_mem_eq(ids, padded, sizeof ids);
    ck_assert_int_eq(tokenizer_encode(tokenizer, "a a a a a a", ids, &warnings, &error), STATUS_OK);
    ck_assert_mem_eq(ids, full, sizeof ids);
    ck_assert_uint_eq(warnings.count, 0); /* just fits */
    ck_assert_int_eq(tokenizer_encode(tokenizer, "a a a a a a abc B !", ids, &warnings, &error), STATUS_OK);
    ck_assert_mem_eq(ids, full, sizeof ids);
    ck_assert_uint_eq(warnings.count, 1);
    ck_assert_str_eq(warnings.items[0],
        "the prompt has 9 tokens, of which the text encoder takes the first 6; cut off: \"abc b !\"");
    warnings_free(&warnings);
    ck_assert_int_eq(tokenizer_encode(tokenizer, "a a a a a a a", ids, NULL, &error), STATUS_OK);
    tokenizer_free(tokenizer);
    remove_folder(folder);

    /* A cut inside a character, and more than a message holds: the message stays UTF-8 and says that it
     * ends. */
    tokenizer = open_tokenizer(golden_path("models/tiny-sd/tokenizer"));
    char text[3000] = "a";
    for (size_t i = 0; i < 900; i++) memcpy(text + 1 + i * strlen("猫"), "猫", strlen("猫"));
    int64_t ids77[77];
    ck_assert_int_eq(tokenizer_encode(tokenizer, text, ids77, &warnings, &error), STATUS_OK);
    ck_assert_uint_eq(warnings.count, 1);
    const char *message = warnings.items[0];
    ck_assert_int_eq(text_check(message, strlen(message), &error), STATUS_OK);
    ck_assert_msg(strstr(message, "\"\xEF\xBF\xBD猫猫猫") && strstr(message, " ...\""), "%s", message);
    warnings_free(&warnings);
    tokenizer_free(tokenizer);
}
END_TEST

/* A megabyte of each kind of text that a careless algorithm would be quadratic in; the limit on a test's time
 * is the check. */
START_TEST(long_prompts)
{
    static const struct {
        const char *part;
        size_t ids; /* of one part, where the prompt is made of many */
    } kinds[] = {{"a", 1}, {"\u0301\u0323", 4}, {"photo ", 1}, {"!", 1}, {"<|endoftext|>", 1}, {"<", 1}};
    const char *part = kinds[_i].part;
    size_t length = strlen(part), parts = 1000000 / length;
    char *text = malloc(parts * length + 1);
    for (size_t i = 0; i < parts; i++) memcpy(text + i * length, part, length);
    text[parts * length] = '\0';
    struct tokenizer *tokenizer = open_tokenizer(golden_path("models/tiny-sdxl/tokenizer_2"));
    struct error error = {""};
    int64_t *ids = NULL;
    size_t count = 0;
    ck_assert_int_eq(tokenizer_encode_all(tokenizer, text, &ids, &count, &error), STATUS_OK);
    ck_assert_uint_eq(count, parts * kinds[_i].ids + 2);
    free(ids);
    tokenizer_free(tokenizer);
    free(text);
}
END_TEST

/* Byte pairs against the definition, carried out as plainly as it reads: find the pair of neighbours of
 * smallest rank, the leftmost of them, join it, begin again. */
START_TEST(byte_pairs_by_definition)
{
    struct vocabulary vocabulary;
    struct error error = {""};
    const char *vocab_path = golden_path("models/tiny-sd/tokenizer/vocab.json");
    const char *merges_path = golden_path("models/tiny-sd/tokenizer/merges.txt");
    ck_assert_int_eq(vocabulary_open(vocab_path, merges_path, &vocabulary, &error), STATUS_OK);
    ck_assert_uint_eq(vocabulary.merge_count, 700);
    uint64_t state = 23;
    size_t joined = 0;
    for (int round = 0; round < 5000; round++) {
        static const char letters[] = "etaoinshrdlucm";
        char word[24];
        int32_t plain[24], ids[24];
        size_t length = 1 + random_next(&state) % sizeof word, n = length, count = 0;
        for (size_t i = 0; i < length; i++) word[i] = letters[random_next(&state) % (sizeof letters - 1)];
        for (size_t i = 0; i < n; i++)
            plain[i] = (i + 1 < n ? vocabulary.symbol : vocabulary.end_symbol)[(unsigned char)word[i]];
        for (;;) {
            const struct merge *best = NULL;
            size_t place = 0;
            for (size_t i = 0; i + 1 < n; i++) {
                const struct merge *merge = vocabulary_merge(&vocabulary, plain[i], plain[i + 1]);
                if (merge && (!best || merge->rank < best->rank)) best = merge, place = i;
            }
            if (!best) break;
            plain[place] = best->result;
            memmove(plain + place + 1, plain + place + 2, (n - place - 2) * sizeof *plain);
            n--;
        }
        ck_assert_int_eq(byte_pairs_encode(&vocabulary, word, length, -1, ids, &count, &error), STATUS_OK);
        ck_assert_msg(count == n && memcmp(ids, plain, n * sizeof *ids) == 0, "%.*s", (int)length, word);
        joined += length - n;
    }
    ck_assert_uint_gt(joined, 10000);
    vocabulary_close(&vocabulary);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tokenizer");
    TCase *cases = tcase_create("tokenizer");
    tcase_set_timeout(cases, 60);
    tcase_add_loop_test(cases, recorded_cases, 0, 2);
    tcase_add_loop_test(cases, recorded_prompts, 0, 8);
    tcase_add_test(cases, fast_rules);
    tcase_add_test(cases, small_vocabulary);
    tcase_add_test(cases, added_tokens);
    tcase_add_test(cases, cut_prompts);
    tcase_add_loop_test(cases, long_prompts, 0, 6);
    tcase_add_test(cases, byte_pairs_by_definition);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
