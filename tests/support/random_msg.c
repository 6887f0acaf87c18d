#include "random_msg.h"

#include <stdlib.h>

uint64_t random_u64(uint64_t *r) { /* splitmix64 */
  uint64_t z = *r += 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}

static void rnd_bytes(uint64_t *r, void *out, size_t len) {
  for (size_t i = 0; i < len; i++)
    ((uint8_t *)out)[i] = (uint8_t)random_u64(r);
}

/* Any length of number is as likely as any other. */
static uint64_t rnd_number(uint64_t *r) {
  return random_u64(r) >> (random_u64(r) % 64);
}

static ch_amount rnd_amount(uint64_t *r, unsigned bits) {
  ch_u128 v = (ch_u128)random_u64(r) << 64 | random_u64(r);
  return (ch_amount){v >> (128 - bits + random_u64(r) % bits)};
}

static ch_net rnd_net(uint64_t *r) {
  ch_i128 v = (ch_i128)rnd_amount(r, CH_MONEY_BITS).v;
  return (ch_net){random_u64(r) & 1 ? v : -v};
}

static void rnd_lock_op(uint64_t *r, ch_op *op) {
  if (op->kind != CH_OP_LOCK_ADD) {
    rnd_bytes(r, &op->u.resolve.lock, sizeof(ch_hash));
    op->u.resolve.has_preimage = op->kind == CH_OP_FULFIL && random_u64(r) & 1;
    if (op->u.resolve.has_preimage) rnd_bytes(r, &op->u.resolve.preimage, sizeof(ch_hash));
    return;
  }
  op->valid_until = rnd_number(r) >> 24;
  op->u.add.payload_len = CH_LOCK_HASH_LEN;
  if (random_u64(r) & 1) {
    rnd_bytes(r, &op->u.add.condition, sizeof(ch_addr));
    op->u.add.condition.b[0] |= 1;
    op->u.add.gas = (uint32_t)rnd_number(r);
    op->u.add.payload_len = (uint8_t)(random_u64(r) % (CH_OP_PAYLOAD_MAX + 1));
  }
  rnd_bytes(r, op->u.add.payload, op->u.add.payload_len);
}

static ch_op rnd_op(uint64_t *r) {
  ch_op op = {.kind = (uint8_t)(CH_OP_NOOP + random_u64(r) % 8)};
  if (op.kind >= CH_OP_LOCK_ADD) rnd_lock_op(r, &op);
  if (op.kind == CH_OP_RESERVE) {
    op.amount = rnd_amount(r, CH_MONEY_BITS);
    op.amount.v += op.amount.v == 0;
    op.seq = (uint16_t)(random_u64(r) % 0x7fff);
    op.valid_until = rnd_number(r) >> 24;
    op.u.to.set = random_u64(r) & 1;
    if (op.u.to.set) {
      rnd_bytes(r, &op.u.to.params_hash, sizeof(ch_hash));
      op.u.to.epoch = (uint16_t)rnd_number(r);
      op.u.to.side = random_u64(r) & 1;
    }
  }
  if (op.kind != CH_OP_PAY && op.kind != CH_OP_LOCK_ADD) return op;
  op.id_len = (uint8_t)(1 + random_u64(r) % CH_PAYMENT_ID_MAX);
  for (size_t i = 0; i < op.id_len; i++)
    op.id[i] = (char)(0x21 + random_u64(r) % (0x7f - 0x21));
  op.amount = rnd_amount(r, CH_MONEY_BITS);
  op.amount.v += op.amount.v == 0;
  return op;
}

static void rnd_update(uint64_t *r, ch_msg *m) {
  m->u.update.has_accept = random_u64(r) & 1;
  if (m->u.update.has_accept) {
    m->u.update.accept_version = rnd_number(r) | 1;
    rnd_bytes(r, &m->u.update.accept_sig, sizeof m->u.update.accept_sig);
  }
  unsigned content = random_u64(r) % (m->u.update.has_accept ? 3 : 2);
  if (content == 2) return;
  m->u.update.has_proposal = content == 0;
  m->u.update.has_refusal = content == 1;
  m->u.update.base = rnd_number(r);
  m->u.update.version = rnd_number(r) | 1;
  rnd_bytes(r, &m->u.update.sig, sizeof m->u.update.sig);
  if (m->u.update.has_refusal) {
    m->u.update.refused_op = random_u64(r) % CH_MAX_OPS;
    m->u.update.reason = (uint32_t)rnd_number(r);
    return;
  }
  m->u.update.n_ops = 1 + random_u64(r) % 4;
  m->u.update.ops = calloc(m->u.update.n_ops, sizeof(ch_op));
  for (size_t i = 0; i < m->u.update.n_ops; i++)
    m->u.update.ops[i] = rnd_op(r);
}

