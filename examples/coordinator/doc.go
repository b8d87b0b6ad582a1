// Package coordinator is a small optimization coordinator to copy from. It shows where
// a service's audit trail belongs: in the transaction that makes the decision.
//
// # One transaction for both
//
// [Coordinator.Apply] locks the tenant, reads which envelopes are active, decides,
// changes its own table and persists the records, all in one transaction:
//
//	records := decide(env, situation, now)
//	…change coordinator_active_envelopes…
//	_, err := store.PersistManyTx(ctx, tx, records)
//	…commit…
//
// The commit makes the decision and its records take effect together. A rollback, a
// crash or a lost connection leaves neither. If a record was rolled back, its id is
// never seen.
//
// # When the record cannot be written
//
// PersistTx and PersistManyTx work in a savepoint. A record that fails leaves the
// transaction usable, and the service chooses what happens next. Here the choice is
// "no record, no decision". No one could explain an envelope that acts without a
// record, while one that has to ask again loses only a moment. So an error rolls
// everything back. The other choice is one branch:
//
//	if _, err := store.PersistManyTx(ctx, tx, records); err != nil {
//		// The store has logged and counted it. The decision stands all the same.
//		unrecorded.Add(1)
//	}
//
// It does not work for [audit.ErrTxLost] and [audit.ErrTxUnusable]. With these the
// transaction itself is lost, and so is the decision.
//
// A rejection changes nothing, so it stands without its record. Apply then returns it
// together with the error.
//
// # What is on record, and what is not
//
// The trail knows three decisions: APPLIED, REJECTED and PREEMPTED. None of them means
// that an envelope ended without another envelope taking its place, so a revert, a
// kill and a reset leave no record. A REJECTED for an envelope that asked for nothing,
// or a PREEMPTED by an envelope that does not exist, would be false, and every reader
// would count it. After a kill the trail shows the decisions that follow from it. Each
// later request is REJECTED, with the reason that the switch is on, and since when,
// while no envelope of that tenant is active. [Coordinator.Revert] and
// [Coordinator.KillSwitch] return what they ended, for the service's own log.
//
// # Why, by whom, and because of what
//
// Each record states a reason code next to the reason, the version of the rules, and the
// instance that decided. All records of one call of Apply share a correlation id. Where a
// decision follows from another one, the record names it in CausedBy: a PREEMPTED record
// names the APPLIED record that took its place, and a REJECTED one the record by which
// the holder has the parameter. The ranks that were compared are in the details. With
// these a program can count the rules that decide, and walk from a rejection to its
// cause.
//
// # Trying again
//
// If the connection breaks during the commit, Apply returns an error, and the outcome
// is unknown. Asking again is right in both cases. An envelope that is already active
// is applied again, as a renewal, with a record that says so.
package coordinator
