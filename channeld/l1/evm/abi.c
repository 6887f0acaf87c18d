#include "abi.h"

#include <stdio.h>

#define CHANNEL_WORDS 6
#define CHANNEL_TYPE "uint256[6]"
#define SIG_TYPE "(bytes32,bytes32)"
#define SIGS_TYPE SIG_TYPE "[2]"
#define CLOSE_BY_PAYEE "closeByPayee(" CHANNEL_TYPE ",int256," SIG_TYPE ")"
#define CLOSE_BY_PAYEE_WORDS (CHANNEL_WORDS + 1 + 2)
#define DEPOSIT "deposit(bytes32,address,bytes32,uint256)"
#define FUND "fund(bytes32,address,bytes32)"

/* --- Words ---------------------------------------------------------------------------------------------------------
 */

void cd_abi_selector(uint8_t out[CD_ABI_SELECTOR], const char *signature) {
  ch_hash hash;
  ch_keccak256(&hash, signature, strlen(signature));
  memcpy(out, hash.b, CD_ABI_SELECTOR);
}

void cd_abi_put_selector(cd_bytes *to, const char *signature) {
  uint8_t selector[CD_ABI_SELECTOR];
  cd_abi_selector(selector, signature);
  cd_bytes_put(to, selector, sizeof selector);
}

/* Writes the `n` low bytes of a number, big-endian. */
static void big_endian(uint8_t *out, ch_u128 value, size_t n) {
  for (size_t i = 0; i < n; i++)
    out[i] = (uint8_t)(value >> 8 * (n - 1 - i));
}

void cd_abi_put_u64(cd_bytes *to, uint64_t value) {
  uint8_t *word = cd_bytes_more(to, CD_ABI_WORD);
  if (word != NULL) big_endian(word + 24, value, 8);
}

void cd_abi_put_amount(cd_bytes *to, ch_amount value) {
  uint8_t word[CD_ABI_WORD];
  ch_amount_word(word, value);
  cd_bytes_put(to, word, sizeof word);
}

static void put_net(cd_bytes *to, ch_net value) {
  uint8_t word[CD_ABI_WORD];
  ch_net_word(word, value);
  cd_bytes_put(to, word, sizeof word);
}

void cd_abi_put_addr(cd_bytes *to, const ch_addr *addr) {
  uint8_t *word = cd_bytes_more(to, CD_ABI_WORD);
  if (word != NULL) memcpy(word + 12, addr->b, sizeof addr->b);
}

void cd_abi_put_hash(cd_bytes *to, const ch_hash *hash) {
  cd_bytes_put(to, hash->b, sizeof hash->b);
}

void cd_abi_put_tail(cd_bytes *to, const uint8_t *bytes, size_t n) {
  cd_abi_put_u64(to, n);
  uint8_t *room = cd_bytes_more(to, (n + CD_ABI_WORD - 1) / CD_ABI_WORD * CD_ABI_WORD);
  if (room != NULL && n > 0) memcpy(room, bytes, n);
}

static void put_sig(cd_bytes *to, const ch_sig *sig) {
  cd_bytes_put(to, sig->b, sizeof sig->b);
}

static void put_sigs(cd_bytes *to, const ch_sig sig[2]) {
  put_sig(to, &sig[0]);
  put_sig(to, &sig[1]);
}

/* epoch << 1 | side */
static void put_where(cd_bytes *to, uint16_t epoch, uint8_t side) {
  cd_abi_put_u64(to, (uint64_t)epoch << 1 | side);
}

/* `high` << 112 | amount */
static void put_high_amount(cd_bytes *to, uint64_t high, ch_amount amount) {
  uint8_t *word = cd_bytes_more(to, CD_ABI_WORD);
  if (word == NULL) return;
  big_endian(word + 18, amount.v, 14);
  big_endian(word + 10, high, 8);
}

