/* The static backup: what goes in comes out, everything else is refused; and channels made from it are frozen. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <cmocka.h>
#include <sodium.h>

#include "backup.h"
#include "tempdir.h"

#define WHY 700
#define HEAD_LEN 19
#define OVERHEAD (HEAD_LEN + 24 + 16)

/* Two parties and the two channels between them: one opened by each. */
typedef struct world {
  uint8_t seed[2][64];
  ch_keyring *keys[2];
  ch_signer signer[2];
  ch_pubkey node[2];
  ch_channel *channel[2]; /* party 0's */
  ch_origin origin[2];
} world;

static ch_hash hash_of(uint8_t byte) {
  ch_hash h;
  memset(h.b, byte, sizeof h.b);
  return h;
}

static ch_addr addr_of(uint8_t byte) {
  ch_addr a;
  memset(a.b, byte, sizeof a.b);
  return a;
}

/* The message of the one SEND in `fx`, which is cleared. */
static void take_message(ch_effects *fx, ch_msg *out) {
  bool known;
  for (size_t i = 0; i < fx->n; i++) {
    if (fx->v[i].kind == CH_FX_SEND)
      assert_int_equal(ch_msg_decode(out, &known, fx->v[i].u.send.bytes, fx->v[i].u.send.len), CH_OK);
  }
  ch_effects_clear(fx);
}

/* Party `opener` opens a channel; gives party 0's. */
static ch_channel *open_one(world *w, int opener) {
  ch_env env = {.now = 1700000000 + (uint64_t)opener};
  ch_chain chain = {31337, addr_of(0xad)};
  ch_opening opening = {.nonce = hash_of((uint8_t)(10 + opener))};
  ch_hash nonce = hash_of((uint8_t)(20 + opener));
  ch_effects fx = {0};
  ch_msg request, accept;
  ch_channel *theirs, *mine;
  ch_addr payout = addr_of(0x22);
  opening.terms = (ch_terms){.chain = chain,
                             .peer = w->node[1 - opener],
                             .payout = addr_of(0x11),
                             .asset = addr_of(opener ? 0x99 : 0),
                             .challenge_period = 86400,
                             .bond = {5000},
                             .deposit_mine = {(ch_u128)1 << 80},
                             .deposit_peer = {7}};
  assert_int_equal(ch_open_request(&opening, &w->signer[opener], &fx), CH_OK);
  take_message(&fx, &request);
  assert_int_equal(
      ch_open_answer(&theirs, &fx, &env, &request, &w->node[opener], &chain, &payout, &nonce, &w->signer[1 - opener]),
      CH_OK);
  take_message(&fx, &accept);
  assert_int_equal(ch_open_finish(&mine, &fx, &env, &opening, &accept, &w->signer[opener]), CH_OK);
  ch_effects_clear(&fx);
  ch_msg_clear(&request);
  ch_msg_clear(&accept);
  ch_channel_free(opener == 0 ? theirs : mine);
  return opener == 0 ? mine : theirs;
}

static int setup(void **state) {
  world *w = calloc(1, sizeof *w);
  assert_non_null(w);
  assert_true(sodium_init() >= 0);
  for (int i = 0; i < 2; i++) {
    memset(w->seed[i], 0x40 + i, sizeof w->seed[i]);
    assert_int_equal(ch_keyring_new(&w->keys[i], w->seed[i]), CH_OK);
    w->signer[i] = ch_keyring_signer(w->keys[i]);
    assert_int_equal(w->signer[i].node_id(w->signer[i].ctx, &w->node[i]), CH_OK);
  }
  for (int i = 0; i < 2; i++) {
    w->channel[i] = open_one(w, i);
    ch_channel_origin(w->channel[i], &w->origin[i]);
  }
  *state = w;
  return 0;
}

static int teardown(void **state) {
  world *w = *state;
  for (int i = 0; i < 2; i++) {
    ch_channel_free(w->channel[i]);
    ch_keyring_free(w->keys[i]);
  }
  free(w);
  return 0;
}

