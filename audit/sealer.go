package audit

import "time"

// SealerStats are the state of a sealer, as package sealer reports it. Times are those of the
// sealer's clock.
type SealerStats struct {
	// Epoch and Size are those of the last checkpoint that is known to be exported. Size is
	// the number of leaves, which are rows of all sealed tables.
	Epoch, Size int64

	// SealedAt is when this sealer exported its last checkpoint. It is zero if it has not
	// exported any. It may be hours ago although everything is sealed: nothing is signed when
	// nothing changed.
	SealedAt time.Time

	// LookedAt is when the sealer last read how far the trail has come. It is zero before the
	// first time. Lag, UnsealedSince and Awaited are of that moment.
	LookedAt time.Time

	// Lag is how many seqs of records were given after the last sealed one. A seq whose
	// transaction was rolled back counts until the round that finds this out.
	Lag int64

	// UnsealedSince is when the oldest committed row that is not sealed was stored. It is
	// zero if every committed row is sealed. Rows that are awaited are not in it.
	UnsealedSince time.Time

	// Awaited is how many seqs of records the sealer went around: an open transaction may
	// still commit them.
	Awaited int64

	// BlockedBy names the open transactions that the sealer waits for or went around, or is
	// "". While there are any, gaps, statements and events are not sealed. BlockedSince is
	// when it began to wait for the oldest of them.
	BlockedBy    string
	BlockedSince time.Time

	// Standby means that another sealer is at work, and this one waits to take over.
	Standby bool

	// Err is why the last round failed, or nil. It is not nil while Standby.
	Err error
}