/* epoch << 224 | amount1 << 112 | amount0 */
static void put_amounts(cd_bytes *to, uint16_t epoch, const ch_amount amount[2]) {
  uint8_t *word = cd_bytes_more(to, CD_ABI_WORD);
  if (word == NULL) return;
  big_endian(word + 18, amount[0].v, 14);
  big_endian(word + 4, amount[1].v, 14);
  big_endian(word + 2, epoch, 2);
}

/* --- The channel ---------------------------------------------------------------------------------------------------
 */

/* What stands in the channel's words beside its parameters: zero where a call has no use for it. */
typedef struct extra {
  uint16_t epoch;
  uint64_t valid_until;
  uint8_t side;
  uint64_t version;
} extra;

static void put_channel(cd_bytes *to, const ch_params *p, const ch_hash *tag, const extra *x) {
  uint8_t *w = cd_bytes_more(to, (size_t)CHANNEL_WORDS * CD_ABI_WORD);
  if (w == NULL) return;
  memcpy(w, p->signer[0].b, 20);
  big_endian(w + 20, p->bond.v, 12);
  w += CD_ABI_WORD;
  memcpy(w, p->signer[1].b, 20);
  big_endian(w + 20, p->challenge_period, 4);
  big_endian(w + 24, x->epoch, 2);
  big_endian(w + 26, x->valid_until, 5);
  w[31] = x->side;
  w += CD_ABI_WORD;
  memcpy(w + 12, p->payout[0].b, 20);
  w += CD_ABI_WORD;
  memcpy(w + 12, p->payout[1].b, 20);
  w += CD_ABI_WORD;
  memcpy(w, p->asset.b, 20);
  big_endian(w + 24, x->version, 8);
  w += CD_ABI_WORD;
  memcpy(w, tag->b, sizeof tag->b);
}

/* Whether sending is one side's consent, and whose. Both sides' payouts may be one address: then side 0 is named. */
static bool is_payee(const ch_params *p, const ch_addr *sender, uint8_t *side) {
  *side = ch_addr_eq(sender, &p->payout[0]) ? 0 : 1;
  return ch_addr_eq(sender, &p->payout[*side]);
}

/* --- Calls ---------------------------------------------------------------------------------------------------------
 */

static void put_deposit(cd_bytes *to, const ch_tx *tx) {
  bool native = ch_addr_is_zero(&tx->u.deposit.asset);
  cd_abi_put_selector(to, native ? "depositNative(bytes32,bytes32)" : DEPOSIT);
  cd_abi_put_hash(to, &tx->u.deposit.params_hash);
  if (!native) cd_abi_put_addr(to, &tx->u.deposit.asset);
  put_where(to, tx->u.deposit.epoch, tx->u.deposit.side);
  if (!native) cd_abi_put_amount(to, tx->u.deposit.amount);
}

static void put_fund(cd_bytes *to, const ch_tx *tx) {
  bool native = ch_addr_is_zero(&tx->u.fund.asset);
  cd_abi_put_selector(to, native ? "fundNative((bytes32,uint256))" : FUND);
  cd_abi_put_hash(to, &tx->u.fund.params_hash);
  if (!native) cd_abi_put_addr(to, &tx->u.fund.asset);
  put_amounts(to, tx->u.fund.epoch, tx->u.fund.amount);
}

static void put_close(cd_bytes *to, const ch_tx *tx, const ch_addr *sender) {
  const ch_close *c = &tx->u.close.close;
  uint8_t side;
  bool payee = is_payee(&tx->params, sender, &side);
  cd_abi_put_selector(to, payee ? CLOSE_BY_PAYEE : "close(" CHANNEL_TYPE ",int256," SIGS_TYPE ")");
  put_channel(to, &tx->params, &tx->params.tag, &(extra){.epoch = c->epoch, .valid_until = c->valid_until});
  put_net(to, c->net);
  if (payee) {
    put_sig(to, &tx->u.close.sig[1 - side]);
  } else {
    put_sigs(to, tx->u.close.sig);
  }
}

