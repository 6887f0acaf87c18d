/* ports.c - what the values of ports.h own. */
#include "ports.h"

#include <stdlib.h>

void cd_tx_row_clear(cd_tx_row *row) {
  free(row->data);
  free(row->raw);
  free(row->replaced);
  memset(row, 0, sizeof *row);
}

void cd_unit_free(cd_unit *unit) {
  if (!unit) return;
  for (size_t i = 0; i < unit->n_txs; i++)
    cd_tx_row_clear(&unit->txs[i]);
  free(unit->txs);
  ch_effects_clear(&unit->fx);
  free(unit->record);
  free(unit->seq);
  free(unit);
}