/* Both channels and one peer. */
static cd_backup sample(world *w, cd_backup_peer *peer) {
  static char address[] = "127.0.0.1:9735";
  *peer = (cd_backup_peer){w->node[1], address};
  return (cd_backup){.written = 1234567, .channels = w->origin, .n_channels = 2, .peers = peer, .n_peers = 1};
}

static uint8_t *seal(const world *w, const cd_backup *b, size_t *len) {
  uint8_t *out;
  assert_int_equal(cd_backup_seal(b, w->seed[0], &out, len), CH_OK);
  return out;
}

static ch_err open_as(const world *w, int party, const uint8_t *in, size_t len) {
  cd_backup b;
  ch_err err = cd_backup_open(&b, w->seed[party], in, len);
  cd_backup_clear(&b);
  return err;
}

/* --- The file ------------------------------------------------------------------------------------ */

static void assert_same_origin(const ch_origin *a, const ch_origin *b) {
  assert_int_equal(a->chain.chain_id, b->chain.chain_id);
  assert_memory_equal(&a->chain.adjudicator, &b->chain.adjudicator, 20);
  assert_memory_equal(a->params.signer, b->params.signer, sizeof a->params.signer);
  assert_memory_equal(a->params.payout, b->params.payout, sizeof a->params.payout);
  assert_memory_equal(&a->params.asset, &b->params.asset, 20);
  assert_int_equal(a->params.challenge_period, b->params.challenge_period);
  assert_true(a->params.bond.v == b->params.bond.v);
  assert_memory_equal(&a->params.tag, &b->params.tag, 32);
  assert_memory_equal(a->nonce, b->nonce, sizeof a->nonce);
  assert_memory_equal(&a->salt, &b->salt, 32);
  assert_memory_equal(&a->peer, &b->peer, 33);
  assert_int_equal(a->side, b->side);
  assert_true(a->deposit[0].v == b->deposit[0].v && a->deposit[1].v == b->deposit[1].v);
  assert_int_equal(a->created, b->created);
}

static void round_trip(void **state) {
  world *w = *state;
  cd_backup_peer peer;
  cd_backup b = sample(w, &peer), back;
  size_t len;
  uint8_t *file = seal(w, &b, &len);
  assert_int_equal(cd_backup_open(&back, w->seed[0], file, len), CH_OK);
  assert_int_equal(back.written, 1234567);
  assert_int_equal(back.n_channels, 2);
  for (int i = 0; i < 2; i++)
    assert_same_origin(&back.channels[i], &w->origin[i]);
  assert_int_equal(back.channels[0].side, 0);
  assert_int_equal(back.channels[1].side, 1);
  assert_int_equal(back.n_peers, 1);
  assert_memory_equal(&back.peers[0].node, &w->node[1], 33);
  assert_string_equal(back.peers[0].address, "127.0.0.1:9735");
  cd_backup_clear(&back);
  free(file);
}

static void empty_and_large(void **state) {
  world *w = *state;
  cd_backup none = {.written = 1}, many = {.written = 2, .n_channels = 1000}, back;
  size_t len;
  uint8_t *file = seal(w, &none, &len);
  assert_int_equal(cd_backup_open(&back, w->seed[0], file, len), CH_OK);
  assert_true(back.n_channels == 0 && back.n_peers == 0);
  cd_backup_clear(&back);
  free(file);
  many.channels = calloc(many.n_channels, sizeof *many.channels);
  assert_non_null(many.channels);
  for (size_t i = 0; i < many.n_channels; i++)
    many.channels[i] = w->origin[i % 2];
  file = seal(w, &many, &len);
  assert_int_equal(cd_backup_open(&back, w->seed[0], file, len), CH_OK);
  assert_int_equal(back.n_channels, 1000);
  assert_same_origin(&back.channels[999], &w->origin[1]);
  cd_backup_clear(&back);
  free(file);
  free(many.channels);
}

