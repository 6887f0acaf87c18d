#include "seed.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "channel/types.h"
#include "datadir.h"

#define PATH_LEN 600
#define LINE_LEN 400 /* the longest line has 296 */
#define PLAIN "channeld-seed-v1 plain "
#define ARGON2ID "channeld-seed-v1 argon2id "

/* What a new file is made with, and the most that a file may ask for. */
#define PASSES 3
#define KIBIBYTES (128u * 1024)
#define MAX_PASSES 100
#define MAX_KIBIBYTES (4u * 1024 * 1024)

typedef struct sealed {
  unsigned passes, kibibytes;
  uint8_t salt[crypto_pwhash_SALTBYTES];
  uint8_t nonce[crypto_secretbox_NONCEBYTES];
  uint8_t box[CD_SEED_LEN + crypto_secretbox_MACBYTES];
} sealed;

/* All that is secret while a file is read or written; in locked memory. */
typedef struct secrets {
  char line[LINE_LEN];
  char again[LINE_LEN]; /* the line of what was read, to compare */
  uint8_t key[crypto_secretbox_KEYBYTES];
} secrets;

static secrets *new_secrets(char *why, size_t why_len) {
  secrets *s = sodium_malloc(sizeof *s);
  if (s == NULL) {
    snprintf(why, why_len, "There is no locked memory for the seed; raise `ulimit -l`.");
    return NULL;
  }
  memset(s, 0, sizeof *s);
  return s;
}

/* --- The line ------------------------------------------------------------------------------------ */

static void print_plain(char line[LINE_LEN], const uint8_t *seed) {
  memcpy(line, PLAIN, sizeof PLAIN);
  ch_hex(line + strlen(PLAIN), seed, CD_SEED_LEN);
}

static void print_sealed(char line[LINE_LEN], const sealed *s) {
  char salt[2 * sizeof s->salt + 1], nonce[2 * sizeof s->nonce + 1], box[2 * sizeof s->box + 1];
  ch_hex(salt, s->salt, sizeof s->salt);
  ch_hex(nonce, s->nonce, sizeof s->nonce);
  ch_hex(box, s->box, sizeof s->box);
  snprintf(line, LINE_LEN, ARGON2ID "%u %u %s %s %s", s->passes, s->kibibytes, salt, nonce, box);
}

/* Only exactly what is printed is read. Both lines are followed by zeros. */
static bool parse_plain(secrets *x, uint8_t *seed) {
  if (!ch_unhex(seed, CD_SEED_LEN, x->line + strlen(PLAIN))) return false;
  print_plain(x->again, seed);
  return sodium_memcmp(x->again, x->line, LINE_LEN) == 0;
}

static bool parse_sealed(const char *line, sealed *s) {
  char passes[10], kibibytes[10], salt[40], nonce[56], box[168], again[LINE_LEN];
  if (sscanf(line, ARGON2ID "%9[0-9] %9[0-9] %39s %55s %167s", passes, kibibytes, salt, nonce, box) != 5) return false;
  s->passes = (unsigned)strtoul(passes, NULL, 10);
  s->kibibytes = (unsigned)strtoul(kibibytes, NULL, 10);
  if (!ch_unhex(s->salt, sizeof s->salt, salt) || !ch_unhex(s->nonce, sizeof s->nonce, nonce) ||
      !ch_unhex(s->box, sizeof s->box, box))
    return false;
  print_sealed(again, s);
  return strcmp(again, line) == 0 && s->passes >= crypto_pwhash_OPSLIMIT_MIN && s->passes <= MAX_PASSES &&
         s->kibibytes >= crypto_pwhash_MEMLIMIT_MIN / 1024 && s->kibibytes <= MAX_KIBIBYTES;
}

/* --- The box ------------------------------------------------------------------------------------- */

static bool derive(uint8_t *key, const sealed *s, const cd_passphrase *p, char *why, size_t why_len) {
  if (crypto_pwhash(key, crypto_secretbox_KEYBYTES, p->text, p->len, s->salt, s->passes, (size_t)s->kibibytes * 1024,
                    crypto_pwhash_ALG_ARGON2ID13) == 0)
    return true;
  snprintf(why, why_len, "There is not enough memory for the passphrase: %u MiB must be free for a moment.",
           s->kibibytes / 1024 + 1);
  return false;
}

