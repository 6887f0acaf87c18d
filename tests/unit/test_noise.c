/* BOLT 8: handshake, frames and key rotation. Vectors: BOLT 8 appendix A, Wycheproof (the AEADs we use). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sodium.h>

#include "net/noise.h"
#include "vectors.h"

static ch_err local_ecdh(void *ctx, ch_secret *out, const ch_pubkey *peer) {
  return ch_ecdh(out, ctx, peer);
}

static ch_secret secret_of(uint8_t byte) {
  ch_secret s;
  memset(s.b, byte, sizeof s.b);
  return s;
}

/* `key` is borrowed for as long as the result is used. */
static cd_noise_self self_of(ch_secret *key) {
  cd_noise_self self = {.ecdh = local_ecdh, .ctx = key};
  assert_int_equal(ch_pubkey_of(&self.id, key), CH_OK);
  return self;
}

/* --- BOLT 8, appendix A: handshakes ----------------------------------------------------------------------- */

typedef struct vector_party {
  bool initiator;
  ch_secret key;
  cd_noise n;
  cd_cipher tx, rx;
  unsigned acts; /* done so far, written or read */
} vector_party;

static void load_secret(const json_t *test, const char *name, ch_secret *out) {
  assert_int_equal(vectors_hex(test, name, out->b, sizeof out->b), sizeof out->b);
}

static void load_party(vector_party *p, const json_t *test) {
  *p = (vector_party){.initiator = strncmp(vectors_str(test, "section"), "Initiator", 9) == 0};
  ch_secret ephemeral;
  ch_pubkey expected;
  load_secret(test, "ls.priv", &p->key);
  load_secret(test, "e.priv", &ephemeral);
  cd_noise_self self = self_of(&p->key);
  vectors_hex(test, "ls.pub", expected.b, sizeof expected.b);
  assert_memory_equal(self.id.b, expected.b, sizeof expected.b);
  if (p->initiator) {
    ch_pubkey remote;
    assert_int_equal(vectors_hex(test, "rs.pub", remote.b, sizeof remote.b), sizeof remote.b);
    cd_noise_initiator(&p->n, &self, &remote, "lightning", 9, &ephemeral);
  } else {
    cd_noise_responder(&p->n, &self, "lightning", 9, &ephemeral);
  }
}

static cd_noise_err feed(vector_party *p, const uint8_t *in, size_t len) {
  if (p->initiator) {
    return cd_noise_read_act2(&p->n, in, len);
  }
  if (p->acts == 0) {
    return cd_noise_read_act1(&p->n, in, len);
  }
  ch_pubkey remote;
  cd_noise_err e = cd_noise_read_act3(&p->n, in, len, &p->tx, &p->rx, &remote);
  if (e == CD_NOISE_OK) {
    char hex[67];
    ch_hex(hex, remote.b, sizeof remote.b);
    assert_string_equal(hex, "034f355bdcb7cc0af728ef3cceb9615d90684bb5b2ca5f859ab0f0b704075871aa");
  }
  return e;
}

static void produce(vector_party *p, const char *expected) {
  uint8_t out[CD_NOISE_ACT3];
  size_t len = CD_NOISE_ACT1;
  cd_noise_err e;
  if (p->initiator && p->acts == 0) {
    e = cd_noise_write_act1(&p->n, out);
  } else if (p->initiator) {
    e = cd_noise_write_act3(&p->n, out, &p->tx, &p->rx);
    len = CD_NOISE_ACT3;
  } else {
    e = cd_noise_write_act2(&p->n, out);
  }
  assert_int_equal(e, CD_NOISE_OK);
  char hex[2 * CD_NOISE_ACT3 + 1];
  ch_hex(hex, out, len);
  assert_string_equal(hex, expected + 2);
}

/* "sk,rk=0x...,0x..." or "rk,sk=..." */
static void check_keys(const vector_party *p, const char *text) {
  bool tx_first = strncmp(text, "sk", 2) == 0;
  char hex[65];
  ch_hex(hex, tx_first ? p->tx.key.b : p->rx.key.b, 32);
  assert_memory_equal(text + strlen("sk,rk=0x"), hex, 64);
  ch_hex(hex, tx_first ? p->rx.key.b : p->tx.key.b, 32);
  assert_string_equal(text + strlen("sk,rk=0x") + 64 + strlen(",0x"), hex);
}

