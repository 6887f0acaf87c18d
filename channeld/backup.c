#include "backup.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "datadir.h"

#define HEAD "channeld-backup-v1\n"
#define HEAD_START "channeld-backup-v"
#define HEAD_LEN (sizeof HEAD - 1)
#define NONCE_LEN crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define MAC_LEN crypto_aead_xchacha20poly1305_ietf_ABYTES
#define BLOCK 4096
#define MAX_FILE ((size_t)1 << 30)
#define MAX_ADDRESS 511

#define START_LEN ((size_t)(8 + 4 + 4))
#define CHANNEL_LEN ((size_t)(8 + 20 + 2 * 20 + 2 * 20 + 20 + 4 + 16 + 2 * 32 + 32 + 33 + 1 + 2 * 16 + 8))
#define PEER_LEN ((size_t)(33 + 2)) /* without its address */

void cd_backup_clear(cd_backup *b) {
  if (b->channels != NULL) sodium_memzero(b->channels, b->n_channels * sizeof *b->channels);
  free(b->channels);
  for (size_t i = 0; i < b->n_peers; i++)
    free(b->peers[i].address);
  free(b->peers);
  *b = (cd_backup){0};
}

/* --- Fields: one list for both directions -------------------------------------------------------- */

/* Writes if `writing`, else reads. The caller has checked that there is room. */
typedef struct cursor {
  uint8_t *at;
  bool writing;
} cursor;

static void bytes(cursor *c, void *value, size_t len) {
  if (c->writing) {
    memcpy(c->at, value, len);
  } else {
    memcpy(value, c->at, len);
  }
  c->at += len;
}

static void number(cursor *c, ch_u128 *v, size_t len) {
  ch_u128 value = *v;
  if (!c->writing) *v = 0;
  for (size_t i = len; i > 0; i--) {
    if (c->writing) {
      c->at[i - 1] = (uint8_t)value;
      value >>= 8;
    } else {
      *v = *v << 8 | c->at[len - i];
    }
  }
  c->at += len;
}

static uint64_t small(cursor *c, uint64_t v, size_t len) {
  ch_u128 wide = v;
  number(c, &wide, len);
  return (uint64_t)wide;
}

static void one_channel(cursor *c, ch_origin *o) {
  o->chain.chain_id = small(c, o->chain.chain_id, 8);
  bytes(c, &o->chain.adjudicator, 20);
  bytes(c, o->params.signer, sizeof o->params.signer);
  bytes(c, o->params.payout, sizeof o->params.payout);
  bytes(c, &o->params.asset, 20);
  o->params.challenge_period = (uint32_t)small(c, o->params.challenge_period, 4);
  number(c, &o->params.bond.v, 16);
  bytes(c, o->nonce, sizeof o->nonce);
  bytes(c, &o->salt, 32);
  bytes(c, &o->peer, 33);
  bytes(c, &o->side, 1);
  number(c, &o->deposit[0].v, 16);
  number(c, &o->deposit[1].v, 16);
  o->created = small(c, o->created, 8);
}

/* --- Sealing ------------------------------------------------------------------------------------- */

static void derive_key(uint8_t key[32], const uint8_t *seed) {
  static const char info[] = "channeld/backup-v1";
  ch_hkdf_sha256(key, 32, NULL, 0, seed, 64, info, sizeof info - 1);
}

static size_t plain_len(const cd_backup *b) {
  size_t len = START_LEN + b->n_channels * CHANNEL_LEN;
  for (size_t i = 0; i < b->n_peers; i++)
    len += PEER_LEN + strlen(b->peers[i].address);
  return len;
}

static void print(const cd_backup *b, cursor c) {
  small(&c, b->written, 8);
  small(&c, b->n_channels, 4);
  small(&c, b->n_peers, 4);
  for (size_t i = 0; i < b->n_channels; i++) {
    ch_origin o = b->channels[i];
    one_channel(&c, &o);
    sodium_memzero(&o, sizeof o);
  }
  for (size_t i = 0; i < b->n_peers; i++) {
    const cd_backup_peer *p = &b->peers[i];
    ch_pubkey node = p->node;
    bytes(&c, &node, sizeof node);
    small(&c, strlen(p->address), 2);
    bytes(&c, p->address, strlen(p->address));
  }
}

