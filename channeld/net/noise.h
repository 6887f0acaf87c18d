/* noise.h - the handshake and the framing of BOLT 8, without I/O.
 *
 * Noise_XK_secp256k1_ChaChaPoly_SHA256: the initiator knows the responder's node id beforehand; the responder
 * learns and verifies the initiator's in act three. Both static keys stay with their signer: this module only
 * asks for an ECDH. Source: BOLT 8 "Encrypted and Authenticated Transport"; acts, errors and the key rotation
 * are named as there, and its test vectors pass with the prologue "lightning".
 *
 * Plain values, no allocation, no globals: each object belongs to one thread at a time. sodium_init() must have
 * been called. All keys are wiped as soon as they are not needed any more, at the latest by the wipe calls.
 *
 *   initiator                        responder
 *   cd_noise_initiator               cd_noise_responder
 *   cd_noise_write_act1   50 bytes   cd_noise_read_act1
 *   cd_noise_read_act2    50 bytes   cd_noise_write_act2
 *   cd_noise_write_act3   66 bytes   cd_noise_read_act3
 */
#ifndef CD_NOISE_H
#define CD_NOISE_H

#include <channel/crypto.h>

/* What production mixes into the handshake in place of BOLT 8's "lightning": another protocol or another
 * version of this one cannot complete it. */
#define CD_NOISE_PROLOGUE "channel/1"

#define CD_NOISE_ACT1 50
#define CD_NOISE_ACT2 50
#define CD_NOISE_ACT3 66

/* X(SYMBOL): the names of BOLT 8's vectors, then our own. */
#define CD_NOISE_ERRORS(X)                                                                                             \
  X(OK)                                                                                                                \
  X(ACT1_READ_FAILED)                                                                                                  \
  X(ACT1_BAD_VERSION)                                                                                                  \
  X(ACT1_BAD_PUBKEY)                                                                                                   \
  X(ACT1_BAD_TAG)                                                                                                      \
  X(ACT2_READ_FAILED)                                                                                                  \
  X(ACT2_BAD_VERSION)                                                                                                  \
  X(ACT2_BAD_PUBKEY)                                                                                                   \
  X(ACT2_BAD_TAG)                                                                                                      \
  X(ACT3_READ_FAILED)                                                                                                  \
  X(ACT3_BAD_VERSION)                                                                                                  \
  X(ACT3_BAD_CIPHERTEXT)                                                                                               \
  X(ACT3_BAD_PUBKEY)                                                                                                   \
  X(ACT3_BAD_TAG)                                                                                                      \
  X(BAD_REMOTE_KEY)   /* the node id given to cd_noise_initiator is no curve point */                                  \
  X(LOCAL_KEY_FAILED) /* our own signer or ephemeral key did not do its ECDH */                                        \
  X(OUT_OF_ORDER)     /* an act was asked for twice, too early, by the wrong side, or after an error */

typedef enum cd_noise_err {
#define CD_NOISE_ENUM(sym) CD_NOISE_##sym,
  CD_NOISE_ERRORS(CD_NOISE_ENUM)
#undef CD_NOISE_ENUM
} cd_noise_err;

/* "ACT1_BAD_VERSION" and so on, for logs and tests. Never NULL. */
const char *cd_noise_err_name(cd_noise_err e);

/* Who we are: the node id, and an ECDH with its private key (as ch_ecdh computes it), which stays with the
 * signer. `ecdh` may be called from any thread, also from several at once. */
typedef struct cd_noise_self {
  ch_pubkey id;
  ch_err (*ecdh)(void *ctx, ch_secret *out, const ch_pubkey *peer);
  void *ctx;
} cd_noise_self;

/* One direction of an established connection. */
typedef struct cd_cipher {
  ch_secret key;
  ch_secret chaining_key;
  uint64_t nonce; /* uses of `key` so far: two for each message, at most CD_CIPHER_USES */
  bool broken;    /* a frame did not verify: nothing is opened any more */
} cd_cipher;

#define CD_CIPHER_USES 1000 /* BOLT 8: a key encrypts 1000 times, that is 500 messages, then it is replaced */