static void run_handshake(const json_t *test) {
  vector_party p;
  load_party(&p, test);
  cd_noise_err last = CD_NOISE_OK;
  size_t i;
  json_t *step;
  json_array_foreach(json_object_get(test, "steps"), i, step) {
    if (json_object_get(step, "input") != NULL) {
      uint8_t in[CD_NOISE_ACT3];
      size_t len = vectors_hex(step, "input", in, sizeof in);
      last = feed(&p, in, len);
    } else {
      const char *output = vectors_str(step, "output");
      char name[64];
      if (sscanf(output, "ERROR (%63[A-Z0-9_]", name) == 1) {
        assert_string_equal(cd_noise_err_name(last), name);
        return;
      }
      assert_string_equal(cd_noise_err_name(last), "OK");
      if (output[0] == '0') {
        produce(&p, output);
      } else {
        check_keys(&p, output);
      }
    }
    p.acts++;
  }
}

static void run_messages(const json_t *test) {
  cd_cipher tx = {.nonce = 0}, rx;
  load_secret(test, "ck", &tx.chaining_key);
  load_secret(test, "sk", &tx.key);
  rx = tx;
  size_t next = 0;
  json_t *steps = json_object_get(test, "steps");
  for (unsigned i = 0; i <= 1001; i++) {
    uint8_t frame[CD_FRAME_OVERHEAD + 5];
    assert_int_equal(cd_cipher_seal(&tx, frame, (const uint8_t *)"hello", 5), sizeof frame);
    char name[sizeof "output 1001"], hex[2 * sizeof frame + 1];
    snprintf(name, sizeof name, "output %u", i);
    ch_hex(hex, frame, sizeof frame);
    const json_t *step = json_array_get(steps, next);
    if (json_object_get(step, name) != NULL) {
      assert_string_equal(vectors_str(step, name) + 2, hex);
      next++;
    }
    uint16_t len;
    uint8_t body[5];
    assert_true(cd_cipher_open_header(&rx, &len, frame));
    assert_int_equal(len, 5);
    assert_true(cd_cipher_open_body(&rx, body, frame + CD_FRAME_HEADER, len));
    assert_memory_equal(body, "hello", 5);
  }
  assert_int_equal(next, json_array_size(steps));
}

static void test_bolt8_vectors(void **state) {
  (void)state;
  json_t *file = vectors_load("bolt8.json");
  if (file == NULL) {
    skip();
  }
  size_t i;
  json_t *test;
  json_t *tests = json_object_get(file, "tests");
  assert_int_equal(json_array_size(tests), 16);
  json_array_foreach(tests, i, test) {
    if (json_object_get(test, "sk") != NULL) {
      run_messages(test);
    } else {
      run_handshake(test);
    }
  }
  json_decref(file);
}

/* --- Wycheproof ---------------------------------------------------------------------------------------------- */

typedef struct aead_case {
  uint8_t key[32], iv[24], aad[520], msg[1024], sealed[1024 + CD_FRAME_TAG];
  size_t aad_len, msg_len, ct_len;
  bool valid;
} aead_case;

static void load_case(aead_case *c, const json_t *test) {
  assert_int_equal(vectors_hex(test, "key", c->key, sizeof c->key), sizeof c->key);
  vectors_hex(test, "iv", c->iv, sizeof c->iv);
  c->aad_len = vectors_hex(test, "aad", c->aad, sizeof c->aad);
  c->msg_len = vectors_hex(test, "msg", c->msg, sizeof c->msg);
  c->ct_len = vectors_hex(test, "ct", c->sealed, sizeof c->sealed - CD_FRAME_TAG);
  assert_int_equal(vectors_hex(test, "tag", c->sealed + c->ct_len, CD_FRAME_TAG), CD_FRAME_TAG);
  c->valid = strcmp(vectors_str(test, "result"), "valid") == 0;
}

typedef int aead_seal(unsigned char *, unsigned long long *, const unsigned char *, unsigned long long,
                      const unsigned char *, unsigned long long, const unsigned char *, const unsigned char *,
                      const unsigned char *);
typedef int aead_open(unsigned char *, unsigned long long *, unsigned char *, const unsigned char *, unsigned long long,
                      const unsigned char *, unsigned long long, const unsigned char *, const unsigned char *);

