/*
 * Added tokens: pieces of text that become one id as they stand, beside the vocabulary's merges. The special
 * tokens (begin, end, unknown, padding ...) are such; textual inversions add more.
 *
 * They come from tokenizer_config.json ("added_tokens_decoder", which then defines them all) or, in older
 * folders, from special_tokens_map.json, then tokenizer_config.json, then added_tokens.json. A special token
 * given as a plain string is looked for before normalisation, as it stands, when it is the padding or an
 * additional token; the begin, end and unknown tokens are looked for in the normalised text (so
 * "<|EndOfText|>" is one too). One that is an object says so itself: "normalized".
 */
#ifndef REF_TOKENIZER_ADDED_H
#define REF_TOKENIZER_ADDED_H

#include "sched/json.h"
#include "tokenizer_vocabulary.h"

struct added_token {
    const char *content;
    const char *role; /* "bos_token"; "added token" for one without a role */
    char *pattern;    /* what is looked for: the content, normalised where `normalized` is set */
    size_t pattern_length;
    int64_t id; /* -1 until it is known */
    bool normalized, special;
    bool single_word;    /* not beside a letter or digit */
    bool lstrip, rstrip; /* takes the white space on its left or right with it */
};

struct added_tokens {
    struct added_token *items;
    size_t count;
    bool first_bytes[2][256];   /* [normalized][byte]: whether a pattern starts with the byte */
    int64_t bos, eos, unk, pad; /* ids */
    int64_t id_end;             /* one past the largest id, those of the vocabulary included */
};

/* Reads the three files of `folder`, each of which may be missing, with the already read
 * tokenizer_config.json
 * (`config`, NULL where there is none). Every token must be in the vocabulary, or follow it without a gap. */
enum status added_tokens_open(const char *folder, const cJSON *config, const struct vocabulary *vocabulary,
    struct added_tokens *added, struct error *error);
void added_tokens_close(struct added_tokens *added); /* accepts one that is all zero */

/* The text of an id, NULL where no added token has it. */
const char *added_tokens_text(const struct added_tokens *added, int64_t id);

/* An occurrence of a token: text[start .. end), with the white space that it takes along. */
struct added_match {
    size_t start, end;
    int64_t id;
    size_t resume; /* where to look for the next one */
};

/* The next occurrence in text[0 .. length) at or after `from`: the leftmost, the longest of several there.
 * With `normalized`, of the tokens that are looked for in normalised text, otherwise of the others. `taken`
 * is where the previous occurrence ended: white space before it is not taken twice. False where there is
 * none. */
bool added_tokens_next(const struct added_tokens *added, bool normalized, const char *text, size_t length,
    size_t from, size_t taken, struct added_match *match);

#endif