/* The file shows neither a peer nor how many channels there are, and no two are alike. */
static void nothing_shows(void **state) {
  world *w = *state;
  cd_backup_peer peer;
  cd_backup b = sample(w, &peer), none = {.written = 1};
  size_t len, again_len, none_len;
  uint8_t *file = seal(w, &b, &len), *again = seal(w, &b, &again_len), *empty = seal(w, &none, &none_len);
  assert_int_equal(len, none_len);
  assert_int_equal((len - OVERHEAD) % 4096, 0);
  assert_memory_equal(file, "channeld-backup-v1\n", HEAD_LEN);
  assert_null(memmem(file, len, w->node[1].b, 16));
  assert_null(memmem(file, len, "127.0", 5));
  assert_int_equal(len, again_len);
  assert_memory_not_equal(file + HEAD_LEN, again + HEAD_LEN, len - HEAD_LEN);
  free(file);
  free(again);
  free(empty);
}

static void damage_is_noticed(void **state) {
  world *w = *state;
  cd_backup_peer peer;
  cd_backup b = sample(w, &peer);
  size_t len;
  uint8_t *file = seal(w, &b, &len);
  for (size_t i = 0; i < len; i++) {
    file[i] ^= 0x10;
    if (open_as(w, 0, file, len) == CH_OK) fail_msg("opened with byte %zu changed", i);
    file[i] ^= 0x10;
  }
  for (size_t n = 0; n < len; n++) {
    if (open_as(w, 0, file, n) == CH_OK) fail_msg("opened when cut to %zu bytes", n);
  }
  assert_int_equal(open_as(w, 0, file, len), CH_OK);
  assert_int_equal(open_as(w, 1, file, len), CH_ERR_KEY);
  file[len - 1] ^= 1;
  assert_int_equal(open_as(w, 0, file, len), CH_ERR_KEY);
  file[0] = 'C';
  assert_int_equal(open_as(w, 0, file, len), CH_ERR_FORMAT);
  memcpy(file, "channeld-backup-v2\n", HEAD_LEN);
  assert_int_equal(open_as(w, 0, file, len), CH_ERR_VERSION);
  free(file);
}

/* --- What is inside, when somebody with the key made it wrong ------------------------------------- */

/* Seals `text` as it is, without a look at it. */
static ch_err open_text(const world *w, const uint8_t *text, size_t text_len) {
  uint8_t key[32], file[OVERHEAD + 8192] = "channeld-backup-v1\n";
  unsigned long long n;
  ch_hkdf_sha256(key, sizeof key, NULL, 0, w->seed[0], 64, "channeld/backup-v1", 18);
  crypto_aead_xchacha20poly1305_ietf_encrypt(file + HEAD_LEN + 24, &n, text, text_len, file, HEAD_LEN, NULL,
                                             file + HEAD_LEN, key);
  return open_as(w, 0, file, HEAD_LEN + 24 + n);
}

/* The text of the sample, opened here; its length without the padding in *used. */
static void sample_text(world *w, uint8_t text[4096], size_t *used) {
  cd_backup_peer peer;
  cd_backup b = sample(w, &peer);
  uint8_t key[32];
  size_t len;
  uint8_t *file = seal(w, &b, &len);
  assert_int_equal(len, OVERHEAD + 4096);
  ch_hkdf_sha256(key, sizeof key, NULL, 0, w->seed[0], 64, "channeld/backup-v1", 18);
  assert_int_equal(crypto_aead_xchacha20poly1305_ietf_decrypt(text, NULL, NULL, file + HEAD_LEN + 24, 4096 + 16, file,
                                                              HEAD_LEN, file + HEAD_LEN, key),
                   0);
  free(file);
  *used = 4096;
  while (text[--*used] == 0)
    continue;
  assert_int_equal(text[*used], 0x80);
}