/* The padded text becomes the box where it stands: nothing readable is left. */
static void encrypt(uint8_t *file, size_t plain, const uint8_t *seed) {
  uint8_t key[32], *nonce = file + HEAD_LEN, *box = nonce + NONCE_LEN;
  memcpy(file, HEAD, HEAD_LEN);
  randombytes_buf(nonce, NONCE_LEN);
  derive_key(key, seed);
  crypto_aead_xchacha20poly1305_ietf_encrypt(box, NULL, box, plain, file, HEAD_LEN, NULL, nonce, key);
  sodium_memzero(key, sizeof key);
}

ch_err cd_backup_seal(const cd_backup *b, const uint8_t *seed, uint8_t **out, size_t *len) {
  for (size_t i = 0; i < b->n_peers; i++) {
    if (strlen(b->peers[i].address) > MAX_ADDRESS) return CH_ERR_ARGUMENT;
  }
  size_t plain = plain_len(b), padded = (plain / BLOCK + 1) * BLOCK;
  *len = HEAD_LEN + NONCE_LEN + padded + MAC_LEN;
  *out = *len > MAX_FILE ? NULL : malloc(*len);
  if (*out == NULL) return CH_ERR_NO_MEMORY;
  uint8_t *text = *out + HEAD_LEN + NONCE_LEN;
  print(b, (cursor){text, true});
  memset(text + plain, 0, padded - plain);
  text[plain] = 0x80;
  encrypt(*out, padded, seed);
  return CH_OK;
}

/* --- Opening ------------------------------------------------------------------------------------- */

static bool channel_ok(ch_origin *o) {
  ch_addr node;
  ch_keccak256(&o->params.tag, o->salt.b, sizeof o->salt.b);
  return o->side <= 1 && o->params.challenge_period > 0 && ch_params_check(&o->params) == CH_OK &&
         ch_address_of(&node, &o->peer) == CH_OK && o->deposit[0].v <= CH_MONEY_MAX && o->deposit[1].v <= CH_MONEY_MAX;
}

static bool address_ok(const uint8_t *text, size_t len) {
  for (size_t i = 0; i < len; i++) {
    if (text[i] <= 0x20 || text[i] > 0x7e) return false;
  }
  return len > 0 && len <= MAX_ADDRESS && memchr(text, ':', len) != NULL;
}

static ch_err parse_channels(cd_backup *out, cursor *c, const uint8_t *end, size_t n) {
  if (n > (size_t)(end - c->at) / CHANNEL_LEN) return CH_ERR_FORMAT;
  out->channels = calloc(n + 1, sizeof *out->channels);
  if (out->channels == NULL) return CH_ERR_NO_MEMORY;
  while (out->n_channels < n) {
    ch_origin *o = &out->channels[out->n_channels++];
    one_channel(c, o);
    if (!channel_ok(o)) return CH_ERR_FORMAT;
  }
  return CH_OK;
}

static ch_err parse_peers(cd_backup *out, cursor *c, const uint8_t *end, size_t n) {
  if (n > (size_t)(end - c->at) / PEER_LEN) return CH_ERR_FORMAT;
  out->peers = calloc(n + 1, sizeof *out->peers);
  if (out->peers == NULL) return CH_ERR_NO_MEMORY;
  while (out->n_peers < n) {
    cd_backup_peer *p = &out->peers[out->n_peers];
    ch_addr address;
    if ((size_t)(end - c->at) < PEER_LEN) return CH_ERR_FORMAT;
    bytes(c, &p->node, sizeof p->node);
    size_t len = small(c, 0, 2);
    if (len > (size_t)(end - c->at) || !address_ok(c->at, len) || ch_address_of(&address, &p->node) != CH_OK)
      return CH_ERR_FORMAT;
    p->address = strndup((const char *)c->at, len);
    if (p->address == NULL) return CH_ERR_NO_MEMORY;
    c->at += len;
    out->n_peers++;
  }
  return CH_OK;
}

static ch_err parse(cd_backup *out, uint8_t *text, size_t padded) {
  size_t len;
  if (padded % BLOCK != 0 || sodium_unpad(&len, text, padded, BLOCK) != 0 || len < START_LEN) return CH_ERR_FORMAT;
  const uint8_t *end = text + len;
  cursor c = {text, false};
  out->written = small(&c, 0, 8);
  size_t n_channels = small(&c, 0, 4), n_peers = small(&c, 0, 4);
  ch_err err = parse_channels(out, &c, end, n_channels);
  if (err == CH_OK) err = parse_peers(out, &c, end, n_peers);
  return err == CH_OK && c.at != end ? CH_ERR_FORMAT : err;
}

