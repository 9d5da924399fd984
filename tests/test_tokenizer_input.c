/*
 * The tokenizer given vocabularies and prompts that are wrong: each refused with its place, none believed.
 */
#include "ref/tokenizer_text.h"
#include "small_tokenizer.h"
#include "support.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- Bad input ---------------------------------------------------------------------------- */

static const struct bad_file {
    const char *file, *content, *message[2];
} BAD_FILES[] = {
    {"vocab.json", NULL, {"vocab.json: cannot be read", ""}},
    {"vocab.json", "", {"vocab.json: ", "got an empty file"}},
    {"vocab.json", "[]", {"vocab.json: ", "expected an object"}},
    {"vocab.json", "{}", {"vocab.json: ", "expected 1 to"}},
    {"vocab.json", "{\"a\": 0, \"b\": 2}", {"\"b\": expected an id from 0 to 1", "got 2"}},
    {"vocab.json", "{\"a\": 0, \"b\": 0}", {"\"a\" and \"b\" both have the id 0", "hole"}},
    {"vocab.json", "{\"a\": 0, \"a\": 1}", {"\"a\" stands twice", ""}},
    {"vocab.json", "{\"a\": 0, \"b\": 0.5}", {"\"b\": expected an id", "got 0.5"}},
    {"vocab.json", "{\"a\": 0, \"b\": -1}", {"\"b\": expected an id", "got -1"}},
    {"vocab.json", "{\"a\": 0, \"b\": \"1\"}", {"\"b\": expected an id", "got \"1\""}},
    {"vocab.json", "{\"a\": 0, \"b\": 1e300}", {"\"b\": expected an id", "got 1e+300"}},
    {"vocab.json", "{\"a\": 0, \"b\": Infinity}", {"\"b\": expected an id", "got Infinity"}},
    {"vocab.json", "{\"a\": 0, \"b\": [1]}", {"\"b\": expected an id", "got [1]"}},
    {"merges.txt", NULL, {"merges.txt: cannot be read", ""}},
    {"merges.txt", "", {"merges.txt: ", "got an empty file"}},
    {"merges.txt", "a b\n", {"merges.txt: line 1: expected \"#version", ""}},
    {"merges.txt", "#version: 0.2\na b\na d\n",
        {"merges.txt: line 3: \"a d\"", "second piece is not in vocab"}},
    {"merges.txt", "#version: 0.2\nd a\n", {"merges.txt: line 2: \"d a\"", "first piece is not in vocab"}},
    {"merges.txt", "#version: 0.2\nb a\n", {"merges.txt: line 2: \"b a\"", "joined are not in vocab"}},
    {"merges.txt", "#version: 0.2\nab\n", {"merges.txt: line 2: expected two pieces", "got \"ab\""}},
    {"merges.txt", "#version: 0.2\na b c\n", {"merges.txt: line 2: expected two pieces", "got \"a b c\""}},
    {"merges.txt", "#version: 0.2\na \n\nb c</w>", {"merges.txt: line 2: expected two", "got \"a \""}},
    {"merges.txt", "#version: 0.2\n\na b\n", {"merges.txt: line 2: expected two pieces", "got \"\""}},
    {"merges.txt", "#version: 0.2\na b\na b\n", {"merges.txt: line 3: \"a b\" stands on line 2", ""}},
    {"special_tokens_map.json", "[", {"special_tokens_map.json: ", "not valid JSON"}},
    {"special_tokens_map.json", "3", {"special_tokens_map.json: expected an object", ""}},
    {"special_tokens_map.json", "{\"bos_token\": 3}", {"map.json: bos_token: expected a token", "got 3"}},
    {"special_tokens_map.json", "{\"bos_token\": \"\"}",
        {"map.json: bos_token: expected a token", "got \"\""}},
    {"special_tokens_map.json", "{\"eos_token\": {\"content\": 1}}",
        {"eos_token: content: expected a string", ""}},
    {"special_tokens_map.json", "{\"bos_token\": {\"content\": \"<B>\", \"lstrip\": 1}}",
        {"bos_token: lstrip: expected true or false", "got 1"}},
    {"special_tokens_map.json", "{\"bos_token\": \"<B>\", \"eos_token\": \"<E>\", \"unk_token\": \"<U>\"}",
        {"vocab.json: the unk_token \"<U>\" is missing", ""}},
    {"special_tokens_map.json", "{}", {"vocab.json: the bos_token \"<|startoftext|>\" is missing", ""}},
    {"special_tokens_map.json",
        "{\"bos_token\": \"<B>\", \"eos_token\": \"<E>\", \"unk_token\": \"<E>\", \"pad_token\": \"!\", "
        "\"additional_special_tokens\": [\"a\", \"<q>\"]}",
        {"vocab.json: the additional_special_tokens \"<q>\" is missing", ""}},
    {"special_tokens_map.json", "{\"additional_special_tokens\": {}}",
        {"additional_special_tokens: expected a list", ""}},
    {"special_tokens_map.json", "{\"additional_special_tokens\": [\"a\", 7]}",
        {"additional_special_tokens[1]: expected a token", "got 7"}},
    {"tokenizer_config.json", "[]", {"tokenizer_config.json: expected an object", ""}},
    {"tokenizer_config.json", "{\"model_max_length\": \"77\"}",
        {"model_max_length: expected an integer", "\"77\""}},
    {"tokenizer_config.json", "{\"model_max_length\": 1e30}", {"model_max_length: expected an integer", ""}},
    {"tokenizer_config.json", "{\"model_max_length\": 1}",
        {"model_max_length: expected an integer", "got 1"}},
    {"tokenizer_config.json", "{\"do_lower_case\": false}", {"do_lower_case: false is not implemented", ""}},
    {"tokenizer_config.json", "{\"do_lower_case\": 1}", {"do_lower_case: expected true or false", ""}},
    {"tokenizer_config.json", "{\"add_prefix_space\": true}",
        {"add_prefix_space: true is not implemented", ""}},
    {"tokenizer_config.json", "{\"padding_side\": \"left\"}",
        {"padding_side: \"left\" is not implemented", ""}},
    {"tokenizer_config.json", "{\"tokenizer_class\": \"T5Tokenizer\"}",
        {"tokenizer_class: \"T5Tokenizer\" is not implemented", ""}},
    {"tokenizer_config.json", "{\"extra_special_tokens\": {\"x\": \"y\"}}",
        {"extra_special_tokens: not implemented", ""}},
    {"tokenizer_config.json", "{\"added_tokens_decoder\": []}",
        {"added_tokens_decoder: expected an object", ""}},
    {"tokenizer_config.json", "{\"added_tokens_decoder\": {\"x\": {}}}",
        {"added_tokens_decoder: expected ids as keys", "\"x\""}},
    {"tokenizer_config.json", "{\"added_tokens_decoder\": {\"10\": {}}}",
        {"added_tokens_decoder: \"10\": expected a token", ""}},
    {"tokenizer_config.json",
        "{\"bos_token\": \"<B>\", \"eos_token\": \"<E>\", \"unk_token\": \"<E>\", \"pad_token\": \"!\", "
        "\"added_tokens_decoder\": {\"9\": {\"content\": \"<B>\"}}}",
        {"\"<B>\" has the id 10, but among the added tokens 9", ""}},
    {"added_tokens.json", "[]", {"added_tokens.json: expected an object", ""}},
    {"added_tokens.json", "{\"<n>\": \"13\"}", {"added_tokens.json: \"<n>\": expected an id", "got \"13\""}},
    {"added_tokens.json", "{\"<n>\": 14}", {"\"<n>\" has the id 14", "must have the ids 13 to 13"}},
    {"added_tokens.json", "{\"<n>\": 13, \"<m>\": 13}", {"\"<m>\" has the id 13", "13 to 14, each once"}},
};