static void put_withdraw(cd_bytes *to, const ch_tx *tx, const ch_addr *sender) {
  const ch_withdraw *w = &tx->u.withdraw.withdraw;
  const extra x = {.epoch = w->epoch, .valid_until = w->valid_until, .side = w->side};
  uint8_t side;
  bool payee = is_payee(&tx->params, sender, &side);
  cd_abi_put_selector(to, payee ? "withdrawByPayee(" CHANNEL_TYPE ",bytes32," SIG_TYPE ")"
                                : "withdraw(" CHANNEL_TYPE ",bytes32," SIGS_TYPE ")");
  put_channel(to, &tx->params, &tx->params.tag, &x);
  put_high_amount(to, w->seq, w->amount);
  if (payee) {
    put_sig(to, &tx->u.withdraw.sig[1 - side]);
  } else {
    put_sigs(to, tx->u.withdraw.sig);
  }
}

static void put_move(cd_bytes *to, const ch_tx *tx) {
  const ch_move *m = &tx->u.move.move;
  const extra x = {.epoch = m->epoch, .valid_until = m->valid_until, .side = m->side};
  cd_abi_put_selector(to, "move(" CHANNEL_TYPE ",bytes32,bytes32,bytes32," SIGS_TYPE ")");
  put_channel(to, &tx->params, &tx->params.tag, &x);
  put_high_amount(to, m->seq, m->amount);
  cd_abi_put_hash(to, &tx->u.move.to_params_hash);
  put_where(to, m->to_epoch, m->to_side);
  put_sigs(to, tx->u.move.sig);
}

static void put_challenge(cd_bytes *to, const ch_tx *tx, const ch_addr *sender) {
  static const ch_sig none[2];
  const ch_challenge *c = &tx->u.challenge.challenge;
  bool own = ch_addr_eq(sender, &tx->params.signer[c->side]) || ch_addr_eq(sender, &tx->params.payout[c->side]);
  const extra x = {c->epoch, own ? 0 : c->valid_until, c->side, c->version};
  cd_abi_put_selector(to, own ? "challenge(" CHANNEL_TYPE ",bytes32," SIGS_TYPE ")"
                              : "challengeFor(" CHANNEL_TYPE ",bytes32," SIGS_TYPE "," SIG_TYPE ")");
  put_channel(to, &tx->params, &tx->u.challenge.salt, &x);
  cd_abi_put_hash(to, &c->outcome_hash);
  put_sigs(to, c->version == CH_VERSION_NONE ? none : tx->u.challenge.sig);
  if (!own) put_sig(to, &tx->u.challenge.challenge_sig);
}

static void put_refute(cd_bytes *to, const ch_tx *tx) {
  cd_abi_put_selector(to, "refute(" CHANNEL_TYPE ",bytes32," SIGS_TYPE ")");
  put_channel(to, &tx->params, &tx->params.tag, &(extra){.epoch = tx->u.refute.epoch, .version = tx->u.refute.version});
  cd_abi_put_hash(to, &tx->u.refute.outcome_hash);
  put_sigs(to, tx->u.refute.sig);
}

static void put_refute_for(cd_bytes *to, const ch_tx *tx) {
  const extra x = {.epoch = tx->u.refute_for.epoch, .version = tx->u.refute_for.version};
  cd_abi_put_selector(to, "refuteFor(" CHANNEL_TYPE ",bytes32," SIGS_TYPE ",address," SIG_TYPE ")");
  put_channel(to, &tx->params, &tx->params.tag, &x);
  cd_abi_put_hash(to, &tx->u.refute_for.outcome_hash);
  put_sigs(to, tx->u.refute_for.sig);
  cd_abi_put_addr(to, &tx->u.refute_for.beneficiary);
  put_sig(to, &tx->u.refute_for.bounty_sig);
}

