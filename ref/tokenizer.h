/*
 * CLIP's byte-pair tokenizer from a checkpoint's `tokenizer/` folder: vocab.json, merges.txt,
 * special_tokens_map.json, tokenizer_config.json, added_tokens.json; only the first two are required. Behaves
 * as the fast tokenizer does: NFC, lower case character by character, the pattern
 * 's|'t|'re|'ve|'m|'ll|'d|letters|one digit|other, and special tokens (the pad token too) taken out of the
 * text first.
 */
#ifndef REF_TOKENIZER_H
#define REF_TOKENIZER_H

#include "sched/error.h"

#include <stddef.h>
#include <stdint.h>

struct tokenizer;

/* `folder` is the tokenizer's own folder. */
enum status tokenizer_open(const char *folder, struct tokenizer **out, struct error *error);
void tokenizer_free(struct tokenizer *tokenizer); /* accepts NULL */

/* How many ids encode() gives: model_max_length, 77. */
size_t tokenizer_length(const struct tokenizer *tokenizer);
/* Ids below this number exist. */
int64_t tokenizer_vocabulary_size(const struct tokenizer *tokenizer);

/* bos, tokens, eos, pads: ids[tokenizer_length()]. A prompt that is too long keeps its first tokens and the
 * eos; a warning quotes the text that was cut, as its tokens spell it (in lower case). `prompt` is UTF-8;
 * bytes that are not are an error. */
enum status tokenizer_encode(const struct tokenizer *tokenizer, const char *prompt, int64_t *ids,
    struct warnings *warnings, struct error *error);

/* All the ids with bos and eos, neither padded nor cut; `*ids` is allocated. */
enum status tokenizer_encode_all(
    const struct tokenizer *tokenizer, const char *prompt, int64_t **ids, size_t *count, struct error *error);

#endif