static void rnd_reestablish(uint64_t *r, ch_msg *m) {
  m->u.reestablish.version = random_u64(r) % 4 ? rnd_number(r) | 1 : 0;
  if (m->u.reestablish.version > 0) rnd_bytes(r, &m->u.reestablish.digest, sizeof(ch_hash));
  m->u.reestablish.highest_signed = rnd_number(r);
  m->u.reestablish.outstanding = rnd_number(r);
  m->u.reestablish.frozen = random_u64(r) & 1;
  rnd_bytes(r, &m->u.reestablish.instance, sizeof(ch_hash));
  if (random_u64(r) & 1) return;
  m->u.reestablish.proof_version = rnd_number(r) | 1;
  rnd_bytes(r, &m->u.reestablish.proof_outcome, sizeof(ch_hash));
  rnd_bytes(r, &m->u.reestablish.proof_sig, sizeof(ch_sig));
}

static void rnd_open_request(uint64_t *r, ch_msg *m) {
  m->u.open_request.chain.chain_id = rnd_number(r);
  rnd_bytes(r, &m->u.open_request.chain.adjudicator, sizeof(ch_addr));
  rnd_bytes(r, &m->u.open_request.signer, sizeof(ch_pubkey));
  rnd_bytes(r, &m->u.open_request.payout, sizeof(ch_addr));
  rnd_bytes(r, &m->u.open_request.asset, sizeof(ch_addr));
  m->u.open_request.challenge_period = (uint32_t)rnd_number(r);
  m->u.open_request.opener_funds = random_u64(r) & 1;
  m->u.open_request.bond = rnd_amount(r, CH_BOND_BITS);
  m->u.open_request.deposit[0] = rnd_amount(r, CH_MONEY_BITS);
  m->u.open_request.deposit[1] = rnd_amount(r, CH_MONEY_BITS);
  m->u.open_request.locks = (ch_lock_limits){.count = (uint32_t)(random_u64(r) % (CH_LOCKS_MAX + 1)),
                                             .payload = (uint32_t)(random_u64(r) % (CH_LOCK_LIMIT_PAYLOAD + 1)),
                                             .gas = rnd_number(r),
                                             .longest = (uint32_t)rnd_number(r),
                                             .dust = rnd_amount(r, CH_MONEY_BITS),
                                             .in_flight = rnd_amount(r, CH_MONEY_BITS)};
}

static void rnd_content(uint64_t *r, ch_msg *m) {
  switch (m->type) {
  case CH_MSG_OPEN_REQUEST: rnd_open_request(r, m); break;
  case CH_MSG_OPEN_ACCEPT: rnd_bytes(r, &m->u.open_accept, sizeof m->u.open_accept); break;
  case CH_MSG_OPEN_CONFIRM: rnd_bytes(r, &m->u.open_confirm, sizeof m->u.open_confirm); break;
  case CH_MSG_FUNDS:
    m->u.funds.contribution[0] = rnd_net(r);
    m->u.funds.contribution[1] = rnd_net(r);
    break;
  case CH_MSG_REESTABLISH: rnd_reestablish(r, m); break;
  case CH_MSG_UPDATE: rnd_update(r, m); break;
  case CH_MSG_FULL_STATE:
    m->u.full_state.version = rnd_number(r) | 1;
    m->u.full_state.net = rnd_net(r);
    rnd_bytes(r, &m->u.full_state.locks_hash, sizeof(ch_hash));
    rnd_bytes(r, m->u.full_state.sig, sizeof m->u.full_state.sig);
    break;
  case CH_MSG_CLOSE:
    m->u.close.net = rnd_net(r);
    m->u.close.valid_until = rnd_number(r) >> 24;
    rnd_bytes(r, &m->u.close.sig, sizeof(ch_sig));
    break;
  case CH_MSG_WITHDRAW:
    m->u.withdraw.seq = (uint16_t)(random_u64(r) % 0x7fff);
    m->u.withdraw.side = random_u64(r) & 1;
    m->u.withdraw.amount = rnd_amount(r, CH_MONEY_BITS);
    m->u.withdraw.amount.v += m->u.withdraw.amount.v == 0;
    m->u.withdraw.valid_until = rnd_number(r) >> 24;
    rnd_bytes(r, &m->u.withdraw.sig, sizeof(ch_sig));
    break;
  case CH_MSG_RESUME:
    m->u.resume.base = rnd_number(r) >> 1;
    m->u.resume.version = m->u.resume.base + 1 + random_u64(r) % 1000;
    rnd_bytes(r, &m->u.resume.sig, sizeof(ch_sig));
    break;
  case CH_MSG_ERROR:
    m->u.error.code = (uint32_t)rnd_number(r);
    for (size_t i = 0, n = random_u64(r) % (CH_TEXT_MAX + 1); i < n; i++)
      m->u.error.text[i] = (char)(0x20 + random_u64(r) % (0x7f - 0x20));
    break;
  }
}

ch_msg random_msg(uint64_t *r, ch_msg_type type) {
  ch_msg m;
  memset(&m, 0, sizeof m);
  m.type = type;
  rnd_bytes(r, &m.id, sizeof m.id);
  bool opening = type == CH_MSG_OPEN_REQUEST || type == CH_MSG_OPEN_ACCEPT || type == CH_MSG_OPEN_CONFIRM;
  m.epoch = opening ? 0 : (uint16_t)rnd_number(r);
  rnd_content(r, &m);
  return m;
}