START_TEST(bad_files)
{
    const struct bad_file *bad = &BAD_FILES[_i];
    char *folder = small_folder();
    if (bad->content)
        write_text(folder, bad->file, bad->content);
    else
        ck_assert_int_eq(unlink(path_in(folder, "%s", bad->file)), 0);

    struct tokenizer *tokenizer = NULL;
    struct error error = {""};
    enum status status = tokenizer_open(folder, &tokenizer, &error);
    ck_assert_msg(status == STATUS_BAD_INPUT, "%s with %s was accepted", bad->file, bad->content);
    ck_assert_ptr_null(tokenizer);
    ck_assert_msg(strncmp(error.message, folder, strlen(folder)) == 0 &&
                      strstr(error.message, bad->message[0]) && strstr(error.message, bad->message[1]),
        "%s with %s: \"%s\"", bad->file, bad->content, error.message);
    remove_folder(folder);
}
END_TEST

START_TEST(bad_prompts)
{
    static const struct {
        const char *prompt, *message;
    } cases[] = {
        {"a\xFFz", "prompt: expected UTF-8 text, got the byte 0xFF at offset 1"},
        {"\x80", "0x80 at offset 0"},             /* a continuation byte alone */
        {"ab\xC3", "0xC3 at offset 2"},           /* cut short */
        {"\xC0\xAF", "0xC0 at offset 0"},         /* overlong "/" */
        {"\xED\xA0\x80", "0xED at offset 0"},     /* a surrogate */
        {"\xF4\x90\x80\x80", "0xF4 at offset 0"}, /* above U+10FFFF */
        {"!\xE2\x28\xA1", "0xE2 at offset 1"},
    };
    char *folder = small_folder();
    struct tokenizer *tokenizer = open_tokenizer(folder);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error error = {""};
        int64_t ids[8];
        ck_assert_int_eq(tokenizer_encode(tokenizer, cases[i].prompt, ids, NULL, &error), STATUS_BAD_INPUT);
        ck_assert_msg(strstr(error.message, cases[i].message), "%s", error.message);
    }
    tokenizer_free(tokenizer);
    remove_folder(folder);
}
END_TEST

/* --- Random input ------------------------------------------------------------------------- */