/* Every case whose nonce has the size that the construction takes; libsodium's types rule the others out. */
static void run_wycheproof(const char *name, int iv_bits, unsigned at_least, aead_seal *seal, aead_open *open) {
  json_t *file = vectors_load(name);
  if (file == NULL) {
    skip();
  }
  unsigned ran = 0;
  size_t g, t;
  json_t *group, *test;
  json_array_foreach(json_object_get(file, "testGroups"), g, group) {
    if (json_integer_value(json_object_get(group, "ivSize")) != iv_bits) {
      continue;
    }
    json_array_foreach(json_object_get(group, "tests"), t, test) {
      static aead_case c;
      static uint8_t out[sizeof c.sealed];
      load_case(&c, test);
      int opened = open(out, NULL, NULL, c.sealed, c.ct_len + CD_FRAME_TAG, c.aad, c.aad_len, c.iv, c.key);
      assert_int_equal(opened == 0, c.valid);
      if (c.valid) {
        assert_memory_equal(out, c.msg, c.msg_len);
        seal(out, NULL, c.msg, c.msg_len, c.aad, c.aad_len, NULL, c.iv, c.key);
        assert_memory_equal(out, c.sealed, c.ct_len + CD_FRAME_TAG);
      }
      ran++;
    }
  }
  assert_true(ran >= at_least);
  json_decref(file);
}

static void test_wycheproof_chacha20(void **state) {
  (void)state;
  run_wycheproof("wycheproof-chacha20_poly1305_test.json", 96, 300, crypto_aead_chacha20poly1305_ietf_encrypt,
                 crypto_aead_chacha20poly1305_ietf_decrypt);
}

static void test_wycheproof_xchacha20(void **state) {
  (void)state;
  run_wycheproof("wycheproof-xchacha20_poly1305_test.json", 192, 250, crypto_aead_xchacha20poly1305_ietf_encrypt,
                 crypto_aead_xchacha20poly1305_ietf_decrypt);
}

/* --- Our own handshakes ----------------------------------------------------------------------------------------- */

typedef struct pair {
  ch_secret ikey, rkey;
  cd_noise_self iself, rself;
  cd_noise i, r;
  cd_cipher itx, irx, rtx, rrx;
} pair;

static void begin(pair *p, const char *iprologue, const char *rprologue) {
  *p = (pair){.ikey = secret_of(0x11), .rkey = secret_of(0x21)};
  p->iself = self_of(&p->ikey);
  p->rself = self_of(&p->rkey);
  ch_secret ie = secret_of(0x12), re = secret_of(0x22);
  cd_noise_initiator(&p->i, &p->iself, &p->rself.id, iprologue, strlen(iprologue), &ie);
  cd_noise_responder(&p->r, &p->rself, rprologue, strlen(rprologue), &re);
}

static void complete(pair *p) {
  uint8_t act[CD_NOISE_ACT3];
  ch_pubkey remote;
  begin(p, CD_NOISE_PROLOGUE, CD_NOISE_PROLOGUE);
  assert_int_equal(cd_noise_write_act1(&p->i, act), CD_NOISE_OK);
  assert_int_equal(cd_noise_read_act1(&p->r, act, CD_NOISE_ACT1), CD_NOISE_OK);
  assert_int_equal(cd_noise_write_act2(&p->r, act), CD_NOISE_OK);
  assert_int_equal(cd_noise_read_act2(&p->i, act, CD_NOISE_ACT2), CD_NOISE_OK);
  assert_int_equal(cd_noise_write_act3(&p->i, act, &p->itx, &p->irx), CD_NOISE_OK);
  assert_int_equal(cd_noise_read_act3(&p->r, act, CD_NOISE_ACT3, &p->rtx, &p->rrx, &remote), CD_NOISE_OK);
  assert_true(ch_pubkey_eq(&remote, &p->iself.id));
  assert_memory_equal(p->itx.key.b, p->rrx.key.b, 32);
  assert_memory_equal(p->irx.key.b, p->rtx.key.b, 32);
}

static void test_handshake_wipes_its_keys(void **state) {
  (void)state;
  static const cd_noise zero;
  pair p;
  complete(&p);
  assert_memory_equal(&p.i, &zero, sizeof zero);
  assert_memory_equal(&p.r, &zero, sizeof zero);
  cd_cipher_wipe(&p.itx);
  assert_true(sodium_is_zero((const uint8_t *)&p.itx, sizeof p.itx));
}

static void test_other_prologue_is_refused(void **state) {
  (void)state;
  pair p;
  uint8_t act[CD_NOISE_ACT1];
  begin(&p, "channel/1", "channel/2");
  assert_int_equal(cd_noise_write_act1(&p.i, act), CD_NOISE_OK);
  assert_int_equal(cd_noise_read_act1(&p.r, act, sizeof act), CD_NOISE_ACT1_BAD_TAG);
}

