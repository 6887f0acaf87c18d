/* Micro benchmark of the primitives that a channel step spends its time in. Prints the fastest of several rounds. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <channel/crypto.h>
#include <sodium.h>

#define ROUNDS 20
#define CALLS 500

typedef struct fixture {
  ch_secret key;
  ch_pubkey peer;
  ch_hash digest;
  ch_sig sig;
  ch_addr signer;
  ch_secret shared;
  uint8_t message[300];
} fixture;

static ch_err sign(fixture *f) {
  return ch_sign(&f->sig, &f->digest, &f->key);
}

static ch_err recover(fixture *f) {
  return ch_recover(&f->signer, &f->digest, &f->sig);
}

static ch_err ecdh(fixture *f) {
  return ch_ecdh(&f->shared, &f->key, &f->peer);
}

static ch_err keccak300(fixture *f) {
  ch_keccak256(&f->digest, f->message, sizeof f->message);
  f->message[0] = f->digest.b[0];
  return CH_OK;
}

static double now_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void measure(const char *name, ch_err (*call)(fixture *), fixture *f) {
  double best = 0;
  for (int round = 0; round < ROUNDS; round++) {
    double start = now_us();
    for (int i = 0; i < CALLS; i++) {
      if (call(f) != CH_OK) {
        fprintf(stderr, "%s failed\n", name);
        exit(EXIT_FAILURE);
      }
    }
    double each = (now_us() - start) / CALLS;
    if (round == 0 || each < best) best = each;
  }
  printf("bench: primitives.%s = %.2f us\n", name, best);
}

int main(void) {
  if (sodium_init() < 0) return EXIT_FAILURE;
  fixture f = {.key = {{1, 2, 3}}, .digest = {{4, 5, 6}}};
  if (ch_pubkey_of(&f.peer, &f.key) != CH_OK) return EXIT_FAILURE;
  measure("sign", sign, &f);
  measure("recover", recover, &f);
  measure("ecdh", ecdh, &f);
  measure("keccak300", keccak300, &f);
  return EXIT_SUCCESS;
}