/* Writes `bytes` with a few changed, or with a piece cut out or doubled, or cut off. */
static void write_mutated(
    const char *folder, const char *name, const unsigned char *bytes, size_t length, uint64_t *state)
{
    static const char digits[] = "0123456789\"{}[]:, \n\r\\</w>\xC4\xFF";
    char *copy = malloc(2 * length);
    memcpy(copy, bytes, length);
    uint64_t kind = random_next(state) % 4;
    size_t at = random_next(state) % length, run = random_next(state) % (length - at);
    if (kind == 0) length = at;
    if (kind == 1) memmove(copy + at, copy + at + run, length - at - run), length -= run;
    if (kind == 2) memmove(copy + at + run, copy + at, length - at), length += run;
    if (kind == 3)
        for (int i = 0; i < 3; i++)
            copy[random_next(state) % length] = digits[random_next(state) % (sizeof digits - 1)];
    write_bytes(path_in(folder, "%s", name), copy, length);
    free(copy);
}

/* A prompt of random bytes, of random characters, or of pieces that mean something. */
static size_t random_prompt(char *out, uint64_t *state)
{
    static const char *const parts[] = {"a ", "photo", "<|endoftext|>", "!", "'S", "e\u0301", "\u0323", "猫",
        "İ", "\u3000", "<|End", "\u200D", "12", "\xC3", "</w>", "\U0001F408"};
    size_t length = 0, pieces = random_next(state) % 40;
    uint64_t kind = random_next(state) % 3;
    for (size_t i = 0; i < pieces; i++) {
        if (kind == 0) {
            out[length++] = (char)(1 + random_next(state) % 255);
        } else if (kind == 1) { /* any code point of three bytes, surrogates among them */
            uint64_t c = 0x800 + random_next(state) % 0xF800;
            out[length++] = (char)(0xE0 | c >> 12);
            out[length++] = (char)(0x80 | (c >> 6 & 0x3F));
            out[length++] = (char)(0x80 | (c & 0x3F));
        } else {
            const char *part = parts[random_next(state) % (sizeof parts / sizeof *parts)];
            memcpy(out + length, part, strlen(part));
            length += strlen(part);
        }
    }
    out[length] = '\0';
    return length;
}

/* Whatever is accepted gives ids that exist, begin and end in place; whatever is not says why. */
static void try_prompt(const struct tokenizer *tokenizer, const char *prompt)
{
    struct error error = {""}, ignored;
    int64_t ids[77];
    enum status status = tokenizer_encode(tokenizer, prompt, ids, NULL, &error);
    bool valid = text_check(prompt, strlen(prompt), &ignored) == STATUS_OK;
    ck_assert_int_eq(status, valid ? STATUS_OK : STATUS_BAD_INPUT);
    ck_assert((error.message[0] == '\0') == valid);
    for (size_t i = 0; valid && i < tokenizer_length(tokenizer); i++)
        ck_assert(ids[i] >= 0 && ids[i] < tokenizer_vocabulary_size(tokenizer));
}

START_TEST(random_files_and_prompts)
{
    static const char *const names[] = {
        "vocab.json", "merges.txt", "special_tokens_map.json", "tokenizer_config.json"};
    uint64_t state = 2487854446u + (uint64_t)_i;
    unsigned char *bytes[4];
    char *folder = temporary_folder(), prompt[1024];
    size_t lengths[4], opened = 0;
    for (size_t i = 0; i < 4; i++) {
        bytes[i] = read_bytes(golden_path("models/tiny-sdxl/tokenizer_2/%s", names[i]), &lengths[i]);
        write_bytes(path_in(folder, "%s", names[i]), bytes[i], lengths[i]);
    }
    for (int round = 0; round < 120; round++) {
        size_t file = (size_t)round % 4;
        write_mutated(folder, names[file], bytes[file], lengths[file], &state);
        struct tokenizer *tokenizer = NULL;
        struct error error = {""};
        enum status status = tokenizer_open(folder, &tokenizer, &error);
        if (status == STATUS_OK) {
            opened++;
            for (int i = 0; i < 20; i++) {
                random_prompt(prompt, &state);
                if (tokenizer_length(tokenizer) <= 77) try_prompt(tokenizer, prompt);
            }
        } else {
            ck_assert_int_eq(status, STATUS_BAD_INPUT);
            ck_assert_msg(strstr(error.message, folder), "%s", error.message);
        }
        tokenizer_free(tokenizer);
        write_bytes(path_in(folder, "%s", names[file]), bytes[file], lengths[file]);
    }
    ck_assert_msg(opened > 0 && opened < 120, "%zu of 120 mutations were accepted", opened);
    struct tokenizer *tokenizer = open_tokenizer(folder);
    for (int i = 0; i < 3000; i++) {
        random_prompt(prompt, &state);
        try_prompt(tokenizer, prompt);
    }
    tokenizer_free(tokenizer);
    remove_folder(folder);
    for (size_t i = 0; i < 4; i++) free(bytes[i]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tokenizer input");
    TCase *cases = tcase_create("tokenizer input");
    tcase_set_timeout(cases, 60);
    tcase_add_loop_test(cases, bad_files, 0, sizeof BAD_FILES / sizeof *BAD_FILES);
    tcase_add_test(cases, bad_prompts);
    tcase_add_loop_test(cases, random_files_and_prompts, 0, 4);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