/* The sample's text with one byte at `at` set. */
static ch_err with_byte(world *w, size_t at, uint8_t value) {
  uint8_t text[4096];
  size_t used;
  sample_text(w, text, &used);
  assert_int_not_equal(text[at], value);
  text[at] = value;
  return open_text(w, text, sizeof text);
}

static void strict_inside(void **state) {
  world *w = *state;
  uint8_t text[8192] = {0};
  size_t used, channel = 16, length = 318; /* as backup.h has it */
  sample_text(w, text, &used);
  assert_int_equal(used, channel + 2 * length + 33 + 2 + 14);
  assert_int_equal(open_text(w, text, 4096), CH_OK);
  assert_int_equal(open_text(w, text, 4095), CH_ERR_FORMAT);
  assert_int_equal(with_byte(w, 11, 1), CH_ERR_FORMAT);                 /* fewer channels */
  assert_int_equal(with_byte(w, 11, 3), CH_ERR_FORMAT);                 /* more */
  assert_int_equal(with_byte(w, 8, 0xff), CH_ERR_FORMAT);               /* far more */
  assert_int_equal(with_byte(w, 15, 0), CH_ERR_FORMAT);                 /* peers */
  assert_int_equal(with_byte(w, 15, 2), CH_ERR_FORMAT);                 /* peers */
  assert_int_equal(with_byte(w, channel + 132, 0x80), CH_ERR_FORMAT);   /* bond above its range */
  assert_int_equal(with_byte(w, channel + 244, 4), CH_ERR_FORMAT);      /* peer: no key */
  assert_int_equal(with_byte(w, channel + 277, 2), CH_ERR_FORMAT);      /* side */
  assert_int_equal(with_byte(w, channel + 278, 0x80), CH_ERR_FORMAT);   /* deposit */
  assert_int_equal(with_byte(w, used - 14 - 1, 13), CH_ERR_FORMAT);     /* shorter address */
  assert_int_equal(with_byte(w, used - 14 - 1, 15), CH_ERR_FORMAT);     /* longer */
  assert_int_equal(with_byte(w, used - 1, '\n'), CH_ERR_FORMAT);        /* not printable */
  assert_int_equal(with_byte(w, used - 14 - 2 - 33, 5), CH_ERR_FORMAT); /* peer: no key */
  assert_int_equal(with_byte(w, used, 0), CH_ERR_FORMAT);               /* no padding */
  assert_int_equal(with_byte(w, used + 1, 1), CH_ERR_FORMAT);
}

static void files(void **state) {
  world *w = *state;
  tempdir dir;
  cd_backup_peer peer;
  cd_backup b = sample(w, &peer), back;
  char path[PATH_MAX], why[WHY] = "";
  bool missing;
  struct stat st;
  tempdir_make(&dir);
  tempdir_file(path, &dir, CD_BACKUP_NAME);
  assert_false(cd_backup_read(&back, w->seed[0], path, &missing, why, sizeof why));
  assert_true(missing);
  assert_true(cd_backup_write(&b, w->seed[0], dir.path, why, sizeof why));
  assert_int_equal(stat(path, &st), 0);
  assert_int_equal(st.st_mode & 0777, 0600);
  assert_true(cd_backup_read(&back, w->seed[0], path, &missing, why, sizeof why));
  assert_int_equal(back.n_channels, 2);
  cd_backup_clear(&back);
  assert_false(cd_backup_read(&back, w->seed[1], path, &missing, why, sizeof why));
  assert_false(missing);
  assert_non_null(strstr(why, "another seed"));
  assert_false(cd_backup_write(&b, w->seed[0], "/nonexistent", why, sizeof why));
  assert_non_null(strstr(why, "/nonexistent"));
  tempdir_remove(&dir);
}

/* --- Channels from it ---------------------------------------------------------------------------- */