static void put_settle(cd_bytes *to, const ch_tx *tx) {
  const ch_outcome *o = &tx->u.settle.outcome;
  cd_abi_put_selector(to, "settle(" CHANNEL_TYPE ",int256,uint256,bytes)");
  put_channel(to, &tx->params, &tx->params.tag, &(extra){.epoch = tx->u.settle.epoch});
  put_net(to, o->net);
  cd_abi_put_hash(to, &o->blind);
  cd_abi_put_u64(to, (CHANNEL_WORDS + 3) * CD_ABI_WORD);
  cd_abi_put_tail(to, tx->u.settle.locks, tx->u.settle.locks_len);
}

static void put_claim(cd_bytes *to, const ch_tx *tx) {
  cd_abi_put_selector(to, "claim(address,address,address)");
  cd_abi_put_addr(to, &tx->u.claim.payee);
  cd_abi_put_addr(to, &tx->u.claim.asset);
  cd_abi_put_addr(to, &tx->u.claim.to);
}

static void put_reveal(cd_bytes *to, const ch_tx *tx) {
  cd_abi_put_selector(to, "reveal(bytes32)");
  cd_abi_put_hash(to, &tx->u.reveal.preimage);
}

ch_err cd_abi_call(cd_bytes *to, const ch_tx *tx, const ch_addr *sender) {
  switch (tx->kind) {
  case CH_TX_DEPOSIT: put_deposit(to, tx); return tx->u.deposit.side > 1 ? CH_ERR_ARGUMENT : CH_OK;
  case CH_TX_FUND: put_fund(to, tx); return CH_OK;
  case CH_TX_CLOSE: put_close(to, tx, sender); return CH_OK;
  case CH_TX_WITHDRAW: put_withdraw(to, tx, sender); return CH_OK;
  case CH_TX_MOVE: put_move(to, tx); return tx->u.move.move.to_side > 1 ? CH_ERR_ARGUMENT : CH_OK;
  case CH_TX_CHALLENGE:
    if (tx->u.challenge.challenge.side > 1) return CH_ERR_ARGUMENT;
    put_challenge(to, tx, sender);
    return CH_OK;
  case CH_TX_REFUTE: put_refute(to, tx); return CH_OK;
  case CH_TX_REFUTE_FOR: put_refute_for(to, tx); return CH_OK;
  case CH_TX_SETTLE: put_settle(to, tx); return CH_OK;
  case CH_TX_REVEAL: put_reveal(to, tx); return CH_OK;
  case CH_TX_CLAIM: put_claim(to, tx); return CH_OK;
  case CH_TX_CLOSE_BATCH:
  case CH_TX_SETTLE_BATCH:
  case CH_TX_REVEAL_BATCH: return CH_ERR_ARGUMENT; /* no call of its own: see cd_abi_close_batch */
  }
  return CH_ERR_ARGUMENT;
}

/* --- Several calls in one ------------------------------------------------------------------------------------------
 */

static bool is_call(const cd_abi_data *d, const char *signature, size_t words) {
  uint8_t selector[CD_ABI_SELECTOR];
  cd_abi_selector(selector, signature);
  return d->n == CD_ABI_SELECTOR + words * CD_ABI_WORD && memcmp(d->b, selector, sizeof selector) == 0;
}

static const uint8_t *argument(const cd_abi_data *d, size_t i) {
  return d->b + CD_ABI_SELECTOR + i * CD_ABI_WORD;
}

/* Whether a word is a number of 96 bits with a sign. */
static bool is_short(const uint8_t word[CD_ABI_WORD]) {
  uint8_t fill = word[20] & 0x80 ? 0xff : 0;
  for (size_t i = 0; i < 20; i++) {
    if (word[i] != fill) return false;
  }
  return true;
}

static bool is_item(const cd_abi_data *d) {
  return is_call(d, CLOSE_BY_PAYEE, CLOSE_BY_PAYEE_WORDS) && is_short(argument(d, CHANNEL_WORDS));
}