/* One handshake. The fields are private. */
typedef struct cd_noise {
  cd_noise_self self;
  ch_secret e; /* our ephemeral key */
  ch_pubkey e_pub;
  ch_pubkey rs;     /* the remote static key, the node id */
  ch_pubkey re;     /* the remote ephemeral key */
  ch_secret ck;     /* chaining key */
  ch_secret temp_k; /* key of the present act */
  ch_hash h;        /* handshake hash */
  unsigned next;    /* which step is allowed next */
} cd_noise;

/* Starts a handshake towards `remote` (copied). `ephemeral` must be fresh random bytes, used for nothing else
 * (fixed only in tests); it is copied and wiped inside when done. `prologue` is `len` bytes, not kept. An
 * ephemeral key outside the group order shows as LOCAL_KEY_FAILED in the first act that is written. */
void cd_noise_initiator(cd_noise *n, const cd_noise_self *self, const ch_pubkey *remote, const void *prologue,
                        size_t len, const ch_secret *ephemeral);
/* Waits for a handshake from anyone. Arguments as above. */
void cd_noise_responder(cd_noise *n, const cd_noise_self *self, const void *prologue, size_t len,
                        const ch_secret *ephemeral);

/* The acts. `in` must hold exactly the act's bytes: `len` below its size means that the stream ended early and
 * is ACTn_READ_FAILED, as is anything longer. After any error, the object is wiped and only fit for
 * cd_noise_wipe; the connection must be closed without an answer. */
cd_noise_err cd_noise_write_act1(cd_noise *n, uint8_t out[CD_NOISE_ACT1]) CH_MUST_CHECK;
cd_noise_err cd_noise_read_act1(cd_noise *n, const uint8_t *in, size_t len) CH_MUST_CHECK;
cd_noise_err cd_noise_write_act2(cd_noise *n, uint8_t out[CD_NOISE_ACT2]) CH_MUST_CHECK;
cd_noise_err cd_noise_read_act2(cd_noise *n, const uint8_t *in, size_t len) CH_MUST_CHECK;
/* The last act gives the two ciphers and wipes the handshake. The responder's `remote` receives the node id
 * that the initiator has proved; it is set only on success. */
cd_noise_err cd_noise_write_act3(cd_noise *n, uint8_t out[CD_NOISE_ACT3], cd_cipher *tx, cd_cipher *rx) CH_MUST_CHECK;
cd_noise_err cd_noise_read_act3(cd_noise *n, const uint8_t *in, size_t len, cd_cipher *tx, cd_cipher *rx,
                                ch_pubkey *remote) CH_MUST_CHECK;

void cd_noise_wipe(cd_noise *n);

/* --- Frames: encrypted 2-byte big-endian length and its tag, then the encrypted body and its tag ------- */

#define CD_FRAME_TAG 16
#define CD_FRAME_HEADER (2 + CD_FRAME_TAG)
#define CD_FRAME_BODY_MAX 65535
#define CD_FRAME_OVERHEAD (CD_FRAME_HEADER + CD_FRAME_TAG)

/* Writes one frame of CD_FRAME_OVERHEAD + len bytes to `out`, which does not overlap `body`, and returns that
 * number. A body longer than CD_FRAME_BODY_MAX cannot be expressed. */
size_t cd_cipher_seal(cd_cipher *c, uint8_t *out, const uint8_t *body, uint16_t len);

/* Opens a frame's header of CD_FRAME_HEADER bytes: the length of the body, without its tag. Returns false if it
 * does not verify (forged, damaged, replayed, out of order); the cipher is broken then, close the connection. */
bool cd_cipher_open_header(cd_cipher *c, uint16_t *len, const uint8_t *header) CH_MUST_CHECK;

/* Opens a body of len + CD_FRAME_TAG bytes into `out` (`len` bytes; `out` may be `sealed`, to open in place).
 * Must follow its header. Returns false as above; `out` then holds nothing of use. */
bool cd_cipher_open_body(cd_cipher *c, uint8_t *out, const uint8_t *sealed, uint16_t len) CH_MUST_CHECK;

void cd_cipher_wipe(cd_cipher *c);

#endif
