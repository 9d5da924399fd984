/*
 * The records of a zip archive (PKWARE, APPNOTE.TXT; sections in brackets), as far as .npz needs them.
 */
#ifndef REF_ZIP_H
#define REF_ZIP_H

#include <stddef.h>
#include <stdint.h>

enum {
    LOCAL_HEADER = 0x04034b50,   /* [4.3.7] */
    CENTRAL_HEADER = 0x02014b50, /* [4.3.12] */
    END_RECORD = 0x06054b50,     /* [4.3.16] */
    END_RECORD64 = 0x06064b50,   /* [4.3.14] */
    END_LOCATOR64 = 0x07064b50,  /* [4.3.15] */
    LOCAL_SIZE = 30,
    CENTRAL_SIZE = 46,
    END_SIZE = 22,
    END_SIZE64 = 56,
    LOCATOR_SIZE64 = 20,
    STORED = 0,
    DEFLATED = 8,
    FLAG_ENCRYPTED = 1,
    FLAG_UTF8 = 1 << 11,
};

struct zip_entry {
    const char *name; /* in the central directory, not terminated */
    size_t name_length;
    unsigned flags, method;
    uint32_t crc;
    uint64_t compressed, size, local; /* bytes, bytes, offset of the local header */
    uint64_t end;                     /* of the data */
};

#endif
