// Package coordinator is a small optimization coordinator to copy from. It shows
// where a service's audit trail belongs: in the transaction that takes the decision.
//
// # One transaction, both truths
//
// [Coordinator.Apply] locks the tenant, reads who acts now, decides, changes its
// own table and persists the records, all in one transaction:
//
//	records := decide(env, situation, now)
//	…change coordinator_active_envelopes…
//	_, err := store.PersistManyTx(ctx, tx, records)
//	…commit…
//
// Commit makes the decision and its records true together; a rollback, a crash
// or a lost connection leaves neither. An id that was made for a record which
// then rolled back is simply never seen.
//
// # When the record cannot be written
//
// PersistTx and PersistManyTx work in a savepoint: a record that fails leaves
// the transaction usable, and what happens next is the service's choice. Here it
// is "no record, no decision": an envelope that acts without a record could be
// explained to nobody, while one that has to ask again costs a moment. So an
// error rolls everything back. The other choice is one branch:
//
//	if _, err := store.PersistManyTx(ctx, tx, records); err != nil {
//		// The store has logged and counted it. The decision stands all the same.
//		unrecorded.Add(1)
//	}
//
// but not for [audit.ErrTxLost] and [audit.ErrTxUnusable]: there the transaction
// itself is gone, and with it the decision.
//
// A rejection changes nothing, so it stands without its record: Apply then
// returns it next to the error.
//
// # What is on record, and what is not
//
// The trail knows three decisions: APPLIED, REJECTED and PREEMPTED. None of them
// says that an envelope ended for no other envelope's sake, so a revert, a kill
// and a reset leave no record. A REJECTED for an envelope that asked for nothing,
// or a PREEMPTED by an envelope that does not exist, would be a lie which every
// reader counts. Of a kill the trail shows what it decided: each later request is
// REJECTED, with the reason that the switch is on, and since when, while nothing
// of that tenant is active. [Coordinator.Revert] and [Coordinator.KillSwitch]
// return what they ended, for the service's own log.
//
// # Trying again
//
// If the connection breaks during the commit, Apply returns an error and nobody
// knows which way it went. Asking again is right in both cases: an envelope that
// is active already is applied again, as a renewal, with a record that says so.
package coordinator