static ch_err decrypt(uint8_t *text, const uint8_t *seed, const uint8_t *in, size_t len) {
  uint8_t key[32];
  const uint8_t *nonce = in + HEAD_LEN, *box = nonce + NONCE_LEN;
  derive_key(key, seed);
  int bad = crypto_aead_xchacha20poly1305_ietf_decrypt(text, NULL, NULL, box, len - HEAD_LEN - NONCE_LEN, in, HEAD_LEN,
                                                       nonce, key);
  sodium_memzero(key, sizeof key);
  return bad ? CH_ERR_KEY : CH_OK;
}

ch_err cd_backup_open(cd_backup *out, const uint8_t *seed, const uint8_t *in, size_t len) {
  *out = (cd_backup){0};
  if (len < HEAD_LEN + NONCE_LEN + MAC_LEN || len > MAX_FILE) return CH_ERR_FORMAT;
  if (memcmp(in, HEAD, HEAD_LEN) != 0)
    return memcmp(in, HEAD_START, sizeof HEAD_START - 1) == 0 ? CH_ERR_VERSION : CH_ERR_FORMAT;
  size_t padded = len - HEAD_LEN - NONCE_LEN - MAC_LEN;
  uint8_t *text = malloc(padded + 1);
  if (text == NULL) return CH_ERR_NO_MEMORY;
  ch_err err = decrypt(text, seed, in, len);
  if (err == CH_OK) err = parse(out, text, padded);
  sodium_memzero(text, padded + 1);
  free(text);
  if (err != CH_OK) cd_backup_clear(out);
  return err;
}

/* --- The file ------------------------------------------------------------------------------------ */

static bool read_all(int fd, uint8_t *out, size_t len) {
  while (len > 0) {
    ssize_t n = read(fd, out, len);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    out += n;
    len -= (size_t)n;
  }
  return true;
}

/* The whole file, malloc'ed; NULL with errno. */
static uint8_t *load(const char *path, size_t *len) {
  struct stat st;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return NULL;
  uint8_t *in = NULL;
  errno = EFBIG;
  if (fstat(fd, &st) == 0 && st.st_size >= 0 && (size_t)st.st_size <= MAX_FILE) {
    *len = (size_t)st.st_size;
    in = malloc(*len + 1);
    if (in != NULL && !read_all(fd, in, *len)) {
      free(in);
      in = NULL;
      errno = EIO;
    }
  }
  int error = errno;
  close(fd);
  errno = error;
  return in;
}

bool cd_backup_read(cd_backup *out, const uint8_t *seed, const char *path, bool *missing, char *why, size_t why_len) {
  size_t len = 0;
  *out = (cd_backup){0};
  uint8_t *in = load(path, &len);
  if (missing != NULL) *missing = in == NULL && errno == ENOENT;
  if (in == NULL) {
    snprintf(why, why_len, "The backup %.400s cannot be read: %s.", path, strerror(errno));
    return false;
  }
  ch_err err = cd_backup_open(out, seed, in, len);
  free(in);
  if (err == CH_ERR_KEY) {
    snprintf(why, why_len, "The backup %.400s is of another seed, or damaged.", path);
  } else if (err == CH_ERR_FORMAT) {
    snprintf(why, why_len, "The file %.400s is no backup of channeld, or damaged.", path);
  } else if (err != CH_OK) {
    snprintf(why, why_len, "The backup %.400s: %s", path, ch_err_text(err));
  }
  return err == CH_OK;
}

bool cd_backup_write(const cd_backup *b, const uint8_t *seed, const char *dir, char *why, size_t why_len) {
  uint8_t *bytes_of_file;
  size_t len;
  ch_err err = cd_backup_seal(b, seed, &bytes_of_file, &len);
  if (err != CH_OK) {
    snprintf(why, why_len, "The backup cannot be made: %s", ch_err_text(err));
    return false;
  }
  bool ok = cd_dir_put(dir, CD_BACKUP_NAME, bytes_of_file, len, why, why_len);
  free(bytes_of_file);
  return ok;
}