static void test_every_flipped_bit_of_act_one_is_refused(void **state) {
  (void)state;
  pair p;
  uint8_t act[CD_NOISE_ACT1];
  begin(&p, "channel/1", "channel/1");
  assert_int_equal(cd_noise_write_act1(&p.i, act), CD_NOISE_OK);
  const cd_noise fresh = p.r;
  for (size_t bit = 0; bit < 8 * sizeof act; bit++) {
    act[bit / 8] ^= (uint8_t)(1u << bit % 8);
    cd_noise r = fresh;
    assert_int_not_equal(cd_noise_read_act1(&r, act, sizeof act), CD_NOISE_OK);
    assert_true(sodium_is_zero((const uint8_t *)&r, sizeof r));
    act[bit / 8] ^= (uint8_t)(1u << bit % 8);
  }
  assert_int_equal(cd_noise_read_act1(&p.r, act, sizeof act), CD_NOISE_OK);
}

static void test_acts_out_of_order_are_refused(void **state) {
  (void)state;
  pair p;
  uint8_t act[CD_NOISE_ACT3] = {0};
  ch_pubkey remote;
  begin(&p, "channel/1", "channel/1");
  assert_int_equal(cd_noise_read_act2(&p.i, act, CD_NOISE_ACT2), CD_NOISE_OUT_OF_ORDER);
  assert_int_equal(cd_noise_write_act1(&p.i, act), CD_NOISE_OUT_OF_ORDER); /* dead since the error */
  assert_int_equal(cd_noise_write_act2(&p.r, act), CD_NOISE_OUT_OF_ORDER);
  begin(&p, "channel/1", "channel/1");
  assert_int_equal(cd_noise_read_act3(&p.r, act, CD_NOISE_ACT3, &p.rtx, &p.rrx, &remote), CD_NOISE_OUT_OF_ORDER);
  assert_int_equal(cd_noise_write_act3(&p.i, act, &p.itx, &p.irx), CD_NOISE_OUT_OF_ORDER);
  begin(&p, "channel/1", "channel/1");
  assert_int_equal(cd_noise_read_act1(&p.i, act, CD_NOISE_ACT1), CD_NOISE_OUT_OF_ORDER);
}

static void test_bad_local_and_remote_keys(void **state) {
  (void)state;
  pair p;
  uint8_t act[CD_NOISE_ACT1];
  ch_secret zero = {{0}}, good = secret_of(0x12);
  begin(&p, "channel/1", "channel/1");
  cd_noise_initiator(&p.i, &p.iself, &p.rself.id, "x", 1, &zero);
  assert_int_equal(cd_noise_write_act1(&p.i, act), CD_NOISE_LOCAL_KEY_FAILED);
  ch_pubkey off_curve = {{4}};
  cd_noise_initiator(&p.i, &p.iself, &off_curve, "x", 1, &good);
  assert_int_equal(cd_noise_write_act1(&p.i, act), CD_NOISE_BAD_REMOTE_KEY);
}

/* The signer's refusal is not blamed on the peer. */
static void test_failing_signer(void **state) {
  (void)state;
  pair p;
  uint8_t act[CD_NOISE_ACT1];
  begin(&p, "channel/1", "channel/1");
  assert_int_equal(cd_noise_write_act1(&p.i, act), CD_NOISE_OK);
  p.rkey = (ch_secret){{0}};
  assert_int_equal(cd_noise_read_act1(&p.r, act, sizeof act), CD_NOISE_LOCAL_KEY_FAILED);
}

/* --- Frames --------------------------------------------------------------------------------------------------------
 */

static bool open_frame(cd_cipher *rx, const uint8_t *frame, uint8_t *out, uint16_t *len) {
  return cd_cipher_open_header(rx, len, frame) && cd_cipher_open_body(rx, out, frame + CD_FRAME_HEADER, *len);
}

static void test_frame_sizes(void **state) {
  (void)state;
  static uint8_t body[CD_FRAME_BODY_MAX], frame[CD_FRAME_OVERHEAD + CD_FRAME_BODY_MAX];
  static const uint16_t sizes[] = {0, 1, 2, 255, 256, 65534, 65535};
  pair p;
  complete(&p);
  randombytes_buf(body, sizeof body);
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    assert_int_equal(cd_cipher_seal(&p.itx, frame, body, sizes[i]), CD_FRAME_OVERHEAD + (size_t)sizes[i]);
    uint16_t len;
    assert_true(cd_cipher_open_header(&p.rrx, &len, frame));
    assert_int_equal(len, sizes[i]);
    assert_true(cd_cipher_open_body(&p.rrx, frame + CD_FRAME_HEADER, frame + CD_FRAME_HEADER, len)); /* in place */
    assert_memory_equal(frame + CD_FRAME_HEADER, body, len);
  }
}