static void restored_is_frozen(void **state) {
  world *w = *state;
  ch_env env = {.now = 1800000000, .head_time = 1800000000, .freshness = 600};
  for (int i = 0; i < 2; i++) {
    ch_channel *c, *again;
    ch_info info;
    ch_origin o;
    uint8_t *record;
    size_t len;
    assert_int_equal(ch_channel_restore(&c, &w->origin[i], &w->signer[0]), CH_OK);
    assert_memory_equal(ch_channel_id_of(c), ch_channel_id_of(w->channel[i]), 32);
    assert_int_equal(ch_channel_encode(c, &record, &len), CH_OK);
    assert_int_equal(ch_channel_decode(&again, record, len, NULL, 0), CH_OK);
    ch_channel_info(again, &env, &info);
    assert_true(info.frozen);
    assert_int_equal(info.wait, CH_WAIT_OPERATOR);
    assert_int_equal(info.side, i);
    assert_true(info.spendable.v == 0);
    ch_channel_origin(again, &o);
    assert_same_origin(&o, &w->origin[i]);
    free(record);
    ch_channel_free(c);
    ch_channel_free(again);
  }
}

/* It deposits nothing, pays nothing and signs nothing. */
static void restored_does_nothing(void **state) {
  world *w = *state;
  ch_env env = {.now = 1800000000, .head_time = 1800000000, .freshness = 600};
  ch_chain_view view = {0};
  ch_op op = {.kind = CH_OP_PAY, .id = "p", .amount = {1}};
  ch_channel *c, *next;
  ch_effects fx = {0};
  assert_int_equal(ch_channel_restore(&c, &w->origin[0], &w->signer[0]), CH_OK);
  assert_int_equal(ch_step(&next, &fx, c, &env, &(ch_event){.kind = CH_EV_CHAIN, .u.view = &view}, &w->signer[0]),
                   CH_OK);
  for (size_t i = 0; i < fx.n; i++)
    assert_int_not_equal(fx.v[i].kind, CH_FX_TX);
  ch_effects_clear(&fx);
  ch_channel_free(c);
  ch_event pay = {.kind = CH_EV_PAY, .u.pay = {&op, 1}};
  assert_int_not_equal(ch_step(&c, &fx, next, &env, &pay, &w->signer[0]), CH_OK);
  assert_int_equal(ch_step(&c, &fx, next, &env, &(ch_event){.kind = CH_EV_CHALLENGE}, &w->signer[0]), CH_ERR_FROZEN);
  ch_channel_free(next);
}

static void restored_by_others(void **state) {
  world *w = *state;
  ch_channel *c;
  ch_origin o = w->origin[0];
  assert_int_equal(ch_channel_restore(&c, &o, &w->signer[1]), CH_ERR_KEY);
  o.nonce[1] = hash_of(1);
  assert_int_equal(ch_channel_restore(&c, &o, &w->signer[0]), CH_ERR_KEY);
  o = w->origin[0];
  o.nonce[0] = hash_of(1);
  assert_int_equal(ch_channel_restore(&c, &o, &w->signer[0]), CH_ERR_KEY);
  o = w->origin[0];
  o.peer = w->node[0];
  assert_int_equal(ch_channel_restore(&c, &o, &w->signer[0]), CH_ERR_KEY);
  o = w->origin[0];
  o.params.tag = hash_of(1);
  assert_int_equal(ch_channel_restore(&c, &o, &w->signer[0]), CH_ERR_ARGUMENT);
  o = w->origin[0];
  o.side = 2;
  assert_int_equal(ch_channel_restore(&c, &o, &w->signer[0]), CH_ERR_ARGUMENT);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(round_trip),         cmocka_unit_test(empty_and_large),
      cmocka_unit_test(nothing_shows),      cmocka_unit_test(damage_is_noticed),
      cmocka_unit_test(strict_inside),      cmocka_unit_test(files),
      cmocka_unit_test(restored_is_frozen), cmocka_unit_test(restored_does_nothing),
      cmocka_unit_test(restored_by_others),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
