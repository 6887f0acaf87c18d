#include "claims.h"

#include <stdlib.h>

cd_pay_id cd_pay_id_of(const ch_op *op) {
  cd_pay_id id = {.len = op->id_len};
  memcpy(id.text, op->id, op->id_len);
  return id;
}

void cd_claims_init(cd_claims *c) {
  pthread_mutex_init(&c->lock, NULL);
  cd_table_init(&c->table, offsetof(cd_claim, id), sizeof(cd_pay_id));
}

void cd_claims_free(cd_claims *c) {
  size_t i = 0;
  for (cd_claim *claim; (claim = cd_table_next(&c->table, &i)) != NULL;)
    free(claim);
  cd_table_free(&c->table);
  pthread_mutex_destroy(&c->lock);
}

const cd_claim *cd_claims_get(cd_claims *c, const cd_pay_id *id) {
  return cd_table_get(&c->table, id);
}

bool cd_claims_add(cd_claims *c, const cd_claim *claim) {
  cd_claim *copy = malloc(sizeof *copy);
  if (copy == NULL) return false;
  *copy = *claim;
  if (cd_table_put(&c->table, copy)) return true;
  free(copy);
  return false;
}

void cd_claims_end(cd_claims *c, const cd_pay_id *id) {
  pthread_mutex_lock(&c->lock);
  free(cd_table_remove(&c->table, id));
  pthread_mutex_unlock(&c->lock);
}