static bool seal(secrets *x, const uint8_t *seed, const cd_passphrase *p, char *why, size_t why_len) {
  sealed s = {.passes = PASSES, .kibibytes = KIBIBYTES};
  randombytes_buf(s.salt, sizeof s.salt);
  randombytes_buf(s.nonce, sizeof s.nonce);
  if (!derive(x->key, &s, p, why, why_len)) return false;
  crypto_secretbox_easy(s.box, seed, CD_SEED_LEN, s.nonce, x->key);
  print_sealed(x->line, &s);
  return true;
}

static bool unseal(secrets *x, const sealed *s, const cd_passphrase_source *from, uint8_t *seed, const char *path,
                   char *why, size_t why_len) {
  cd_passphrase *p = cd_passphrase_get(from, why, why_len);
  bool ok = p != NULL && derive(x->key, s, p, why, why_len);
  if (ok && crypto_secretbox_open_easy(seed, s->box, sizeof s->box, s->nonce, x->key) != 0) {
    snprintf(why, why_len, "The passphrase is wrong (or %.400s is damaged).", path);
    ok = false;
  }
  sodium_free(p);
  return ok;
}

/* --- The file ------------------------------------------------------------------------------------ */

static int open_seed(const char *path, char *why, size_t why_len) {
  struct stat st;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT) {
    snprintf(why, why_len, "There is no seed at %.400s: make one with `channeld init --dir DIR`.", path);
    return -1;
  }
  if (fd < 0 || fstat(fd, &st) != 0) {
    snprintf(why, why_len, "The seed %.400s cannot be read: %s.", path, strerror(errno));
  } else if ((st.st_mode & 077) != 0) {
    snprintf(why, why_len, "Others can read the seed: run `chmod 600 %.400s`.", path);
  } else {
    return fd;
  }
  if (fd >= 0) close(fd);
  return -1;
}

static bool read_line(const char *path, char line[LINE_LEN], char *why, size_t why_len) {
  int fd = open_seed(path, why, why_len);
  if (fd < 0) return false;
  ssize_t n;
  do
    n = read(fd, line, LINE_LEN - 1);
  while (n < 0 && errno == EINTR);
  if (n < 0) snprintf(why, why_len, "The seed %.400s cannot be read: %s.", path, strerror(errno));
  close(fd);
  if (n < 0) return false;
  line[n] = '\0';
  if (strlen(line) < (size_t)n) line[0] = '\0'; /* a zero byte would hide what is behind it: this is no line */
  if (n > 0 && line[n - 1] == '\n') line[n - 1] = '\0';
  return true;
}

bool cd_seed_exists(const char *dir) {
  char path[PATH_LEN];
  snprintf(path, sizeof path, "%s/seed", dir);
  return access(path, F_OK) == 0;
}

bool cd_seed_read(const char *dir, const cd_passphrase_source *from, uint8_t *seed, char *why, size_t why_len) {
  char path[PATH_LEN];
  sealed s;
  secrets *x = new_secrets(why, why_len);
  snprintf(path, sizeof path, "%s/seed", dir);
  bool ok = x != NULL && read_line(path, x->line, why, why_len);
  if (ok && strncmp(x->line, PLAIN, strlen(PLAIN)) == 0 && parse_plain(x, seed)) {
    sodium_free(x);
    return true;
  }
  if (ok && strncmp(x->line, ARGON2ID, strlen(ARGON2ID)) == 0 && parse_sealed(x->line, &s)) {
    ok = unseal(x, &s, from, seed, path, why, why_len);
  } else if (ok) {
    snprintf(why, why_len,
             "The seed %.400s is not in a form that this release reads. Move it away and run `channeld init "
             "--words` with your recovery words.",
             path);
    ok = false;
  }
  sodium_free(x);
  return ok;
}

bool cd_seed_replace(const char *dir, const uint8_t *seed, const cd_passphrase *p, char *why, size_t why_len) {
  secrets *x = new_secrets(why, why_len);
  bool ok = x != NULL;
  if (ok && p == NULL) print_plain(x->line, seed);
  if (ok && p != NULL) ok = seal(x, seed, p, why, why_len);
  if (ok) {
    x->line[strlen(x->line)] = '\n'; /* the rest is zero */
    ok = cd_dir_write(dir, "seed", x->line, why, why_len);
  }
  sodium_free(x);
  return ok;
}

bool cd_seed_write(const char *dir, const uint8_t *seed, const cd_passphrase *p, char *why, size_t why_len) {
  if (!cd_seed_exists(dir)) return cd_seed_replace(dir, seed, p, why, why_len);
  snprintf(why, why_len, "There is a seed in %.400s already; it is never overwritten. Give another directory.", dir);
  return false;
}