bool cd_abi_together(const cd_abi_data *a, const cd_abi_data *b) {
  return is_item(a) && is_item(b) && memcmp(argument(a, 4), argument(b, 4), sizeof(ch_addr)) == 0; /* the assets */
}

/* An item is closeByPayee()'s arguments without what the sender and the batch say: its own payout and the asset. The
 * net shares a word with the other payout. */
static void put_close_item(cd_bytes *to, const cd_abi_data *d, const ch_addr *sender) {
  uint8_t side = memcmp(argument(d, 2) + 12, sender->b, sizeof sender->b) == 0 ? 0 : 1;
  cd_bytes_put(to, argument(d, 0), CD_ABI_WORD);
  cd_bytes_put(to, argument(d, 1), CD_ABI_WORD - 1);
  cd_bytes_put(to, &side, 1);
  cd_bytes_put(to, argument(d, side == 0 ? 3 : 2) + 12, sizeof(ch_addr));
  cd_bytes_put(to, argument(d, CHANNEL_WORDS) + 20, 12);
  cd_bytes_put(to, argument(d, 5), CD_ABI_WORD); /* the tag */
  cd_bytes_put(to, argument(d, CHANNEL_WORDS + 1), sizeof(ch_sig));
}

ch_err cd_abi_close_batch(cd_bytes *to, const cd_abi_data *closes, size_t n, const ch_addr *sender) {
  ch_addr asset;
  if (n == 0 || !cd_abi_together(&closes[0], &closes[0])) return CH_ERR_ARGUMENT;
  memcpy(asset.b, argument(&closes[0], 4), sizeof asset.b);
  cd_abi_put_selector(to, "closeBatch(address,(uint256,uint256,bytes32,bytes32," SIG_TYPE ")[])");
  cd_abi_put_addr(to, &asset);
  cd_abi_put_u64(to, 2 * CD_ABI_WORD);
  cd_abi_put_u64(to, n);
  for (size_t i = 0; i < n; i++) {
    if (!cd_abi_together(&closes[0], &closes[i])) return CH_ERR_ARGUMENT;
    put_close_item(to, &closes[i], sender);
  }
  return CH_OK;
}

void cd_abi_reveal_batch(cd_bytes *to, const ch_hash *preimages, size_t n) {
  cd_abi_put_selector(to, "revealBatch(bytes32[])");
  cd_abi_put_u64(to, CD_ABI_WORD);
  cd_abi_put_u64(to, n);
  for (size_t i = 0; i < n; i++)
    cd_abi_put_hash(to, &preimages[i]);
}

/* --- Looking at calls ----------------------------------------------------------------------------------------------
 */

bool cd_abi_takes(const uint8_t *data, size_t n, ch_addr *asset, ch_amount *amount) {
  const cd_abi_data d = {data, n};
  const uint8_t *args = data + CD_ABI_SELECTOR;
  uint8_t word[CD_ABI_WORD] = {0};
  ch_amount second;
  bool deposit = is_call(&d, DEPOSIT, 4), fund = is_call(&d, FUND, 3);
  if (!deposit && !fund) return false;
  memcpy(asset->b, args + CD_ABI_WORD + 12, sizeof asset->b);
  if (deposit) return ch_amount_from_word(amount, args + 3 * CD_ABI_WORD) == CH_OK;
  memcpy(word + 18, args + 2 * CD_ABI_WORD + 4, 14);
  bool ok = ch_amount_from_word(&second, word) == CH_OK;
  memcpy(word + 18, args + 2 * CD_ABI_WORD + 18, 14);
  return ok && ch_amount_from_word(amount, word) == CH_OK && ch_amount_add(amount, *amount, second) == CH_OK;
}

/* --- Reverts -------------------------------------------------------------------------------------------------------
 */