static void test_flipped_bits_break_the_cipher(void **state) {
  (void)state;
  pair p;
  uint8_t frame[CD_FRAME_OVERHEAD + 5], out[5];
  uint16_t len;
  complete(&p);
  cd_cipher_seal(&p.itx, frame, (const uint8_t *)"hello", 5);
  for (size_t bit = 0; bit < 8 * sizeof frame; bit++) {
    cd_cipher rx = p.rrx;
    frame[bit / 8] ^= (uint8_t)(1u << bit % 8);
    assert_false(open_frame(&rx, frame, out, &len));
    frame[bit / 8] ^= (uint8_t)(1u << bit % 8);
    assert_false(open_frame(&rx, frame, out, &len)); /* and stays broken */
  }
  assert_true(open_frame(&p.rrx, frame, out, &len));
}

static void test_replayed_reordered_and_reflected_frames(void **state) {
  (void)state;
  pair p;
  uint8_t first[CD_FRAME_OVERHEAD + 5], second[sizeof first], out[5];
  uint16_t len;
  complete(&p);
  cd_cipher_seal(&p.itx, first, (const uint8_t *)"hello", 5);
  cd_cipher_seal(&p.itx, second, (const uint8_t *)"hello", 5);
  cd_cipher rx = p.rrx;
  assert_false(open_frame(&rx, second, out, &len)); /* the first one was dropped on the way */
  rx = p.irx;
  assert_false(open_frame(&rx, first, out, &len)); /* sent back to its author */
  rx = p.rrx;
  assert_true(open_frame(&rx, first, out, &len));
  assert_false(open_frame(&rx, first, out, &len)); /* replayed */
}

/* A torn frame shows as the next frame's bytes standing in for the missing ones. */
static void test_torn_frame(void **state) {
  (void)state;
  pair p;
  uint8_t stream[2 * (CD_FRAME_OVERHEAD + 5)], out[5];
  uint16_t len;
  complete(&p);
  size_t used = cd_cipher_seal(&p.itx, stream, (const uint8_t *)"hello", 5);
  used -= 3;
  cd_cipher_seal(&p.itx, stream + used, (const uint8_t *)"world", 5);
  assert_true(cd_cipher_open_header(&p.rrx, &len, stream));
  assert_false(cd_cipher_open_body(&p.rrx, out, stream + CD_FRAME_HEADER, len));
}

static void test_keys_rotate_in_step(void **state) {
  (void)state;
  pair p;
  complete(&p);
  for (unsigned i = 0; i < 2100; i++) {
    uint8_t frame[CD_FRAME_OVERHEAD + 2], body[2] = {(uint8_t)i, (uint8_t)(i >> 8)}, out[2];
    ch_secret before = p.itx.key;
    uint16_t len;
    cd_cipher_seal(&p.itx, frame, body, sizeof body);
    bool rotated = memcmp(&before, &p.itx.key, sizeof before) != 0;
    assert_int_equal(rotated, i > 0 && i % 500 == 0);
    assert_true(open_frame(&p.rrx, frame, out, &len));
    assert_memory_equal(out, body, sizeof body);
    assert_memory_equal(&p.rrx, &p.itx, sizeof p.itx);
  }
}

int main(void) {
  if (sodium_init() < 0) {
    return 1;
  }
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_bolt8_vectors),
      cmocka_unit_test(test_wycheproof_chacha20),
      cmocka_unit_test(test_wycheproof_xchacha20),
      cmocka_unit_test(test_handshake_wipes_its_keys),
      cmocka_unit_test(test_other_prologue_is_refused),
      cmocka_unit_test(test_every_flipped_bit_of_act_one_is_refused),
      cmocka_unit_test(test_acts_out_of_order_are_refused),
      cmocka_unit_test(test_bad_local_and_remote_keys),
      cmocka_unit_test(test_failing_signer),
      cmocka_unit_test(test_frame_sizes),
      cmocka_unit_test(test_flipped_bits_break_the_cipher),
      cmocka_unit_test(test_replayed_reordered_and_reflected_frames),
      cmocka_unit_test(test_torn_frame),
      cmocka_unit_test(test_keys_rotate_in_step),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