/* The contract's errors have no arguments, and the names of the model's reasons. */
#define ERRORS(X)                                                                                                      \
  X("BadParams", "the parameters do not hash to this channel's id")                                                    \
  X("WrongEpoch", "the channel is in another epoch")                                                                   \
  X("LastEpoch", "the channel has reached its last epoch")                                                             \
  X("DisputeOpen", "a dispute is open")                                                                                \
  X("NoDispute", "no dispute is open")                                                                                 \
  X("WrongValue", "the coin sent along is not what this call needs")                                                   \
  X("ZeroAmount", "the amount is zero")                                                                                \
  X("Overflow", "the amount exceeds what a channel can hold")                                                          \
  X("BadSignature", "a signature is missing or wrong")                                                                 \
  X("Expired", "validUntil has passed")                                                                                \
  X("NotParticipant", "the sender is no participant")                                                                  \
  X("NotNewer", "the version is not newer than the standing one")                                                      \
  X("TooEarly", "the challenge window is still open")                                                                  \
  X("TooLate", "the challenge window is over")                                                                         \
  X("WrongOutcome", "the outcome does not hash to the standing one")                                                   \
  X("BadSide", "the side is neither 0 nor 1")                                                                          \
  X("WrongSeq", "the withdrawal's number is not the channel's next one")                                               \
  X("LastSeq", "the channel has used up its withdrawals of this epoch")                                                \
  X("TooMuch", "the amount is more than the channel holds")                                                            \
  X("LockPending", "a pending transfer is neither decided nor expired")                                                \
  X("BadLocks", "the pending transfers are malformed")                                                                 \
  X("SameChannel", "the money would be moved into the channel it comes from")                                          \
  X("AlreadyRevealed", "the preimage is known already")                                                                \
  X("NotEnoughGas", "the gas limit is too low")                                                                        \
  X("BadToken", "there is no token at the asset's address")                                                            \
  X("TransferFailed", "the token's or the coin's transfer failed")                                                     \
  X("ShortDelivery", "less of the token arrived than was sent")                                                        \
  X("ReentrancyGuardReentrantCall", "the contract was entered twice")

static const struct {
  const char *signature, *text;
} errors[] = {
#define ROW(name, text) {name "()", text},
    ERRORS(ROW)
#undef ROW
};

/* Error(string), as `require` and most tokens give it: its text, printable. */
static bool revert_text(char *why, const uint8_t *data, size_t n) {
  uint8_t selector[CD_ABI_SELECTOR];
  cd_abi_selector(selector, "Error(string)");
  if (n < CD_ABI_SELECTOR + 2 * CD_ABI_WORD || memcmp(data, selector, sizeof selector) != 0) return false;
  const uint8_t *text = data + CD_ABI_SELECTOR + 2 * CD_ABI_WORD;
  size_t len = text[-1], there = n - CD_ABI_SELECTOR - 2 * CD_ABI_WORD;
  for (int i = 2; i <= CD_ABI_WORD; i++)
    if (text[-i] != 0) len = SIZE_MAX;
  if (len > there) len = there;
  if (len > 150) len = 150;
  int at = snprintf(why, 200, "the contract refused: ");
  for (size_t i = 0; i < len; i++)
    why[at++] = text[i] >= ' ' && text[i] < 0x7f ? (char)text[i] : '?';
  why[at] = '\0';
  return true;
}

void cd_abi_revert(char why[200], const uint8_t *data, size_t n) {
  if (revert_text(why, data, n)) return;
  for (size_t i = 0; n == CD_ABI_SELECTOR && i < sizeof errors / sizeof errors[0]; i++) {
    uint8_t selector[CD_ABI_SELECTOR];
    cd_abi_selector(selector, errors[i].signature);
    if (memcmp(selector, data, n) != 0) continue;
    snprintf(why, 200, "%s", errors[i].text);
    return;
  }
  char hex[2 * 36 + 1] = "";
  ch_hex(hex, data, n < 36 ? n : 36);
  if (n == 0) {
    snprintf(why, 200, "the contract refused without a reason");
  } else {
    snprintf(why, 200, "the contract refused: 0x%s", hex);
  }
}
